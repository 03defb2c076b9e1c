// The switches of the page.
"use strict";

function drawAll() {
  drawCurves();
  drawSets();
  drawLayer();
  drawCourses();
  drawPredictions();
  drawContrast();
  drawDepth();
  drawBetween();
}

const CHOOSES_LAYER = { plotly_click: (event) => chooseLayer(Math.round(event.points[0].x)) };

function chooseLayer(place) {
  state.layer = Math.max(0, Math.min(data.layers.length - 1, place));
  keepAddress();
  Plotly.relayout("curves", { "shapes[0].x0": state.layer, "shapes[0].x1": state.layer });
  if (byId("sets-map") && byId("sets-order").value === "value") drawSets();
  drawLayer();
  drawCourses();
  drawDepth();
  const kind = kindShown();
  const count = state.count === "all" ? largest() : state.count;
  announce(`${layerShown().name}: ${setsShown().map((set) => `${data.sets[set].name} ${valueText(kind.raw, set, state.layer, count)}`).join(", ")}`);
}

function listCounts() {
  const kind = kindShown();
  const options = range(kind.n_units.length).reverse().map((place) => element("option", { value: String(place) }, kind.counted ? counted(kind.n_units[place]) : kind.units.replace("_", " ")));
  if (kind.n_units.length > 1) options.push(element("option", { value: "all" }, "all of these"));
  byId("count").replaceChildren(...options);
  byId("count").value = String(state.count);
  byId("count").disabled = options.length < 2;
}

// The layers whose names hold what is looked for.
function listLayers() {
  const wanted = byId("find-layer") ? byId("find-layer").value.trim().toLowerCase() : "";
  const found = range(data.layers.length).filter((place) => data.layers[place].name.toLowerCase().includes(wanted));
  byId("layer").replaceChildren(...found.map((place) => element("option", { value: String(place) }, data.layers[place].name)));
  byId("layer").value = String(state.layer);
  if (byId("layers-found")) byId("layers-found").textContent = wanted ? `${found.length} found` : "";
  return found;
}

function showAllLayers() {
  byId("find-layer").value = "";
  listLayers();
}

function sayShown() {
  if (!byId("sets-shown")) return;
  const found = wantedIn("find-set") ? `, ${counted(setsFound().length)} found` : "";
  byId("sets-shown").textContent = `${setsShown().length} of ${data.sets.length} are shown${found}`;
}

// The switches as the state is.
function showState() {
  sayShown();
  for (const input of document.getElementsByName("values")) input.checked = input.value === state.values;
  for (const input of document.getElementsByName("set")) input.checked = !state.hidden.has(Number(input.value));
  if (byId("kind")) byId("kind").value = String(state.kind);
  listCounts();
}

// A box that scrolls ends at a row, whatever its width.
function rowsWhole(box) {
  const always = box.hasAttribute("tabindex");
  const fit = () => {
    box.style.maxHeight = "";
    const scrolls = box.scrollHeight > box.clientHeight;
    if (!always) box.tabIndex = scrolls ? 0 : -1;
    if (!scrolls) return;
    const top = box.getBoundingClientRect().top + box.clientTop - box.scrollTop;
    const ends = Array.from(box.querySelectorAll("tr, li, .pair, label"), (row) => row.getBoundingClientRect().bottom - top);
    const last = Math.max(0, ...ends.filter((end) => end <= box.clientHeight + 0.5));
    if (last > 0) box.style.maxHeight = `${last + box.offsetHeight - box.clientHeight}px`;
  };
  new ResizeObserver(fit).observe(box.firstElementChild);
}

function on(id, event, act) {
  const place = byId(id);
  if (place) place.addEventListener(event, act);
}

