// What is behind a point: one layer's distances, pairs, channels and maps.
"use strict";

const LETTER = 7; // pixels
// Of more sets in a heat map, only large ones are named, and none is set apart.
const FEW_BLOCKS = 20;

// The figures' colours for what is below and above the mean: blue, white, red.
const DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"].map((colour, place, all) => [place / (all.length - 1), colour]);

function drawLayer() {
  const layer = layerShown();
  byId("layer").value = String(state.layer);
  if (byId("layer").selectedIndex < 0) showAllLayers();
  byId("previous").disabled = state.layer === 0;
  byId("next").disabled = state.layer === data.layers.length - 1;
  byId("layer-printed").textContent = `: ${layer.name}`;
  byId("layer-facts").textContent = [layer.kind, ...(layer.shape.includes("x") ? [layer.shape.replaceAll("x", " \u00d7 ")] : []), `${counted(layer.size)} ${words.units}`].join(", ");
  drawLayerTable();
  drawDistribution();
  drawMatrix();
  drawMap();
  drawPairs();
  if (byId("filters")) {
    drawFilters();
    drawMaps();
  }
}

function ofPairs() {
  return kindShown().pairs && kindShown().pairs.layers[state.layer];
}

const noDistances = () => `There are no distances: ${data.missing.distance}.`;

// The number of units at which distances are known.
const largest = () => kindShown().n_units.length - 1;

function drawLayerTable() {
  const kind = kindShown();
  const pairs = ofPairs();
  const count = state.count === "all" ? largest() : state.count;
  const columns = ["Set", "Differentiation"];
  const ofDistances = pairs && kind.pairs.measured && count === largest();
  if (kind.relative) columns.push("Relative");
  if (layerShown().mean) columns.push(`Mean of the whole ${words.place}`, `SD of the whole ${words.place}`);
  if (ofDistances) columns.push("Distances, mean");
  const beside = count === largest() ? kind.beside : null;
  if (beside) columns.push("Dimensionality");
  const rows = setsShown().map((set) => {
    const at = (lines) => {
      const place = [set, state.layer, count];
      const [images, known] = ["images", "units"].map((source) => within(lines, source, ...place));
      const units = known && isWhole(state.layer, count) ? `all of the ${words.place}` : known;
      const intervals = [[words.items, images], [words.units, units]];
      return [valueText(lines, ...place), ...intervals.filter(([, interval]) => interval).map(([name, interval]) => element("span", { class: "where" }, `${name}: ${interval}`))];
    };
    const layer = layerShown();
    const flag = kind.not_converged[set][state.layer][count] ? " (not converged)" : "";
    const [value, ...intervals] = at(kind.raw);
    const cells = [[value + flag, ...intervals]];
    if (kind.relative) cells.push(at(kind.relative));
    if (layer.mean) cells.push(written(layer.mean[set]), written(layer.sd[set]));
    if (ofDistances) cells.push(distancesOf(set));
    if (beside) cells.push(dimensionsOf(set));
    return element("tr", {}, element("th", { scope: "row" }, namedSet(set)), ...cells.map((cell) => element("td", {}, ...[cell].flat())));
  });
  byId("layer-note").textContent = layerNote(count);
  byId("layer-table").replaceChildren(
    element("caption", { class: "unseen" }, `${layerShown().name}, ${usedUnits(state.layer, count)}`),
    element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows),
  );
}

// The mean of a set's distances, and below it where half and nearly all of them lie.
function distancesOf(set) {
  const found = ofPairs().sets[set];
  if (!found) return written(null);
  const { mean, ends } = kindShown().beside;
  const notes = { "middle half": found.quartiles, "5 to 95 %": ends[set][state.layer] };
  return [written(mean[set][state.layer]), ...Object.entries(notes).map(([name, values]) => element("span", { class: "where" }, `${name}: `, ...wholeNumbers(values.map((value) => written(value)).join(" to "))))];
}

// In how many dimensions a set's responses vary, and below it the estimate for all images of the kind.
function dimensionsOf(set) {
  const { dimensionality, dimensionality_unbiased: unbiased } = kindShown().beside;
  const value = dimensionality[set][state.layer];
  if (value === null) return written(null);
  const all = unbiased[set][state.layer];
  const notes = [`of at most ${counted(data.sets[set].images - 1)}`, ...(all === null ? [] : [`all ${words.items} of the kind: ${figures(all)}`])];
  return [figures(value), ...notes.map((note) => element("span", { class: "where" }, note))];
}

