// All sets in all layers, where there are more than curves can show; and the search for a set.
"use strict";

// In pixels: a row, a row with a name, the map at most, and a page whose names are short.
const ROW_OF_SET = 5;
const ROW_WITH_NAME = 13;
const HIGHEST_MAP_OF_SETS = 900;
const NARROW = 500;

// The sets from top to bottom: in the order of the result, or by their values in the layer that is shown.
function setsInOrder(values) {
  const places = range(data.sets.length);
  if (byId("sets-order").value === "given") return places;
  const inLayer = (set) => values[set][state.layer] ?? -Infinity;
  return places.sort((one, other) => inLayer(other) - inLayer(one));
}

function drawSets() {
  if (!byId("sets-map")) return;
  const kind = kindShown();
  const lines = kind[state.values];
  const count = state.count === "all" ? largest() : state.count;
  const values = lines.mean.map((of) => of.map((layer) => layer[count]));
  const order = setsInOrder(values);
  const height = Math.min(HIGHEST_MAP_OF_SETS, Math.max(ROW_WITH_NAME * Math.min(order.length, 30), ROW_OF_SET * order.length));
  const step = Math.ceil((ROW_WITH_NAME * order.length) / height);
  const named = range(order.length).filter((row) => row % step === 0);
  const longest = widthOf("sets-map") < NARROW ? 10 : 22;
  const layers = namedLayers(Math.max(60, widthOf("sets-map") - longest * WIDTH_OF_A_LETTER - 90));
  draw("sets-map", [
    {
      type: "heatmap",
      z: order.map((set) => values[set]),
      hoverinfo: "text",
      text: order.map((set) => data.layers.map((layer, place) => `<b>${plain(data.sets[set].name)}</b><br>${plain(layer.name)}<br>${valueText(lines, set, place, count)}`)),
      colorscale: "Viridis",
      zmin: 0,
      colorbar: COLOUR_BAR,
      meta: { order },
    },
  ], {
    height: height + 130,
    xaxis: { ...layerAxis("sets-map"), tickvals: layers, ticktext: layers.map((place) => plain(shortened(data.layers[place].name, 24))) },
    yaxis: axis({ tickmode: "array", tickvals: named, ticktext: named.map((row) => plain(shortened(data.sets[order[row]].name, longest))), autorange: "reversed", showgrid: false }),
  }, { plotly_click: ({ points: [{ x, y }] }) => chooseField(order[y], x) });
  const relative = state.values === "raw" ? "" : ` relative to ${data.reference}`;
  const unit = data.unit && state.values === "raw" ? `, in the ${data.unit}` : "";
  byId("sets-caption").textContent = `Differentiation${relative} of ${counted(order.length)} sets${unit}: ${kind.counted ? `${counted(kind.n_units[count])} ${kind.noun}` : kind.units}. Choose a field to see its ${words.place} below, and the set among the curves.`;
}

function chooseField(set, layer) {
  state.hidden.delete(set);
  showState();
  chooseLayer(layer);
  drawAll();
}

// Names that hold what is looked for; those that do not are hidden, and left as they are by "all" and "none".
const isFound = (name, wanted) => name.toLowerCase().includes(wanted);
const wantedIn = (id) => (byId(id) ? byId(id).value.trim().toLowerCase() : "");

function setsFound() {
  return range(data.sets.length).filter((set) => isFound(data.sets[set].name, wantedIn("find-set")));
}

function listSets() {
  const found = new Set(setsFound());
  for (const input of document.getElementsByName("set")) input.closest("label").hidden = !found.has(Number(input.value));
  for (const row of document.querySelectorAll("#overview tbody tr")) row.hidden = !found.has(Number(row.dataset.set));
  sayShown();
}
