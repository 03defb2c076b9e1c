// Where the images of a layer lie to each other.
"use strict";

// Pictures are drawn for so many images at most, so large, with an edge of their set's colour (pixels).
const MOST_PICTURED = 120;
const PICTURE = 34;
const EDGE = 5;
const MAP_HEIGHT = 460;

function drawMap() {
  const { pairs, map } = kindShown();
  showOnMap(null);
  if (!pairs) {
    sayInstead("map", noDistances());
    byId("map-caption").textContent = "";
    return;
  }
  const found = map[state.layer];
  if (!found) {
    sayInstead("map", "All responses are the same.");
    byId("map-caption").textContent = "";
    return;
  }
  const places = rowsOf(found.places);
  const shown = rowsShown(pairs.images);
  const rows = shown.map((at) => pairs.images[at]);
  const [x, y] = [0, 1].map((dimension) => shown.map((at) => places[at][dimension]));
  const pictures = rows.map(pictureOf);
  const pictured = rows.length <= MOST_PICTURED && pictures.every((source) => source);
  // One unit is as long in both directions, and pictures keep their size.
  const size = [widthOf("map") - 70, MAP_HEIGHT - 60];
  const middle = [x, y].map((values) => (Math.min(...values) + Math.max(...values)) / 2);
  const spans = [x, y].map((values) => Math.max(...values) - Math.min(...values));
  const around = pictured ? PICTURE + 2 * EDGE : 40;
  const pixel = Math.max(...spans.map((span, at) => span / (size[at] - around))) || 1 / size[0];
  const ranges = middle.map((value, at) => [value - (pixel * size[at]) / 2, value + (pixel * size[at]) / 2]);
  const title = (at) => `dimension ${at + 1} (${Math.round(100 * found.shares[at])} % of the variance)`;
  draw("map", [
    {
      x,
      y,
      mode: "markers",
      customdata: rows,
      marker: {
        symbol: pictured ? "square" : rows.map((row) => data.sets[setOf(row)].symbol.plotly),
        size: pictured ? PICTURE + EDGE : 8,
        opacity: pictured ? 1 : 0.8,
        color: rows.map((row) => setColour(setOf(row))),
      },
      hoverinfo: "text",
      hovertext: rows.map((row) => `<b>${plain(data.sets[setOf(row)].name)}</b><br>${plain(imageName(row))}`),
    },
  ], {
    height: MAP_HEIGHT,
    margin: { l: 58, r: 12, t: 10, b: 50 },
    images: pictured ? rows.map((row, at) => ({ source: pictures[at], xref: "x", yref: "y", x: x[at], y: y[at], sizex: PICTURE * pixel, sizey: PICTURE * pixel, xanchor: "center", yanchor: "middle", layer: "above" })) : [],
    xaxis: axis({ title: title(0), range: ranges[0], constrain: "domain" }),
    yaxis: axis({ title: title(1), range: ranges[1], scaleanchor: "x", constrain: "domain" }),
  }, { plotly_hover: ({ points: [point] }) => showOnMap(point.customdata), plotly_click: ({ points: [point] }) => enlargeOnMap(point.customdata) });
  explainSets("map-legend");
  const thinned = pairs.images.length < data.n_images ? ` ${pairs.images.length} of ${counted(data.n_images)} are shown, evenly chosen from each set.` : "";
  const enlarged = pictures.some((source) => source) ? " Point at one to see it, choose it to see it larger." : "";
  byId("map-caption").textContent = `${capitalised(words.items)} that get like responses lie close: the two dimensions of classical scaling of the distances above, which are the first two principal components of the responses, with the share of the variance that each shows. Sets that are not shown are part of it.${thinned}${enlarged}`;
}

// Which colour and symbol is which set.
function explainSets(id) {
  byId(id).replaceChildren(...setsShown().map((set) => element("li", {}, namedSet(set))));
}

// The picture of an image that is pointed at.
function showOnMap(row) {
  const source = row === null ? null : pictureOf(row);
  byId("map-picture").replaceChildren(...(source ? [picture(row)] : []));
}

function enlargeOnMap(row) {
  showOnMap(row);
  const image = byId("map-picture").querySelector("img");
  if (image) enlarge(row, image);
}