// A number of dimensions with three figures.
const figures = (value) => (value >= 100 ? counted(Math.round(value)) : value.toPrecision(3));

// What the numbers and distances of the layer are of.
function layerNote(count) {
  const kind = kindShown();
  const said = [`Differentiation is that of ${usedUnits(state.layer, count)}.`];
  if (kind.confidence !== null) said.push(`Below it: its ${percent(kind.confidence)} intervals for other ${words.items} and for other draws of ${kind.noun}, where they are known.`);
  if (kind.pairs) said.push(`The distances below are those of ${usedUnits(state.layer, largest())}${kind.draws[largest()] > 1 ? " of draw 0" : ""}${count === largest() ? "" : ", the largest number, the only one whose distances are kept"}.`);
  if (kind.pairs && !kind.pairs.measured) said.push(`They are Euclidean${data.normalize === "none" ? "" : `, normalised by ${words.place}`}, whatever the measure (${data.metric}, ${data.normalize}): their median is not the differentiation.`);
  return said.join(" ");
}

function drawDistribution() {
  const pairs = ofPairs();
  if (!pairs) {
    sayInstead("distribution", noDistances());
    byId("distribution-caption").textContent = "";
    explainLines("distribution-legend", []);
    return;
  }
  const shapes = [];
  const traces = [];
  for (const set of setsShown()) {
    const found = pairs.sets[set];
    if (!found) continue;
    const total = found.counts.reduce((sum, count) => sum + count, 0);
    traces.push({
      x: pairs.edges,
      y: [...found.counts.map((count) => (100 * count) / total), 0],
      customdata: found.counts,
      mode: "lines",
      line: { shape: "hv", color: setColour(set), width: 2, dash: DASHES[set % DASHES.length] },
      hoverinfo: "text",
      hovertext: found.counts.map((count, place) => `<b>${plain(data.sets[set].name)}</b><br>${written(pairs.edges[place])} to ${written(pairs.edges[place + 1])}: ${counted(count)} of ${counted(total)} pairs`),
      meta: { set },
    });
    traces.push({
      x: [found.median],
      y: [0],
      mode: "markers",
      cliponaxis: false,
      marker: { symbol: data.sets[set].symbol.plotly, size: 11, color: setColour(set) },
      hoverinfo: "text",
      hovertext: [`<b>${plain(data.sets[set].name)}</b><br>median ${written(found.median)}`],
      meta: { set, role: "median" },
    });
    shapes.push({ type: "line", x0: found.median, x1: found.median, yref: "paper", y0: 0, y1: 1, line: { color: setColour(set), width: 1, dash: DASHES[set % DASHES.length] } });
  }
  draw("distribution", traces, {
    height: 330,
    shapes,
    xaxis: axis({ title: distanceUnit(), rangemode: "tozero" }),
    yaxis: axis({ title: "% of pairs", rangemode: "tozero" }),
  });
  explainLines("distribution-legend", setsShown().map((set) => ({ text: namedSet(set), colour: setColour(set), dash: DASHES[set % DASHES.length] })));
  const kind = kindShown();
  const measured = kind.pairs.measured ? "The marked median is the set's differentiation in draw 0." : "The median is marked.";
  const constant = setsShown().filter((set) => !pairs.sets[set]).map((set) => data.sets[set].name);
  const left = constant.length ? ` All responses are the same for ${constant.join(", ")}.` : "";
  byId("distribution-caption").textContent = `All pairs of each set. ${measured}${left}`;
}

function distanceUnit() {
  return data.normalize === "none" ? "distance / \u221aK" : "distance / (SD \u221aK)";
}

// A heat map with the images of each set together: where its name stands, and where the next begins.
function setBlocks(rows) {
  const blocks = [];
  rows.forEach((row, place) => {
    const last = blocks[blocks.length - 1];
    if (last && last.set === setOf(row)) last.end = place;
    else blocks.push({ set: setOf(row), start: place, end: place });
  });
  return blocks;
}

function blockTicks(blocks, pixels) {
  const images = blocks.length ? blocks[blocks.length - 1].end + 1 : 1;
  const room = (block) => Math.floor((pixels * (block.end - block.start + 1)) / images / LETTER);
  const named = blocks.length > FEW_BLOCKS ? blocks.filter((block) => room(block) >= 3) : blocks;
  return {
    tickmode: "array",
    tickvals: named.map((block) => (block.start + block.end) / 2),
    ticktext: named.map((block) => plain(shortened(data.sets[block.set].name, Math.max(3, room(block))))),
    showgrid: false,
  };
}

