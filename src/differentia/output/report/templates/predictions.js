// What the network says of each image.
"use strict";

let probabilities = null;

// The columns that are named: the most probable classes of each set first, then others where there is room.
function namedClasses(width) {
  const { classes, best } = data.predictions;
  const apart = (classes.length * ROOM_FOR_A_NAME) / width;
  const ranked = range(best[0].length).map((rank) => setsShown().map((set) => classes.indexOf(best[set][rank][0])));
  const named = [];
  for (const place of [...ranked.flat().filter((found) => found >= 0), ...range(classes.length)]) {
    if (named.every((other) => Math.abs(other - place) >= apart)) named.push(place);
  }
  return { named: named.sort((one, other) => one - other), first: new Set(ranked[0]) };
}

function drawPredictions() {
  if (!data.predictions) return;
  const { images: rows, names, classes, n_classes: total } = data.predictions;
  probabilities = probabilities || rowsOf(data.predictions.values);
  const shown = rowsShown(rows);
  const images = shown.map((place) => rows[place]);
  const blocks = setBlocks(images);
  const width = Math.max(120, widthOf("predictions") - 140);
  const { named, first } = namedClasses(width);
  const level = Math.max(...names.map((name) => name.length)) * (LETTER + 1) < width / classes.length;
  const tickOf = (place) => (first.has(place) ? `<b>${plain(shortened(names[place], 22))}</b>` : plain(shortened(names[place], 22)));
  draw("predictions", [
    {
      type: "heatmap",
      z: shown.map((place) => probabilities[place]),
      customdata: images.map((row) => names.map((name) => `${plain(imageName(row))}<br>${plain(name)}`)),
      hovertemplate: "%{customdata}<br>probability %{z:.3f}<extra></extra>",
      colorscale: "Viridis",
      zmin: 0,
      zmax: 1,
      colorbar: COLOUR_BAR,
    },
  ], {
    height: 520,
    shapes: separators(blocks, classes.length),
    xaxis: axis({ tickmode: "array", tickvals: named, ticktext: named.map(tickOf), tickangle: level ? 0 : -60, showgrid: false }),
    yaxis: axis({ ...blockTicks(blocks, 400), autorange: "reversed", tickangle: -90 }),
  });
  const fewer = classes.length < total ? ` The ${classes.length} of ${counted(total)} classes that reach the highest probability in some image are shown.` : "";
  const thinned = rows.length < data.n_images ? ` ${rows.length} of ${counted(data.n_images)} images are shown, evenly chosen from each set.` : "";
  byId("predictions-caption").textContent = `The class probabilities that the network gives: a row for each image, ordered by set, and a column for each class. Bold: the most probable class of each set.${fewer}${thinned}`;
}
