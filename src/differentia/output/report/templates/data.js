// The page's data, and how numbers and names are written.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const range = (count) => Array.from({ length: count }, (_, place) => place);

// What Python packed: steps of two bytes from the lowest number, 65535 for none.
function unpack({ shape, low, step, data: encoded }) {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const codes = new DataView(bytes.buffer);
  const values = range(bytes.length / 2).map((place) => {
    const code = codes.getUint16(2 * place, true);
    return code === 65535 ? null : low + step * code;
  });
  return { shape, values };
}

// A packed matrix as rows.
function rowsOf(packed) {
  const { shape, values } = unpack(packed);
  return range(shape[0]).map((row) => values.slice(row * shape[1], (row + 1) * shape[1]));
}

// Plotly reads some markup in its texts; names are shown as they are.
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function shortened(text, longest = 28) {
  const characters = Array.from(text);
  if (characters.length <= longest) return text;
  const end = Math.floor((longest - 1) / 2);
  return characters.slice(0, longest - 1 - end).join("") + "\u2026" + characters.slice(-end).join("");
}

// Three decimals where they say something; three digits of what is smaller.
function written(value) {
  if (value === null || value === undefined) return "no value";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.0001 || size >= 100000)) return value.toExponential(2);
  if (size !== 0 && size < 0.01) return value.toPrecision(3);
  return size >= 1000 ? value.toFixed(1) : value.toFixed(3);
}

const counted = (number) => number.toLocaleString("en-US");

function withSpread(mean, spread) {
  return spread ? `${written(mean)} \u00b1 ${written(spread)}` : written(mean);
}

// Where a value lies, by its limits; "" where they are not known.
function within(limits, ...place) {
  if (!limits) return "";
  const [low, high] = [limits.low, limits.high].map((ends) => place.reduce((values, at) => values[at], ends));
  return low === null || high === null ? "" : `${written(low)} to ${written(high)}`;
}

const percent = (share) => `${Number((100 * share).toPrecision(6))} %`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A set's name with its mark, for tables that scripts make.
function namedSet(place) {
  const set = data.sets[place];
  const mark = element("span", { class: "swatch", "aria-hidden": "true" }, set.symbol.text);
  mark.style.setProperty("--light", set.colour.light);
  mark.style.setProperty("--dark", set.colour.dark);
  return element("span", {}, mark, `\u00a0${set.name}`);
}

const imageName = (row) => data.images[row].name;
const setOf = (row) => data.images[row].set;

// What is seen now; every switch changes this and draws again.
const state = {
  values: "raw",
  kind: 0,
  count: data.kinds[0].n_units.length - 1, // a place in n_units, or "all"
  hidden: new Set(),
  layer: data.layers.length - 1,
  published: true,
  shown: new Set(["images", "units", "differ"]), // intervals by their source, and where sets differ
  pair: 0, // a place in the contrasts
  contrast: "difference",
};

const kindShown = () => data.kinds[state.kind];
const setsShown = () => range(data.sets.length).filter((place) => !state.hidden.has(place));
const layerShown = () => data.layers[state.layer];

const THINGS = data.recorded ? "stimuli" : "images";

// Contrasts of the units that are shown.
const contrastsShown = () => data.contrasts.filter((contrast) => contrast.units === kindShown().units);

const differs = (contrast, layer) => contrast.p_corrected[layer] !== null && contrast.p_corrected[layer] < data.level;

// The set that is more differentiated in a layer.
const higher = (contrast, layer) => (contrast.difference[layer] > 0 ? contrast.first : contrast.second);

function announce(text) {
  byId("announcement").textContent = text;
}

// For the curious, and for tests.
window.differentia = { data, state, unpack };
