// Differentiation against depth.
"use strict";

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const PUBLISHED_DASH = "longdashdot";
// Of a value that is not to be trusted, whatever its set's symbol.
const DOUBT_SYMBOL = "circle-x-open";
// In pixels: of a name under the axis; of the plot; of what lies below its axis; of a row of marks above it.
const ROOM_FOR_A_NAME = 15;
const WIDTH_OF_A_LETTER = 7;
const HEIGHT = 460;
const HEIGHT_ON_PAPER = 360;
const BELOW = 110;
const ROW = 17;

// The numbers of units that are shown: places in n_units, the largest last.
function countsShown() {
  const places = range(kindShown().n_units.length);
  return state.count === "all" ? places : [state.count];
}

// One number of units is drawn solid; of several the largest.
function dashOf(count) {
  return state.count !== "all" ? "solid" : DASHES[Math.min(kindShown().n_units.length - 1 - count, DASHES.length - 1)];
}

function usedUnits(layer, count) {
  const kind = kindShown();
  const text = kind.counted && isWhole(layer, count) ? "{used} of {size} {units}" : kind.used_as;
  return text.replace("{used}", counted(kind.units_used[layer][count])).replace("{size}", counted(data.layers[layer].size)).replace("{units}", words.units);
}

// Whether all units of a layer were used, so that there are no others.
const isWhole = (layer, count) => kindShown().units_used[layer][count] === data.layers[layer].size;

// What hovering says of the intervals of a point.
function intervalTexts(set, layer, count) {
  const kind = kindShown();
  const lines = kind[state.values];
  const level = kind.confidence === null ? "" : percent(kind.confidence);
  const [units, images, both] = ["units", "images", "both"].map((source) => within(lines, source, set, layer, count));
  const said = [];
  if (images) said.push(`other ${words.items}: ${images} (${level})`);
  if (units) said.push(isWhole(layer, count) ? `other ${words.units}: none, it is the whole ${words.place}` : `other ${words.units}: ${units} (${level})`);
  if (both) said.push(`other ${words.items} and ${words.units}: ${both} (${level})`);
  return said;
}

function pointText(set, layer, count) {
  const kind = kindShown();
  const lines = kind[state.values];
  const parts = [
    `<b>${plain(data.sets[set].name)}</b>`,
    plain(data.layers[layer].name),
    `${state.values === "raw" ? "differentiation" : "relative"} <b>${valueText(lines, set, layer, count)}</b>`,
    usedUnits(layer, count),
  ];
  if (lines.spread[set][layer][count]) parts.push(`\u00b1 one SD over draws of ${kind.noun}`);
  parts.push(...intervalTexts(set, layer, count));
  const doubt = lines.doubt[set][layer][count];
  if (doubt) parts.push(`<b>not to be trusted</b> for other ${words.items}:`, plain(doubt));
  if (kind.not_converged[set][layer][count]) parts.push(`<b>not converged</b>: more ${words.units} give another value`);
  return parts.join("<br>");
}

// Marks that touch hide the curves.
function markSize() {
  return Math.max(3, Math.min(7, widthOf("curves") / data.layers.length));
}

// How wide a band is that is known in one layer only.
const ALONE = 0.16;

// A band as closed shapes, one for each run of layers in which both its edges are known.
function bandShape(low, high) {
  const runs = [[]];
  range(low.length).forEach((layer) => {
    if (low[layer] !== null && high[layer] !== null) runs[runs.length - 1].push(layer);
    else if (runs[runs.length - 1].length) runs.push([]);
  });
  const shape = { x: [], y: [] };
  for (const run of runs) {
    if (!run.length) continue;
    const at = run.length > 1 ? run.map((layer) => [layer, layer]) : [[run[0] - ALONE, run[0]], [run[0] + ALONE, run[0]]];
    const there = at.map(([x, layer]) => [x, high[layer]]);
    const back = at.map(([x, layer]) => [x, low[layer]]).reverse();
    for (const [x, y] of [...there, ...back, there[0], [null, null]]) {
      shape.x.push(x);
      shape.y.push(y);
    }
  }
  return shape;
}

