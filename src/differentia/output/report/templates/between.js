// How far two sets lie apart.
"use strict";

const apartChosen = () => data.between[state.apart];

const BETWEEN_LINES = ["within_first", "within_second", "between"];

const apartInterval = (pair, layer) => (pair.excess_low[layer] === null ? "" : between(pair.excess_low[layer], pair.excess_high[layer], (pair.excess_high[layer] - pair.excess_low[layer]) / 10));

function drawBetween() {
  if (!byId("between")) return;
  const pair = apartChosen();
  const x = range(data.layers.length);
  const names = [pair.first, pair.second].map((set) => plain(data.sets[set].name));
  const text = colourOf("--text");
  const apart = (layer) => pair.p_corrected[layer] !== null && pair.p_corrected[layer] < data.level;
  const looks = {
    within_first: { name: `within ${names[0]}`, colour: setColour(pair.first), symbol: data.sets[pair.first].symbol.plotly },
    within_second: { name: `within ${names[1]}`, colour: setColour(pair.second), symbol: data.sets[pair.second].symbol.plotly },
    between: { name: `between ${names[0]} and ${names[1]}`, colour: text, symbol: x.map((layer) => (apart(layer) ? "circle" : "circle-open")) },
  };
  const reach = (end, sign) => x.map((layer) => (pair[`excess_${end}`][layer] === null ? NaN : sign * (pair[`excess_${end}`][layer] - pair.excess[layer])));
  const traces = BETWEEN_LINES.map((line) => ({
    x,
    y: pair[line],
    mode: MODE,
    cliponaxis: false,
    line: { color: looks[line].colour, width: line === "between" ? 2.5 : 1.5 },
    marker: { symbol: looks[line].symbol, color: looks[line].colour, size: markSize() + (line === "between" ? 2 : 0), line: { width: 1.5, color: looks[line].colour } },
    ...(line === "between" ? { error_y: { type: "data", symmetric: false, array: reach("high", 1), arrayminus: reach("low", -1), color: faded(text, 0.4), thickness: Math.min(5, markSize()), width: 0 } } : {}),
    hoverinfo: "text",
    hovertext: x.map((layer) => [`<b>${looks[line].name}</b>`, plain(data.layers[layer].name), `median distance <b>${written(pair[line][layer])}</b>`, ...(line === "between" ? [`excess ${written(pair.excess[layer])}${apartInterval(pair, layer) ? ` (${percent(pair.confidence)}: ${apartInterval(pair, layer)})` : ""}`, `p ${writtenP(pair.p[layer])}, corrected <b>${writtenP(pair.p_corrected[layer])}</b>`] : [])].join("<br>")),
    meta: { pair: state.apart, role: line },
  }));
  draw("between", traces, {
    height: 380,
    uirevision: `between ${state.apart}`,
    xaxis: layerAxis("between"),
    yaxis: axis({ title: data.normalize === "none" ? "median distance / \u221aK" : "median distance / (SD of both \u221aK)", rangemode: "tozero" }),
  }, CHOOSES_LAYER);
  explainLines("between-legend", BETWEEN_LINES.map((line) => ({ text: line === "between" ? "between the two" : element("span", {}, "within ", namedSet(line === "within_first" ? pair.first : pair.second)), colour: looks[line].colour, dash: "solid", width: line === "between" ? 2.5 : 1.5 })));
  const limits = pair.excess_low.some((value) => value !== null) ? ` Bars: the ${percent(pair.confidence)} interval of the excess, between less the mean of the two within, for other ${words.items} of the same kinds; too wide where both are of one kind.` : "";
  byId("between-caption").textContent = `Median distances of pairs with one ${words.item} of either set, and of pairs within each, all divided by one SD, that of both sets.${limits} Filled marks: corrected p < ${data.level}, by permuting ${words.items} between the sets; p allows for all ${words.places} together.`;
  drawBetweenTable(pair);
}

function drawBetweenTable(pair) {
  const columns = [capitalised(words.place), "Between", ...[pair.first, pair.second].map((set) => `Within ${shortened(data.sets[set].name)}`), "Excess", `${percent(pair.confidence)} interval`, "p", "Corrected p"];
  const rows = data.layers.map((layer, place) => {
    const cells = [...["between", "within_first", "within_second", "excess"].map((name) => written(pair[name][place])), apartInterval(pair, place), writtenP(pair.p[place]), writtenP(pair.p_corrected[place])];
    return element("tr", {}, heading(layer.name), ...cells.map((cell) => element("td", { class: "number" }, ...wholeNumbers(cell))));
  });
  byId("between-table").replaceChildren(
    element("caption", { class: "unseen" }, `Distances between ${pairName(pair)}, by ${words.place}`),
    element("thead", {}, element("tr", {}, ...columns.map((name, place) => element("th", { scope: "col", ...(place ? { class: "number" } : {}) }, name)))),
    element("tbody", {}, ...rows),
  );
}
