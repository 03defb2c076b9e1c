// What the network says of each image.
"use strict";

let probabilities = null;

function drawPredictions() {
  if (!data.predictions) return;
  const { images: rows, names, classes, n_classes: total } = data.predictions;
  probabilities = probabilities || rowsOf(data.predictions.values);
  const shown = rowsShown(rows);
  const images = shown.map((place) => rows[place]);
  const blocks = setBlocks(images);
  const step = Math.max(1, Math.ceil((classes.length * ROOM_FOR_A_NAME) / Math.max(120, byId("predictions").clientWidth - 140)));
  const named = range(classes.length).filter((place) => place % step === 0);
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
    xaxis: axis({ tickmode: "array", tickvals: named, ticktext: named.map((place) => plain(shortened(names[place], 22))), tickangle: -60, showgrid: false }),
    yaxis: axis({ ...blockTicks(blocks, 400), autorange: "reversed", tickangle: -90 }),
  });
  const fewer = classes.length < total ? ` The ${classes.length} of ${counted(total)} classes that reach the highest probability in some image are shown.` : "";
  const thinned = rows.length < data.n_images ? ` ${rows.length} of ${counted(data.n_images)} images are shown, evenly chosen from each set.` : "";
  byId("predictions-caption").textContent = `Probability of each class in each image, ordered by set.${fewer}${thinned}`;
}