// The limits of a set's values at a number of units, by source of uncertainty; without any, one SD over draws.
function limitsOf(set, count) {
  const kind = kindShown();
  const lines = kind[state.values];
  const at = (values) => values[set].map((layer) => layer[count]);
  if (kind.confidence === null) {
    const [mean, spread] = [at(lines.mean), at(lines.spread)];
    if (!spread.some((value) => value > 0)) return [];
    const edge = (sign) => mean.map((value, layer) => (value === null ? null : value + sign * (spread[layer] || 0)));
    return [{ source: "spread", low: edge(-1), high: edge(1) }];
  }
  return ["images", "units"]
    .filter((source) => lines[source] && state.shown.has(source))
    // Of several numbers of units, bands of images would lie upon each other.
    .filter((source) => source === "units" || state.count !== "all" || count === largest())
    .map((source) => ({ source, low: at(lines[source].low), high: at(lines[source].high) }))
    .filter(({ low, high }) => low.some((value, layer) => value !== null && high[layer] > value));
}

const BANDS = {
  spread: { fill: 0.18, edge: 0 },
  images: { fill: 0.17, edge: 0 },
  units: { fill: 0.1, edge: 1 },
};

function bandTrace(set, count, { source, low, high }) {
  const { fill, edge } = BANDS[source];
  return {
    ...bandShape(low, high),
    mode: "lines",
    line: { width: edge, dash: "dot", color: setColour(set) },
    fill: "toself",
    fillcolor: faded(setColour(set), fill),
    hoverinfo: "skip",
    meta: { set, count, role: source },
  };
}

// Bars, where a band between neighbours would say nothing: thin ones of images, thick ones of units.
function barTrace(set, count, { source, low, high }) {
  const mean = kindShown()[state.values].mean[set].map((layer) => layer[count]);
  const reach = (ends, sign) => mean.map((value, layer) => (value === null || ends[layer] === null ? NaN : sign * (ends[layer] - value)));
  const thick = source === "units";
  return {
    x: placesOf(set),
    y: mean,
    mode: "markers",
    marker: { size: 0, opacity: 0, color: setColour(set) },
    error_y: { type: "data", symmetric: false, array: reach(high, 1), arrayminus: reach(low, -1), color: thick ? faded(setColour(set), 0.35) : setColour(set), thickness: thick ? 6 : 1.5, width: thick ? 0 : 4 },
    hoverinfo: "skip",
    meta: { set, count, role: source },
  };
}

// Layers follow one another; at a population of neurons the sets stand side by side.
function placesOf(set) {
  const step = data.recorded ? Math.min(0.1, 0.8 / data.sets.length) : 0;
  const aside = step * (set - (data.sets.length - 1) / 2);
  return range(data.layers.length).map((layer) => layer + aside);
}

function curveTraces() {
  const size = markSize();
  const kind = kindShown();
  const lines = kind[state.values];
  const bands = [];
  const traces = [];
  for (const set of setsShown()) {
    const x = placesOf(set);
    for (const count of countsShown()) {
      const at = (values) => values[set].map((layer) => layer[count]);
      bands.push(...limitsOf(set, count).map((limits) => (data.recorded ? barTrace : bandTrace)(set, count, limits)));
      const flags = at(kind.not_converged);
      const doubts = at(lines.doubt);
      traces.push({
        x,
        y: at(lines.mean),
        name: plain(data.sets[set].name),
        mode: MODE,
        cliponaxis: false,
        line: { color: setColour(set), width: 2, dash: dashOf(count) },
        marker: {
          color: setColour(set),
          symbol: flags.map((flag, layer) => (doubts[layer] ? DOUBT_SYMBOL : data.sets[set].symbol.plotly + (flag ? "-open" : ""))),
          size: flags.map((flag, layer) => (doubts[layer] ? size + 5 : flag ? size + 2 : size)),
          opacity: 1,
          line: { width: 2, color: setColour(set) },
        },
        hoverinfo: "text",
        hovertext: x.map((_, layer) => pointText(set, layer, count)),
        meta: { set, count, role: "mean" },
      });
      if (state.published && lines.published && at(lines.published).some((value) => value !== null)) {
        traces.push({
          x,
          y: at(lines.published),
          mode: "lines",
          line: { color: setColour(set), width: 1, dash: PUBLISHED_DASH },
          connectgaps: true,
          hoverinfo: "text",
          hovertext: x.map((_, layer) => `<b>${plain(data.sets[set].name)}</b>, published<br>${plain(data.layers[layer].name)}<br>${written(lines.published[set][layer][count])}`),
          meta: { set, count, role: "published" },
        });
      }
    }
  }
  // Lines lie above all bands.
  return [...bands, ...traces, ...markedPairs().map(markTrace)];
}

// The pairs of sets above whose curves it is marked where they differ: at the largest number of units.
function markedPairs() {
  if (!state.shown.has("differ") || !countsShown().includes(largest())) return [];
  const shown = contrastsShown().filter(({ first, second }) => !state.hidden.has(first) && !state.hidden.has(second));
  return shown.filter(({ first, second }) => state.values === "raw" || ofOneReference(first, second));
}

