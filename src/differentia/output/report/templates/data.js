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

// The decimals that two digits of an uncertainty have.
const decimalsOf = (width) => Math.max(0, 1 - Math.floor(Math.log10(width)));

// Three decimals where they say something, three digits of what is smaller; fewer where it is less well known. None
// where a number of this size is written with a power of ten.
function decimalsAt(size, width) {
  const warranted = width > 0 ? decimalsOf(width) : Infinity;
  if (size >= 100000 || (size !== 0 && size < 0.0001 && warranted > 4)) return null;
  const most = size === 0 ? 3 : size >= 1000 ? 1 : size >= 0.01 ? 3 : 2 - Math.floor(Math.log10(size));
  return Math.min(most, warranted);
}

function fixed(value, decimals) {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

function written(value, width = 0) {
  if (value === null || value === undefined) return "no value";
  const decimals = decimalsAt(Math.abs(value), width);
  return decimals === null ? value.toExponential(2) : fixed(value, decimals);
}

const counted = (number) => number.toLocaleString("en-US");

const valueAt = (values, place) => place.reduce((nested, at) => nested[at], values);

// Limits have as many decimals as the one that needs more.
function between(low, high, width = high - low) {
  const sizes = [low, high].map(Math.abs);
  if (decimalsAt(Math.max(...sizes), width) === null) return `${written(low, width)} to ${written(high, width)}`;
  const decimals = Math.max(...sizes.map((size) => decimalsAt(size, width)));
  return `${fixed(low, decimals)} to ${fixed(high, decimals)}`;
}

// An interval in a narrow column, broken between its limits.
const wholeNumbers = (interval) => interval.split(" to ").flatMap((end, place) => [place ? " to " : "", element("span", { class: "whole" }, end)]);

// Both limits of a value; none where one is not known.
function endsOf(limits, place) {
  const ends = limits ? [limits.low, limits.high].map((of) => valueAt(of, place)) : [];
  return ends.includes(null) ? [] : ends;
}

// Whether a value is that of the reference, relative to itself.
const ofItself = (lines, set) => lines === kindShown().relative && data.sets[set].reference;

// Where a value lies, by its limits from a source; "" where they are not known, or it is the reference's own ratio.
function within(lines, source, set, layer, count) {
  if (ofItself(lines, set) && (source === "images" || count === largest())) return "";
  const ends = endsOf(lines[source], [set, layer, count]);
  return ends.length ? between(...ends) : "";
}

// The least that is known of how uncertain a value is: the width of an interval, or its SD over draws; else 0.
function uncertainty(lines, ...place) {
  const ends = ["units", "images", "both"].map((source) => endsOf(lines[source], place));
  const known = [valueAt(lines.spread, place), ...ends.map(([low, high]) => high - low)].filter((width) => width > 0);
  return known.length ? Math.min(...known) : 0;
}

// A value, with its SD over draws, as closely as it is known.
function valueText(lines, ...place) {
  const width = uncertainty(lines, ...place);
  const [mean, spread] = [lines.mean, lines.spread].map((values) => valueAt(values, place));
  if (mean !== null && ofItself(lines, place[0]) && place[2] === largest()) return "1";
  return spread ? `${written(mean, width)} \u00b1 ${written(spread, width)}` : written(mean, width);
}

const PARTS = new RegExp(data.part, "gu");

// Text that may go on in a new line behind what separates its parts, and nowhere within a word or a number.
function breakable(text) {
  const parts = text.match(PARTS) || [];
  const made = document.createDocumentFragment();
  made.append(...parts.flatMap((part, place) => (place ? [element("wbr"), part] : [part])));
  return made;
}

const percent = (share) => `${Number((100 * share).toPrecision(6))} %`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Populations do not follow one another as layers do.
const MODE = data.recorded ? "markers" : "lines+markers";

// A set's name with its mark, for tables that scripts make.
function namedSet(place) {
  const set = data.sets[place];
  const mark = element("span", { class: "swatch", "aria-hidden": "true" }, set.symbol.text);
  mark.style.setProperty("--light", set.colour.light);
  mark.style.setProperty("--dark", set.colour.dark);
  return element("span", {}, mark, "\u00a0", breakable(set.name));
}

const imageName = (row) => data.images[row].name;
const setOf = (row) => data.images[row].set;

// What is seen now; every switch changes this and draws again.
const state = {
  values: "raw",
  kind: 0,
  count: data.kinds[0].n_units.length - 1, // a place in n_units, or "all"
  hidden: new Set(range(data.sets.length).filter((place) => !data.shown.includes(place))),
  layer: data.recorded ? 0 : data.layers.length - 1, // of populations none is last
  published: true,
  shown: new Set(["images", "units", "differ"]), // intervals by their source, and where sets differ
  pair: 0, // a place in the contrasts
  contrast: "difference",
  apart: 0, // a place among the pairs of sets between which distances are told
};

const kindShown = () => data.kinds[state.kind];
const setsShown = () => range(data.sets.length).filter((place) => !state.hidden.has(place));
const layerShown = () => data.layers[state.layer];

// What the page calls what was shown, what responds, and what that is made of.
const { words } = data;

const capitalised = (word) => word[0].toUpperCase() + word.slice(1);

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