// Between the sets, across so many columns; where columns are images too, also between those.
function separators(blocks, columns, both = false) {
  const line = { color: "#ffffff", width: 1.5 };
  const ends = [-0.5, columns - 0.5];
  return blocks.length > FEW_BLOCKS ? [] : blocks.slice(1).flatMap(({ start }) => [
    { type: "line", x0: ends[0], x1: ends[1], y0: start - 0.5, y1: start - 0.5, line },
    ...(both ? [{ type: "line", y0: ends[0], y1: ends[1], x0: start - 0.5, x1: start - 0.5, line }] : []),
  ]);
}

function rowsShown(rows) {
  return range(rows.length).filter((place) => !state.hidden.has(setOf(rows[place])));
}

function drawMatrix() {
  const pairs = ofPairs();
  if (!pairs) {
    sayInstead("matrix", noDistances());
    byId("matrix-caption").textContent = "";
    return;
  }
  const rows = kindShown().pairs.images;
  const n = rows.length;
  const { values } = unpack(pairs.matrix);
  const full = range(n).map(() => new Array(n).fill(0));
  let place = 0;
  for (let first = 0; first < n; first++) {
    for (let second = first + 1; second < n; second++) full[first][second] = full[second][first] = values[place++];
  }
  const shown = rowsShown(rows);
  const images = shown.map((at) => rows[at]);
  if (n < data.n_images && setsShown().length && !images.length) {
    sayInstead("matrix", `None of the ${n} ${words.items} whose distances this page holds are of these sets.`);
    byId("matrix-caption").textContent = "";
    return;
  }
  const blocks = setBlocks(images);
  const side = Math.max(240, Math.min(widthOf("matrix") - 120, 340));
  draw("matrix", [
    {
      type: "heatmap",
      z: shown.map((first) => shown.map((second) => full[first][second])),
      customdata: images.map((first) => images.map((second) => `${plain(imageName(first))}<br>${plain(imageName(second))}`)),
      hovertemplate: "%{customdata}<br>distance %{z:.3f}<extra></extra>",
      colorscale: "Viridis",
      zmin: 0,
      colorbar: COLOUR_BAR,
    },
  ], {
    height: side + 80,
    shapes: separators(blocks, images.length, true),
    xaxis: axis({ ...blockTicks(blocks, side), constrain: "domain" }),
    yaxis: axis({ ...blockTicks(blocks, side), autorange: "reversed", scaleanchor: "x", constrain: "domain", tickangle: -90 }),
  });
  const thinned = n < data.n_images ? ` ${n} of ${counted(data.n_images)} are shown, evenly chosen from each set.` : "";
  const divided = data.normalize === "none" ? "" : " and by one SD for all sets, so that sets can be compared";
  byId("matrix-caption").textContent = `Distances between all ${words.items}, ordered by set, divided by \u221aK${divided}.${thinned}`;
}

// The picture of an image, which stands in the gallery if there is one; else none.
function pictureOf(row) {
  const shown = document.querySelector(`#image-${row} img`);
  return shown ? shown.src : data.images[row].picture;
}

// A picture that is seen larger once it is chosen.
const enlarging = (row, image) => element("button", { type: "button", class: "picture", "data-row": String(row), "aria-haspopup": "dialog" }, image);

function picture(row) {
  const { name } = data.images[row];
  const source = pictureOf(row);
  const small = source && source.startsWith("data:image/png") ? { class: "small" } : {};
  const shown = source ? [enlarging(row, element("img", { src: source, alt: name, ...small }))] : [];
  return element("figure", {}, ...shown, element("figcaption", {}, breakable(name)));
}

function drawPairs() {
  const pairs = ofPairs();
  if (!pairs) {
    byId("pairs").replaceChildren(element("p", { class: "note" }, noDistances()));
    return;
  }
  const cards = setsShown().flatMap((set) =>
    ["nearest", "farthest"].map((end) => {
      const found = pairs.sets[set];
      const title = element("p", {}, namedSet(set), `: ${end}, ${found ? written(found[end][2]) : "all responses are the same"}`);
      const two = found ? found[end].slice(0, 2).map(picture) : [];
      return element("div", { class: "pair" }, title, element("div", { class: "two" }, ...two));
    }),
  );
  byId("pairs").replaceChildren(...cards);
}