// Whether a division leaves it as it is where two sets differ.
const ofOneReference = (first, second) => data.sets[first].divided_by === data.sets[second].divided_by;

// A row of marks, each that of the set which is more differentiated.
function markTrace(contrast, row) {
  const layers = range(data.layers.length);
  const sets = layers.map((layer) => higher(contrast, layer));
  return {
    x: layers,
    y: layers.map((layer) => (differs(contrast, layer) ? row : null)),
    yaxis: "y2",
    mode: "markers",
    cliponaxis: false,
    marker: { color: sets.map(setColour), symbol: sets.map((set) => data.sets[set].symbol.plotly), size: Math.min(8, markSize() + 1), line: { width: 1, color: sets.map(setColour) } },
    hoverinfo: "text",
    hovertext: layers.map((layer) => contrastText(contrast, layer)),
    meta: { pair: data.contrasts.indexOf(contrast), role: "differ" },
  };
}

// The layers that are named under the axis: as many as there is room for.
function namedLayers(width) {
  const step = Math.max(1, Math.ceil((data.layers.length * ROOM_FOR_A_NAME) / width));
  const places = range(data.layers.length).filter((place) => place % step === 0);
  const last = data.layers.length - 1;
  if (last - places[places.length - 1] >= step / 2) places.push(last);
  return places;
}

// What the axis has, as far as there is room.
function labelOfLayers(width) {
  const labels = ["Layer, in the order of computation", "Layer"].map((label) => data.tokens ? `${label} (${data.tokens})` : label);
  return labels.find((label) => label.length * WIDTH_OF_A_LETTER <= width) ?? labels[1];
}

function layerAxis(plot) {
  const places = namedLayers(Math.max(120, widthOf(plot) - 80));
  return axis({
    tickmode: "array",
    tickvals: places,
    ticktext: places.map((place) => plain(shortened(data.layers[place].name, 24))),
    // Slanted, the first names would begin to the left of the page's edge where they are long.
    tickangle: data.layers.slice(0, 3).some((layer) => layer.name.length > 16) ? -90 : -60,
    range: [-0.6, data.layers.length - 0.4],
    showgrid: false,
    title: data.recorded ? capitalised(words.place) : labelOfLayers(widthOf(plot) - 80),
  });
}

// The axis ends at twice the highest value where bands reach farther, lest they press the curves flat.
function endOfAxis() {
  const lines = kindShown()[state.values];
  let [values, limits] = [0, 0];
  for (const set of setsShown()) {
    for (const count of countsShown()) {
      const drawn = [lines.mean, ...(state.published && lines.published ? [lines.published] : [])];
      values = Math.max(values, ...drawn.flatMap((of) => of[set].map((layer) => layer[count])));
      limits = Math.max(limits, ...limitsOf(set, count).flatMap(({ high }) => high));
    }
  }
  return values > 0 && limits > 2 * values ? 2 * values : null;
}

function curvesLayout() {
  const end = endOfAxis();
  const unit = data.unit && state.values === "raw" ? `, in the ${data.unit}` : "";
  const title = state.values === "raw" ? `Differentiation${unit}` : `Differentiation / ${plain(shortened(data.reference))}`;
  const rows = markedPairs();
  const above = rows.length * ROW;
  const height = printing ? HEIGHT_ON_PAPER : HEIGHT;
  const split = 1 - above / (height + above - BELOW);
  return {
    height: height + above,
    uirevision: `${state.values} ${state.kind}`, // a zoom outlasts what does not change the axes
    xaxis: layerAxis("curves"),
    yaxis: axis({ title, rangemode: "tozero", ...(end ? { range: [0, end] } : {}), domain: [0, rows.length ? split - 0.02 : 1] }),
    ...(rows.length ? { yaxis2: axis({ domain: [split, 1], range: [rows.length - 0.5, -0.5], fixedrange: true, tickmode: "array", tickvals: range(rows.length), ticktext: rows.map(pairSymbols) }) } : {}),
    shapes: [
      { type: "line", x0: state.layer, x1: state.layer, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colourOf("--soft"), width: 1, dash: "dot" } },
    ],
  };
}

// The marks of two sets, in their colours.
function pairSymbols({ first, second }) {
  return [first, second].map((set) => `<span style="color:${setColour(set)}">${data.sets[set].symbol.text}</span>`).join(" ");
}

function drawCurves() {
  draw("curves", curveTraces(), curvesLayout(), CHOOSES_LAYER);
  explainLines("curves-legend", explainedLines());
  byId("curves-caption").textContent = curvesCaption();
}

