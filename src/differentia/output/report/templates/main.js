// The switches of the page.
"use strict";

function drawAll() {
  drawCurves();
  drawLayer();
  drawPredictions();
  drawContrast();
}

function chooseLayer(place) {
  state.layer = Math.max(0, Math.min(data.layers.length - 1, place));
  Plotly.relayout("curves", { "shapes[0].x0": state.layer, "shapes[0].x1": state.layer });
  drawLayer();
  const kind = kindShown();
  const count = state.count === "all" ? largest() : state.count;
  announce(`${layerShown().name}: ${setsShown().map((set) => `${data.sets[set].name} ${withSpread(kind.raw.mean[set][state.layer][count], kind.raw.spread[set][state.layer][count])}`).join(", ")}`);
}

function listCounts() {
  const kind = kindShown();
  const options = range(kind.n_units.length).reverse().map((place) => element("option", { value: String(place) }, kind.counted ? counted(kind.n_units[place]) : kind.units.replace("_", " ")));
  if (kind.n_units.length > 1) options.push(element("option", { value: "all" }, "all of these"));
  byId("count").replaceChildren(...options);
  byId("count").value = String(state.count);
  byId("count").disabled = options.length < 2;
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
    drawCurves();
  });
}
for (const input of document.getElementsByName("set")) {
  input.addEventListener("change", () => {
    if (input.checked) state.hidden.delete(Number(input.value));
    else state.hidden.add(Number(input.value));
    drawAll();
  });
}
on("kind", "change", (event) => {
  state.kind = Number(event.target.value);
  state.count = largest();
  listCounts();
  drawCurves();
  drawLayer();
});
on("count", "change", (event) => {
  state.count = event.target.value === "all" ? "all" : Number(event.target.value);
  drawCurves();
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
on("previous", "click", () => chooseLayer(state.layer - 1));
on("next", "click", () => chooseLayer(state.layer + 1));
for (const format of ["png", "svg"]) {
  on(`save-${format}`, "click", () => Plotly.downloadImage(curvesPicture(), { format, filename: "differentiation", width: 1100, height: 560, scale: format === "png" ? 2 : 1 }));
}
on("all-rows", "click", () => {
  everyRow = true;
  drawTable();
});
on("copy-table", "click", () => copyText(tabbed(FIELDS, sortedRecords()), "Table"));
on("download-table", "click", () => save("differentiation.csv", "text/csv", csv(FIELDS, sortedRecords())));
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copyText(textOf(byId(button.dataset.copy)), "Text"));
}
on("find", "input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  let found = 0;
  for (const item of document.querySelectorAll(".gallery > ul > li")) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
    found += item.hidden ? 0 : 1;
  }
  byId("found").textContent = wanted ? `${found} found` : "";
});
on("theme", "change", (event) => {
  setTheme(event.target.value === "auto" ? null : event.target.value);
  drawAll();
});
media.addEventListener("change", drawAll);
// Plots are drawn with the colours of the moment, and paper is white.
let onScreen;
window.addEventListener("beforeprint", () => {
  onScreen = document.documentElement.dataset.theme;
  printing = true;
  setTheme("light");
  drawAll();
});
window.addEventListener("afterprint", () => {
  printing = false;
  setTheme(onScreen);
  drawAll();
});

listCounts();
drawAll();
for (const plot of ["curves", "contrast"]) if (byId(plot)) byId(plot).on("plotly_click", (event) => chooseLayer(Math.round(event.points[0].x)));
if (byId("numbers")) drawTable();
document.body.dataset.ready = "true";