function drawFilters() {
  if (!data.filters) {
    sayInstead("filters", `There are no means of channels: ${data.missing.filter_mean || data.missing.layer_mean}.`);
    byId("filters-caption").textContent = "";
    return;
  }
  const layer = data.filters.layers[state.layer];
  if (!layer) {
    sayInstead("filters", "There are no means of channels: which axis of this layer's output holds them is not known.");
    byId("filters-caption").textContent = "";
    return;
  }
  const shown = rowsShown(data.filters.images);
  const images = shown.map((place) => data.filters.images[place]);
  const all = rowsOf(layer.values);
  const blocks = setBlocks(images);
  const what = layer.mapped ? "channel" : "unit";
  const ends = layer.starts.map((start, place) => (place + 1 < layer.starts.length ? layer.starts[place + 1] : layer.filters) - 1);
  const columns = layer.starts.map((start, place) => (ends[place] > start ? `${what}s ${start} to ${ends[place]}` : `${what} ${start}`));
  draw("filters", [
    {
      type: "heatmap",
      z: shown.map((place) => all[place]),
      customdata: images.map((row) => columns.map((column) => `${plain(imageName(row))}<br>${column}`)),
      hovertemplate: "%{customdata}<br>%{z:.3f} SD<extra></extra>",
      colorscale: layer.mapped ? "Viridis" : DIVERGING,
      zmin: layer.mapped ? 0 : -1,
      zmax: 1,
      colorbar: { ...COLOUR_BAR, title: { text: "SD", side: "top" } },
    },
  ], {
    height: 360,
    shapes: separators(blocks, columns.length),
    xaxis: axis({ title: layer.mapped ? "Channel" : "Unit", showgrid: false, ...filterTicks(layer) }),
    yaxis: axis({ ...blockTicks(blocks, 290), autorange: "reversed", tickangle: -90 }),
  });
  const together = layer.starts.length < layer.filters ? ` Neighbours share a column, which shows their mean: ${counted(layer.filters)} ${what}s in ${layer.starts.length} columns.` : "";
  const thinned = data.filters.images.length < data.n_images ? ` ${data.filters.images.length} of ${counted(data.n_images)} images are shown, evenly chosen from each set.` : "";
  const mean = layer.mapped ? "Each channel's response, averaged over positions," : "Response of each unit";
  byId("filters-caption").textContent = `${mean} to each ${words.item}, z-scored by the mean and SD of all ${words.units} of the ${words.place} over the set's ${words.items}. Colours end at ${layer.mapped ? "0 and 1" : "-1 and 1"} SD.${together}${thinned}`;
}

function filterTicks(layer) {
  const step = Math.ceil(layer.starts.length / 10);
  const places = range(layer.starts.length).filter((place) => place % step === 0);
  return { tickmode: "array", tickvals: places, ticktext: places.map((place) => String(layer.starts[place])) };
}

function drawMaps() {
  const here = data.maps.filter((map) => map.layer === state.layer);
  if (here.length) {
    byId("maps").replaceChildren(...here.flatMap(mapPictures));
    return;
  }
  const others = [...new Set(data.maps.map((map) => map.layer))];
  const say = element("p", { class: "note" }, others.length ? "No maps of channels were kept for this layer. There are maps for " : "No maps of channels were kept: choose some with --map LAYER:FILTER (maps=).");
  others.forEach((layer, place) => {
    const button = element("button", { type: "button" }, data.layers[layer].name);
    button.addEventListener("click", () => chooseLayer(layer));
    say.append(place ? " " : "", button);
  });
  byId("maps").replaceChildren(say);
}

function mapPictures(map) {
  const title = `Channel ${map.filter}: where it responds, in SD; dark is ${written(map.low)} and less, bright ${written(map.high)} and more${map.shrunk ? " (made smaller)" : ""}.`;
  const pictures = map.pictures
    .filter(([row]) => !state.hidden.has(setOf(row)))
    .map(([row, source]) => element("figure", { class: "map" }, enlarging(row, element("img", { src: source, alt: `Map of channel ${map.filter} for ${imageName(row)}` })), element("figcaption", {}, namedSet(setOf(row)), ", ", breakable(imageName(row)))));
  return [element("p", { class: "note" }, title), element("div", { class: "maps" }, ...pictures)];
}
