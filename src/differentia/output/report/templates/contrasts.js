// Where sets differ.
"use strict";

function writtenP(value) {
  if (value === null) return written(value);
  return value >= 0.0001 ? value.toFixed(4) : value.toExponential(1);
}

const contrastChosen = () => data.contrasts[state.pair];

const pairName = ({ first, second }) => `${data.sets[first].name} and ${data.sets[second].name}`;

const contrastLimits = (contrast, name, end = "") => ({ low: contrast[`${name}_low${end}`], high: contrast[`${name}_high${end}`] });

// A value as closely as its own interval says, and limits so closely that it is seen whether they hold 0 or 1.
function contrastValue(contrast, name, layer) {
  const { low, high } = contrastLimits(contrast, name);
  return written(contrast[name][layer], (high[layer] - low[layer]) / 10);
}

function contrastInterval(contrast, name, end, layer) {
  const [low, high] = Object.values(contrastLimits(contrast, name, end)).map((limits) => limits[layer]);
  return low === null || high === null ? "" : between(low, high, (high - low) / 10);
}

// The limits that hold in all layers at once.
const TOGETHER = "_simultaneous";

// Whether one of two sets is not to be trusted in a layer, so that they can't be compared.
function doubtful(contrast, layer) {
  const kind = kindOf(contrast);
  const count = kind.n_units.indexOf(contrast.n_units);
  return contrast.p[layer] === null && [contrast.first, contrast.second].some((set) => kind.raw.doubt[set][layer][count]);
}

function contrastText(contrast, layer) {
  const numbers = ["difference", "ratio"].map((name) => {
    const [interval, together] = ["", TOGETHER].map((end) => contrastInterval(contrast, name, end, layer));
    const of = [interval && `${percent(contrast.confidence)}: ${interval}`, together && `all together: ${together}`].filter((text) => text);
    return `${name} <b>${contrastValue(contrast, name, layer)}</b>${of.length ? ` (${of.join("; ")})` : ""}`;
  });
  const names = [contrast.first, contrast.second].map((set) => `<b>${plain(data.sets[set].name)}</b>`);
  return [`${names[0]} and`, names[1], plain(data.layers[layer].name), ...numbers, `p ${writtenP(contrast.p[layer])}, corrected <b>${writtenP(contrast.p_corrected[layer])}</b>`].join("<br>");
}

function contrastTraces() {
  const contrast = contrastChosen();
  const x = range(data.layers.length);
  const values = contrast[state.contrast];
  const colour = colourOf("--text");
  const marks = x.map((layer) => {
    const set = higher(contrast, layer);
    if (doubtful(contrast, layer)) return { symbol: DOUBT_SYMBOL, colour: colourOf("--soft") };
    if (contrast.p_corrected[layer] === null) return { symbol: "circle-open", colour: "rgba(0, 0, 0, 0)" };
    return differs(contrast, layer) ? { symbol: data.sets[set].symbol.plotly, colour: setColour(set) } : { symbol: "circle-open", colour: colourOf("--soft") };
  });
  const reach = (ends, sign) => x.map((layer) => (values[layer] === null || ends[layer] === null ? NaN : sign * (ends[layer] - values[layer])));
  const bars = (end, style) => {
    const { low, high } = contrastLimits(contrast, state.contrast, end);
    return { type: "data", symmetric: false, array: reach(high, 1), arrayminus: reach(low, -1), ...style };
  };
  return [
    {
      x,
      y: values,
      mode: "markers",
      cliponaxis: false,
      marker: { size: 0, opacity: 0 },
      error_y: bars(TOGETHER, { color: colour, thickness: 1, width: Math.min(4, markSize() / 2) }),
      hoverinfo: "skip",
      meta: { pair: state.pair, role: "together" },
    },
    {
      x,
      y: values,
      mode: MODE,
      cliponaxis: false,
      line: { color: colourOf("--soft"), width: 1 },
      error_y: bars("", { color: colourOf("--soft"), thickness: Math.min(5, markSize()), width: 0 }),
      marker: { symbol: marks.map((mark) => mark.symbol), color: marks.map((mark) => mark.colour), size: markSize() + 2, opacity: 1, line: { width: 1.5, color: marks.map((mark) => mark.colour) } },
      hoverinfo: "text",
      hovertext: x.map((layer) => contrastText(contrast, layer)),
      meta: { pair: state.pair, role: state.contrast },
    },
  ];
}

// Of a value, all that is drawn.
const ENDS = ["", ...["", TOGETHER].flatMap((end) => [`_low${end}`, `_high${end}`])];

// Where nothing differs, and the least and the most of what a contrast holds.
function spanOf(name, ...ends) {
  const contrast = contrastChosen();
  const known = ends.flatMap((end) => contrast[name + end]).filter((value) => value !== null);
  const none = name === "ratio" ? 1 : 0;
  return [Math.min(none, ...known), Math.max(none, ...known)];
}

// Limits that reach farther than a tenth, or ten times, of all ratios do not press the others together. Ratios
// that lie far apart stand on a logarithmic axis: a half lies as far from 1 as a double.
function ratioAxis() {
  const [least, most] = spanOf("ratio", "");
  const [low, high] = spanOf("ratio", ...ENDS);
  const ends = [Math.max(low, least / 10), Math.min(high, most * 10)];
  const times = ends[1] / ends[0];
  if (times < 4) return {};
  const beyond = ends[0] > low || ends[1] < high;
  return { type: "log", dtick: times < 100 ? "D2" : 1, exponentformat: "power", ...(beyond ? { range: ends.map(Math.log10) } : {}) };
}