// The lines that the switches above the curves do not explain, or are not there to explain on paper.
function explainedLines() {
  const colour = colourOf("--text");
  const [counts, { published }] = [countsShown(), kindShown()[state.values]];
  const sets = printing ? setsShown().map((set) => ({ text: namedSet(set), colour: setColour(set), dash: "solid" })) : [];
  const numbers = counts.length > 1 && !data.recorded ? [...counts].reverse().map((count) => ({ text: `${counted(kindShown().n_units[count])} ${kindShown().noun}`, colour, dash: dashOf(count) })) : [];
  return [...sets, ...numbers, ...(state.published && published ? [{ text: "as published", colour, dash: PUBLISHED_DASH, width: 1 }] : [])];
}

// The curves for a paper: on white, with a legend, whatever the page looks like.
function curvesPicture() {
  const chosen = document.documentElement.dataset.theme;
  setTheme("light");
  const traces = curveTraces().map((trace) => ({ ...trace, showlegend: trace.meta.role === "mean" }));
  const many = countsShown().length > 1;
  for (const trace of traces) if (many && trace.name) trace.name += `, ${counted(kindShown().n_units[trace.meta.count])} ${kindShown().noun}`;
  const layout = layoutOf({ ...curvesLayout(), shapes: [], paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", showlegend: true });
  setTheme(chosen);
  return { data: traces, layout };
}

// What the bands are, those that are drawn.
function intervalsCaption() {
  const kind = kindShown();
  const drawnOf = new Set(setsShown().flatMap((set) => countsShown().flatMap((count) => limitsOf(set, count).map(({ source }) => source))));
  const said = [];
  const where = countsShown().length > 1 ? ` (drawn at the largest number of ${words.units})` : "";
  if (drawnOf.has("spread")) said.push(`${words.intervals}: one SD over draws either side.`);
  if (drawnOf.has("images")) said.push(`${words.of_items}: ${percent(kind.confidence)} intervals for other ${words.items} of the same kind${where}.`);
  if (drawnOf.has("units")) said.push(`${words.of_units}: ${percent(kind.confidence)} intervals for other draws of ${kind.noun}.`);
  if (endOfAxis()) said.push("Some extend beyond the plot.");
  return said;
}

function curvesCaption() {
  const kind = kindShown();
  const counts = countsShown();
  const said = [];
  const drawn = counts.some((count) => kind.draws[count] > 1) ? "Means over draws of" : "One draw of";
  const shown = counts.map((count) => counted(kind.n_units[count])).join(", ");
  said.push(kind.counted ? `${drawn} ${shown} ${kind.noun} (${kind.units}; a smaller ${words.place} is used whole).` : `${capitalised(words.units)}: ${kind.units.replace("_", " ")}.`);
  const any = (lines, is) => setsShown().some((set) => counts.some((count) => lines[set].some((layer) => is(layer[count]))));
  said.push(...intervalsCaption());
  if (any(kind[state.values].doubt, (doubt) => doubt)) said.push(`Crossed circles are not to be trusted for other ${words.items}: ${printing ? "" : "point at one, or "}see below${printing ? " why" : ", to read why"}.`);
  if (counts.length > 1) said.push(`The largest number of ${words.units} is drawn solid, smaller ones dashed and dotted.`);
  if (any(kind.not_converged, (flag) => flag)) said.push(`Open marks have not converged: a larger number of ${words.units} gives another value, or these ${words.units} have another SD than their whole ${words.place}.`);
  if (kind.counted && counts.includes(largest())) said.push(`Whether ${counted(kind.n_units[largest()])} ${kind.noun} are enough can't be said where the mark is filled: no larger number was measured.`);
  if (state.values === "relative") said.push(`Divided by the mean over draws of ${data.reference} at ${kind.counted ? `${counted(kind.n_units[largest()])} ${kind.noun}` : `the same ${words.units}`}, whose own ${kind.confidence === null ? "spread is left out" : "uncertainty the intervals include, but not the SD"}.`);
  if (markedPairs().length) said.push(`Marks above: where two sets differ (corrected p < ${data.level}), with the symbol of the more differentiated one.`);
  if (state.published && kind[state.values].published) said.push("Thin, dash-dotted: as published.");
  said.push(printing ? `The dotted vertical line is at the ${words.place} that is shown below.` : "Choose a point to see what is behind it.");
  if (dragmode() && !printing) said.push("Drag to enlarge, double-click to go back.");
  return said.join(" ");
}
