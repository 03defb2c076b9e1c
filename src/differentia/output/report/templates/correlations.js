// How layers follow the stimulus: sets as points in the layer that is shown, and the correlation against depth.
"use strict";

const NOT_THE_BASE = (place) => place !== data.depth.base;

// The layer whose sets are points: that of the page, or, where it is the stimulus itself, the one behind it.
function followedLayer() {
  if (NOT_THE_BASE(state.layer)) return state.layer;
  return range(data.layers.length).find(NOT_THE_BASE);
}

const limitsText = (name, layer) => {
  const [low, high] = ["_low", "_high"].map((end) => data.depth[name + end][layer]);
  return low === null || high === null ? "" : between(low, high);
};

// With how sure they are.
const intervalText = (name, layer) => (limitsText(name, layer) ? `${percent(data.depth.confidence)}: ${limitsText(name, layer)}` : "");

const inBrackets = (text) => (text ? ` (${text})` : "");

const followsBy = (name, layer) => written(data.depth[name][layer], (data.depth[`${name}_high`][layer] - data.depth[`${name}_low`][layer]) / 10);

const followed = (layer) => data.depth.pearson_p_corrected[layer] !== null && data.depth.pearson_p_corrected[layer] < data.level;

function correlationText(layer) {
  const { depth } = data;
  return [
    plain(data.layers[layer].name),
    `r <b>${followsBy("pearson", layer)}</b>${inBrackets(intervalText("pearson", layer))}`,
    `rank correlation ${followsBy("spearman", layer)}${inBrackets(limitsText("spearman", layer))}`,
    `slope ${followsBy("slope", layer)}${inBrackets(limitsText("slope", layer))}`,
    `p ${writtenP(depth.pearson_p[layer])}, corrected <b>${writtenP(depth.pearson_p_corrected[layer])}</b>`,
    `${counted(depth.n_sets[layer])} sets`,
  ].join("<br>");
}

function drawCorrelations() {
  const { depth } = data;
  const shown = range(data.layers.length).filter(NOT_THE_BASE);
  const without = (values) => values.map((value, place) => (NOT_THE_BASE(place) ? value : null));
  const [text, soft] = [colourOf("--text"), colourOf("--soft")];
  const line = { type: "line", layer: "below", line: { color: soft, width: 1 } };
  draw(
    "correlations",
    [
      {
        ...bandShape(without(depth.pearson_low), without(depth.pearson_high)),
        mode: "lines",
        line: { width: 0, color: soft },
        fill: "toself",
        fillcolor: soft.replace("rgb(", "rgba(").replace(")", ", 0.2)"),
        hoverinfo: "skip",
        meta: { role: "band" },
      },
      {
        x: shown,
        y: shown.map((layer) => depth.pearson[layer]),
        mode: MODE,
        cliponaxis: false,
        line: { color: text, width: 1.5 },
        marker: { symbol: shown.map((layer) => (followed(layer) ? "circle" : "circle-open")), color: text, size: Math.max(4, Math.min(8, widthOf("correlations") / data.layers.length)) },
        hoverinfo: "text",
        hovertext: shown.map(correlationText),
        meta: { role: "pearson" },
      },
    ],
    {
      height: 360,
      xaxis: layerAxis("correlations"),
      yaxis: axis({ title: "Correlation r over sets", range: [-1.05, 1.05] }),
      shapes: [
        { ...line, xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0 },
        { ...line, yref: "paper", y0: 0, y1: 1, x0: followedLayer(), x1: followedLayer(), line: { color: soft, width: 1, dash: "dot" } },
      ],
    },
    CHOOSES_LAYER,
  );
}

function drawFollowed() {
  const { depth } = data;
  const layer = followedLayer();
  const known = range(depth.sets.length).filter((place) => depth.stimulus[place] !== null && depth.values[place][layer] !== null);
  const x = known.map((place) => depth.stimulus[place]);
  const ends = [Math.min(...x), Math.max(...x)];
  const at = known.map((place) => data.sets[depth.sets[place]]);
  const traces = [
    {
      x,
      y: known.map((place) => depth.values[place][layer]),
      mode: "markers",
      cliponaxis: false,
      marker: { symbol: at.map((set) => set.symbol.plotly), color: known.map((place) => setColour(depth.sets[place])), size: known.length > 50 ? 6 : 9 },
      hoverinfo: "text",
      hovertext: known.map((place, rank) => [`<b>${plain(at[rank].name)}</b>`, `${plain(data.layers[depth.base].name)} ${written(depth.stimulus[place])}`, `${plain(data.layers[layer].name)} ${written(depth.values[place][layer])}`].join("<br>")),
      meta: { role: "sets", layer },
    },
  ];
  if (depth.slope[layer] !== null) {
    traces.push({ x: ends, y: ends.map((end) => depth.intercept[layer] + depth.slope[layer] * end), mode: "lines", line: { color: colourOf("--text"), width: 1.5 }, hoverinfo: "skip", meta: { role: "line", layer } });
  }
  const name = (place) => plain(shortened(data.layers[place].name, 30));
  draw("followed", traces, {
    height: 360,
    xaxis: axis({ title: `Differentiation of ${name(depth.base)}` }),
    yaxis: axis({ title: `Differentiation of ${name(layer)}` }),
  });
  byId("followed-caption").textContent = [
    `${data.layers[layer].name}: r ${followsBy("pearson", layer)}${inBrackets(intervalText("pearson", layer))} over ${counted(depth.n_sets[layer])} sets, corrected p ${writtenP(depth.pearson_p_corrected[layer])}.`,
    `A point is a set${data.reference ? "; the reference is left out" : ""}. The line is that of least squares. A click on another ${words.place} in the other plot shows that one.`,
  ].join(" ");
}

function drawDepth() {
  if (!byId("correlations")) return;
  drawFollowed();
  drawCorrelations();
}