// A difference can't be larger than the values; where limits reach farther the axis ends there.
function differenceAxis() {
  const { first, second, n_units: count } = contrastChosen();
  const kind = kindOf(contrastChosen());
  const values = [first, second].flatMap((set) => kind.raw.mean[set].map((layer) => layer[kind.n_units.indexOf(count)]));
  const most = 1.2 * Math.max(...values);
  const [low, high] = spanOf("difference", ...ENDS);
  return low < -most || high > most ? { range: [Math.max(1.1 * low, -most), Math.min(1.1 * high, most)] } : {};
}

const axisOfContrast = () => (state.contrast === "ratio" ? ratioAxis() : differenceAxis());

function contrastLayout() {
  const { first, second } = contrastChosen();
  const ratio = state.contrast === "ratio";
  const names = [first, second].map((set) => plain(shortened(data.sets[set].name, 22)));
  const none = ratio ? 1 : 0;
  return {
    height: 380,
    uirevision: `${state.contrast} ${state.pair}`,
    xaxis: layerAxis("contrast"),
    yaxis: axis({ title: names.join(ratio ? " / " : " \u2212 "), ...axisOfContrast() }),
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: none, y1: none, layer: "below", line: { color: colourOf("--soft"), width: 1 } }],
  };
}

function contrastCaption() {
  const contrast = contrastChosen();
  const layers = range(data.layers.length).filter((layer) => differs(contrast, layer)).length;
  return [
    `${pairName(contrast)} differ in ${layers} of ${counted(contrast.p_corrected.filter((p) => p !== null).length)} ${words.places}${contrast.p_corrected.includes(null) ? " that could be compared" : ""}.`,
    `Thick bars: ${percent(contrast.confidence)} intervals for other ${words.items} of the same kinds${contrast.paired ? ", which are paired" : ""}.`,
    ...(contrast.n_tests > 1 ? [`Thin bars: the same, for all ${contrast.over} together.`] : []),
    ...(axisOfContrast().range ? ["Some extend beyond the plot."] : []),
    ...(range(data.layers.length).some((layer) => doubtful(contrast, layer)) ? ["Crossed circles: one of the two is not to be trusted, and they can't be compared."] : []),
    `Filled marks: corrected p < ${data.level}, with the symbol of the more differentiated set.`,
    `p is the inversion of the interval of the difference${contrast.n_tests > 1 ? `; the corrected p allows for all ${contrast.over} together (their correlation is kept)` : ""}.`,
    kindOf(contrast).counted ? `Measured with ${counted(contrast.n_units)} ${kindOf(contrast).noun} (${contrast.units}).` : `${capitalised(words.units)}: ${contrast.units.replace("_", " ")}.`,
  ].join(" ");
}

const kindOf = (contrast) => data.kinds.find((kind) => kind.units === contrast.units);

// Names of so many characters stay in one line.
const SHORT_NAME = 18;

const heading = (name) => (name.length > SHORT_NAME ? element("th", { scope: "row" }, breakable(name)) : element("th", { scope: "row", class: "whole" }, name));

function drawContrastTable() {
  const contrast = contrastChosen();
  const level = `${percent(contrast.confidence)} interval`;
  const together = `All ${counted(contrast.n_tests)} together`;
  const columns = [capitalised(words.place), "Difference", level, together, "Ratio", level, together, "p", "Corrected p", "More differentiated"];
  const rows = data.layers.map((layer, place) => {
    const of = (name) => [contrastValue(contrast, name, place), ...["", TOGETHER].map((end) => contrastInterval(contrast, name, end, place))];
    const cells = [...of("difference"), ...of("ratio"), writtenP(contrast.p[place]), writtenP(contrast.p_corrected[place])];
    const more = differs(contrast, place) ? [namedSet(higher(contrast, place))] : [];
    return element("tr", {}, heading(layer.name), ...cells.map((cell) => element("td", { class: "number" }, ...wholeNumbers(cell))), element("td", {}, ...more));
  });
  byId("contrast-table").replaceChildren(
    element("caption", { class: "unseen" }, `${pairName(contrast)}, by ${words.place}`),
    element("thead", {}, element("tr", {}, ...columns.map((name, place) => element("th", { scope: "col", ...(place && place < columns.length - 1 ? { class: "number" } : {}) }, name)))),
    element("tbody", {}, ...rows),
  );
}

function drawContrast() {
  if (!byId("contrast")) return;
  draw("contrast", contrastTraces(), contrastLayout(), CHOOSES_LAYER);
  byId("contrast-caption").textContent = contrastCaption();
  drawContrastTable();
}

const CONTRAST_COLUMNS = ["units", "n_units", "first", "second", "paired", "layer", ...["difference", "ratio"].flatMap((name) => ENDS.map((end) => name + end)), "p", "p_corrected", "n_tests"];

// One row for each pair and layer, every digit.
function contrastRecords() {
  return data.contrasts.flatMap((contrast) =>
    data.layers.map((layer, place) => {
      const named = { ...contrast, first: data.sets[contrast.first].name, second: data.sets[contrast.second].name, layer: layer.name };
      return Object.fromEntries(CONTRAST_COLUMNS.map((name) => [name, Array.isArray(named[name]) ? named[name][place] : named[name]]));
    }),
  );
}
