// Differentiation against depth.
"use strict";

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const PUBLISHED_DASH = "longdashdot";
const ROOM_FOR_A_NAME = 15; // pixels

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
  const { units, units_used: used } = kindShown();
  if (units === "filter_mean") return `${counted(used[layer][count])} filter means`;
  return `${counted(used[layer][count])} of ${counted(data.layers[layer].size)} units`;
}

function pointText(set, layer, count) {
  const kind = kindShown();
  const { mean, spread } = kind[state.values];
  const parts = [
    `<b>${plain(data.sets[set].name)}</b>`,
    plain(data.layers[layer].name),
    `${state.values === "raw" ? "differentiation" : "relative"} <b>${withSpread(mean[set][layer][count], spread[set][layer][count])}</b>`,
    usedUnits(layer, count),
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
      const bars = data.recorded ? { error_y: { array: spread, color: setColour(set), thickness: 1.5 } } : {};
      if (!data.recorded && spread.some((value) => value > 0)) {
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
        name: plain(data.sets[set].name),
        mode: data.recorded ? "markers" : "lines+markers", // populations of neurons do not follow one another
        ...bars,
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
          line: { color: setColour(set), width: 1, dash: PUBLISHED_DASH },
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

function curvesLayout() {
  const places = namedLayers(Math.max(120, byId("curves").clientWidth - 80));
  const unit = data.normalize === "none" && state.values === "raw" ? ", in the unit of the responses" : "";
  const title = state.values === "raw" ? `Differentiation${unit}` : `Differentiation / ${plain(shortened(data.reference))}`;
  return {
    height: 460,
    uirevision: `${state.values} ${state.kind}`, // a zoom outlasts what does not change the axes
    xaxis: axis({
      tickmode: "array",
      tickvals: places,
      ticktext: places.map((place) => plain(shortened(data.layers[place].name, 24))),
      // Slanted, the first names would begin to the left of the page's edge where they are long.
      tickangle: data.layers.slice(0, 3).some((layer) => layer.name.length > 16) ? -90 : -60,
      range: [-0.6, data.layers.length - 0.4],
      showgrid: false,
      title: data.recorded ? "Population" : "Layer, in the order of computation",
    }),
    yaxis: axis({ title, rangemode: "tozero" }),
    shapes: [
      { type: "line", x0: state.layer, x1: state.layer, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colourOf("--soft"), width: 1, dash: "dot" } },
    ],
  };
}

function drawCurves() {
  draw("curves", curveTraces(), curvesLayout());
  byId("curves-caption").textContent = curvesCaption();
}

// The curves for a paper: on white, with a legend, whatever the page looks like.
function curvesPicture() {
  const chosen = document.documentElement.dataset.theme;
  setTheme("light");
  const traces = curveTraces().map((trace) => ({ ...trace, showlegend: trace.meta.role === "mean" }));
  const many = countsShown().length > 1;
  for (const trace of traces) if (many && trace.name) trace.name += `, ${counted(kindShown().n_units[trace.meta.count])} units`;
  const layout = layoutOf({ ...curvesLayout(), shapes: [], paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", showlegend: true });
  setTheme(chosen);
  return { data: traces, layout };
}

function curvesCaption() {
  const kind = kindShown();
  const counts = countsShown();
  const said = [];
  const drawn = counts.some((count) => kind.draws[count] > 1) ? "Means over draws of units" : "One draw of units";
  const shown = counts.map((count) => counted(kind.n_units[count])).join(", ");
  said.push(kind.counted ? `${drawn}: ${shown} units (${kind.units}; all of a smaller layer).` : `Units: ${kind.units.replace("_", " ")}.`);
  const any = (lines, is) => setsShown().some((set) => counts.some((count) => lines[set].some((layer) => is(layer[count]))));
  if (any(kind[state.values].spread, (spread) => spread > 0)) said.push(`${data.recorded ? "Bars" : "Bands"}: one SD over draws either side.`);
  if (counts.length > 1) said.push("The largest number of units is drawn solid, smaller ones dashed and dotted.");
  if (any(kind.not_converged, (flag) => flag)) said.push("Open marks have not converged: at the next larger number of units the value lies outside the spread.");
  if (kind.counted && counts.includes(largest())) said.push(`Whether ${counted(kind.n_units[largest()])} units are enough can't be said: there is no larger number.`);
  if (state.values === "relative") said.push(`Divided by the mean over draws of ${data.reference} at ${kind.counted ? `${counted(kind.n_units[largest()])} units` : "the same units"}, whose own spread is left out.`);
  if (state.published && kind[state.values].published) said.push("Thin, dash-dotted: as published.");
  said.push("Choose a point to see what is behind it.");
  if (dragmode() && !printing) said.push("Drag to enlarge, double-click to go back.");
  return said.join(" ");
}