function save(name, type, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// With paragraphs and items on lines of their own, also where it is folded.
function textOf(place) {
  const blocks = place.querySelectorAll("p, li");
  return blocks.length ? Array.from(blocks, (block) => block.textContent.trim()).join("\n\n") : place.textContent.trim();
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context: by a selection.
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce(`${what} copied`);
}

for (const input of document.getElementsByName("values")) {
  input.addEventListener("change", () => {
    state.values = input.value;
    keepAddress();
    drawCurves();
    drawSets();
  });
}
for (const input of document.getElementsByName("set")) {
  input.addEventListener("change", () => {
    if (input.checked) state.hidden.delete(Number(input.value));
    else state.hidden.add(Number(input.value));
    keepAddress();
    sayShown();
    drawAll();
  });
}
for (const [id, act] of [["all-sets", "delete"], ["no-sets", "add"]]) {
  on(id, "click", () => {
    for (const set of setsFound()) state.hidden[act](set);
    keepAddress();
    showState();
    drawAll();
  });
}
on("find-set", "input", listSets);
on("sets-order", "change", drawSets);
on("kind", "change", (event) => {
  state.kind = Number(event.target.value);
  state.count = largest();
  listCounts();
  keepAddress();
  drawCurves();
  drawSets();
  drawLayer();
});
on("count", "change", (event) => {
  state.count = event.target.value === "all" ? "all" : Number(event.target.value);
  keepAddress();
  drawCurves();
  drawSets();
  drawLayerTable();
});
for (const input of document.getElementsByName("shown")) {
  input.addEventListener("change", () => {
    if (input.checked) state.shown.add(input.value);
    else state.shown.delete(input.value);
    drawCurves();
  });
}
on("pair", "change", (event) => {
  state.pair = Number(event.target.value);
  drawContrast();
});
on("apart", "change", (event) => {
  state.apart = Number(event.target.value);
  drawBetween();
});
for (const input of document.getElementsByName("contrast")) {
  input.addEventListener("change", () => {
    state.contrast = input.value;
    drawContrast();
  });
}
on("copy-contrasts", "click", () => copyText(tabbed(CONTRAST_COLUMNS, contrastRecords()), "Table"));
on("download-contrasts", "click", () => save("contrasts.csv", "text/csv", csv(CONTRAST_COLUMNS, contrastRecords())));
on("published", "change", (event) => {
  state.published = event.target.checked;
  drawCurves();
});
on("layer", "change", (event) => chooseLayer(Number(event.target.value)));
on("find-layer", "input", listLayers);
on("find-layer", "change", () => {
  const [first] = listLayers();
  if (byId("find-layer").value.trim() && first !== undefined) chooseLayer(first);
});
on("previous", "click", () => chooseLayer(state.layer - 1));
on("next", "click", () => chooseLayer(state.layer + 1));
for (const format of ["png", "svg"]) {
  on(`save-${format}`, "click", () => Plotly.downloadImage(curvesPicture(), { format, filename: "differentiation", width: 1100, height: 560, scale: format === "png" ? 2 : 1 }));
}
on("all-rows", "click", () => {
  everyRow = true;
  drawTable();
});
on("find-row", "input", drawTable);
on("copy-table", "click", () => copyText(tabbed(FIELDS, sortedRecords()), "Table"));
on("download-table", "click", () => save("differentiation.csv", "text/csv", csv(FIELDS, sortedRecords())));
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copyText(textOf(byId(button.dataset.copy)), "Text"));
}
on("find", "input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  let found = 0;
  for (const gallery of document.querySelectorAll(".gallery")) {
    const before = found;
    for (const item of gallery.querySelectorAll(":scope > ul > li")) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
      found += item.hidden ? 0 : 1;
    }
    if (wanted && found > before) gallery.open = true;
  }
  byId("found").textContent = wanted ? `${found} found` : "";
});
on("theme", "change", (event) => {
  setTheme(event.target.value === "auto" ? null : event.target.value);
  drawAll();
});
media.addEventListener("change", drawAll);
// Plots become as wide as the window by themselves, but not the names below them fewer.
let widthOfWindow = window.innerWidth;
let resized;
window.addEventListener("resize", () => {
  if (window.innerWidth === widthOfWindow) return;
  widthOfWindow = window.innerWidth;
  clearTimeout(resized);
  resized = setTimeout(drawAll, 200);
});
// Plots are drawn with the colours of the moment, and paper is white.
let onScreen;
let folded = [];
window.addEventListener("beforeprint", () => {
  onScreen = document.documentElement.dataset.theme;
  folded = Array.from(document.querySelectorAll(".gallery:not([open])"));
  for (const gallery of folded) gallery.open = true;
  printing = true;
  setTheme("light");
  drawAll();
});
window.addEventListener("afterprint", () => {
  printing = false;
  for (const gallery of folded) gallery.open = false;
  setTheme(onScreen);
  drawAll();
});

function start() {
  const asked = readAddress();
  showState();
  drawAll();
  scrollToAddress(asked);
  document.body.dataset.ready = "true";
}

if (byId("numbers")) {
  writeOverview();
  drawTable();
}
for (const box of document.querySelectorAll(".tall, .few")) rowsWhole(box);
start();
