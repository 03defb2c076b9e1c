// Differentiation against depth.
"use strict";

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const ROOM_FOR_A_NAME = 15; // pixels

// The numbers of units that are shown: places in n_units, the largest last.
function countsShown() {
  const places = range(kindShown().n_units.length);
  return state.count === "all" ? places : [state.count];
}

function dashOf(count) {
  return DASHES[Math.min(kindShown().n_units.length - 1 - count, DASHES.length - 1)];
}

function pointText(set, layer, count) {
  const kind = kindShown();
  const { mean, spread } = kind[state.values];
  const parts = [
    `<b>${plain(data.sets[set].name)}</b>`,
    plain(data.layers[layer].name),
    `${state.values === "raw" ? "differentiation" : "relative"} <b>${withSpread(mean[set][layer][count], spread[set][layer][count])}</b>`,
    `${counted(kind.units_used[layer][count])} of ${counted(data.layers[layer].size)} units`,
  ];
  if (spread[set][layer][count]) parts.push("\u00b1 one SD over draws of units");
  if (kind.not_converged[set][layer][count]) parts.push("<b>not converged</b>: more units give another value");
  return parts.join("<br>");
}

// Marks that touch hide the curves.
function markSize() {
  return Math.max(3, Math.min(7, byId("curves").clientWidth / data.layers.length));
}

function curveTraces() {
  const size = markSize();
  const kind = kindShown();
  const lines = kind[state.values];
  const x = range(data.layers.length);
  const traces = [];
  for (const set of setsShown()) {
    for (const count of countsShown()) {
      const at = (values) => x.map((layer) => values[set][layer][count]);
      const mean = at(lines.mean);
      const spread = at(lines.spread).map((value) => value || 0);
      const meta = { set, count };
      if (spread.some((value) => value > 0)) {
        for (const [role, sign] of [["low", -1], ["high", 1]]) {
          traces.push({
            x,
            y: mean.map((value, layer) => (value === null ? null : value + sign * spread[layer])),
            mode: "lines",
            line: { width: 0, color: setColour(set) },
            fill: role === "high" ? "tonexty" : "none",
            fillcolor: faded(setColour(set), 0.18),
            hoverinfo: "skip",
            meta: { ...meta, role },
          });
        }
      }
      const flags = at(kind.not_converged);
      traces.push({
        x,
        y: mean,
        mode: "lines+markers",
        cliponaxis: false,
        line: { color: setColour(set), width: 2, dash: dashOf(count) },
        marker: {
          color: setColour(set),
          symbol: flags.map((flag) => data.sets[set].symbol.plotly + (flag ? "-open" : "")),
          size: flags.map((flag) => (flag ? size + 2 : size)),
          opacity: 1,
          line: { width: 2, color: setColour(set) },
        },
        hoverinfo: "text",
        hovertext: x.map((layer) => pointText(set, layer, count)),
        meta: { ...meta, role: "mean" },
      });
      if (state.published && lines.published && at(lines.published).some((value) => value !== null)) {
        traces.push({
          x,
          y: at(lines.published),
          mode: "lines",
          line: { color: setColour(set), width: 1.5, dash: "dot" },
          connectgaps: true,
          hoverinfo: "text",
          hovertext: x.map((layer) => `<b>${plain(data.sets[set].name)}</b>, published<br>${plain(data.layers[layer].name)}<br>${written(lines.published[set][layer][count])}`),
          meta: { ...meta, role: "published" },
        });
      }
    }
  }
  return traces;
}

// The layers that are named under the axis: as many as there is room for.
function namedLayers(width) {
  const step = Math.max(1, Math.ceil((data.layers.length * ROOM_FOR_A_NAME) / width));
  const places = range(data.layers.length).filter((place) => place % step === 0);
  const last = data.layers.length - 1;
  if (last - places[places.length - 1] >= step / 2) places.push(last);
  return places;
}

function drawCurves() {
  const places = namedLayers(Math.max(120, byId("curves").clientWidth - 80));
  const unit = data.normalize === "none" && state.values === "raw" ? ", in the unit of the responses" : "";
  const title = state.values === "raw" ? `Differentiation${unit}` : `Differentiation / ${plain(shortened(data.reference))}`;
  const layout = {
    height: 460,
    xaxis: axis({
      tickmode: "array",
      tickvals: places,
      ticktext: places.map((place) => plain(shortened(data.layers[place].name, 24))),
      // Slanted, the first names would begin to the left of the page's edge where they are long.
      tickangle: data.layers.slice(0, 3).some((layer) => layer.name.length > 16) ? -90 : -60,
      range: [-0.6, data.layers.length - 0.4],
      showgrid: false,
      title: "Layer, in the order of computation",
    }),
    yaxis: axis({ title, rangemode: "tozero" }),
    shapes: [
      { type: "line", x0: state.layer, x1: state.layer, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colourOf("--soft"), width: 1, dash: "dot" } },
    ],
  };
  draw("curves", curveTraces(), layout);
  byId("curves-caption").textContent = curvesCaption();
}

function curvesCaption() {
  const kind = kindShown();
  const counts = countsShown();
  const shown = kind.counted ? `${counts.map((count) => counted(kind.n_units[count])).join(", ")} units of each layer (${kind.units}; all of a smaller one)` : `units: ${kind.units.replace("_", " ")}`;
  const styles = counts.length > 1 ? " The largest number of units is drawn solid, smaller ones dashed and dotted." : "";
  const open = setsShown().some((set) => counts.some((count) => kind.not_converged[set].some((layer) => layer[count])));
  const flagged = open ? " Open marks have not converged: at the next larger number of units the value lies outside the spread." : "";
  const spread = setsShown().some((set) => counts.some((count) => kind[state.values].spread[set].some((layer) => layer[count] > 0))) ? " Bands: one SD over draws of units either side." : "";
  return `Means over draws, ${shown}.${spread}${styles}${flagged} Choose a point to see what is behind it; drag to enlarge, double-click to go back.`;
}
