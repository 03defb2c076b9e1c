// Light and dark, and what all plots have in common.
"use strict";

const media = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : media.matches;
}

// The colour that a name of the style sheet stands for now.
function colourOf(name) {
  const probe = element("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// As the system has it where none is chosen.
function setTheme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

const setColour = (place) => data.sets[place].colour[isDark() ? "dark" : "light"];

function faded(hexadecimal, opacity) {
  const parts = [1, 3, 5].map((start) => parseInt(hexadecimal.slice(start, start + 2), 16));
  return `rgba(${parts.join(",")},${opacity})`;
}

function axis(options = {}) {
  const line = colourOf("--line");
  return {
    gridcolor: line,
    linecolor: line,
    zeroline: false,
    automargin: true,
    ticks: "",
    ...options,
    title: { text: options.title || "", standoff: 8, font: { size: 13 } },
  };
}

function layoutOf(options) {
  const text = colourOf("--text");
  const background = colourOf("--background");
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 48, r: 12, t: 8, b: 40 },
    showlegend: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: background, bordercolor: colourOf("--soft"), font: { color: text }, align: "left" },
    ...options,
  };
}

// In pixels: what fits onto A4 and US letter, with margins.
const PAPER_WIDTH = 680;
let printing = false;

// A double click shows the whole again; Plotly's own would go by the ranges of what was drawn first.
const CONFIG = { responsive: true, displayModeBar: false, doubleClick: false };

// A finger that scrolls the page must not zoom a plot.
const dragmode = () => (window.matchMedia("(pointer: coarse)").matches ? false : "zoom");

// On paper: that of the page, or of two plots side by side.
const paperWidth = (place) => (place.closest(".side-by-side") ? PAPER_WIDTH / 2 - 10 : PAPER_WIDTH);

const widthOf = (id) => (printing ? paperWidth(byId(id)) : byId(id).clientWidth);

// What a layout says of the ranges of its axes, as Plotly.relayout takes it.
function rangesOf(layout) {
  const axes = Object.entries({ xaxis: {}, yaxis: {}, ...layout }).filter(([name]) => /^[xy]axis\d*$/.test(name));
  return Object.fromEntries(axes.map(([name, { range, autorange = true }]) => (range ? [`${name}.range`, [...range]] : [`${name}.autorange`, autorange])));
}

function draw(id, traces, layout, events = {}) {
  const place = byId(id);
  const whole = rangesOf(layout);
  place.replaceChildren(...(place.data ? place.childNodes : []));
  place.style.height = `${layout.height}px`; // which Plotly asks for when the window changes
  const size = printing ? { width: paperWidth(place), autosize: false } : { autosize: true };
  Plotly.react(place, traces, layoutOf({ dragmode: dragmode(), ...size, ...layout }), CONFIG);
  for (const [name, listener] of Object.entries({ plotly_doubleclick: () => Plotly.relayout(place, whole), ...events })) {
    place.removeAllListeners(name); // of an earlier drawing
    place.on(name, listener);
  }
}

// A sentence where there is nothing to draw.
function sayInstead(id, text) {
  const place = byId(id);
  if (place.data) Plotly.purge(place);
  place.style.height = "auto";
  place.replaceChildren(element("p", { class: "note" }, text));
}

// Plotly's dashes of thin lines, in pixels.
const DASH_LENGTHS = { solid: "", dash: "9,9", dot: "3,3", dashdot: "9,3,3,3", longdash: "15,15", longdashdot: "15,6,3,6" };

function lineSample({ colour, dash, width = 2 }) {
  const [drawing, line] = ["svg", "line"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const [name, value] of Object.entries({ x1: 0, x2: 48, y1: 5, y2: 5, stroke: colour, "stroke-width": width, "stroke-dasharray": DASH_LENGTHS[dash] })) line.setAttribute(name, value);
  for (const [name, value] of Object.entries({ width: 48, height: 10, "aria-hidden": "true" })) drawing.setAttribute(name, value);
  drawing.append(line);
  return drawing;
}

// What each line of a plot is: its sample, and a text or an element.
function explainLines(id, lines) {
  byId(id).replaceChildren(...lines.map(({ text, ...looks }) => element("li", {}, lineSample(looks), " ", text)));
}

const COLOUR_BAR = { thickness: 10, outlinewidth: 0, len: 0.9 };
