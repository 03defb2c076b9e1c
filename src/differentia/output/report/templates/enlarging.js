// A picture, larger: with its name, its set, and what the network says of it.
"use strict";

const LARGEST_PICTURE = 448; // pixels

// Single pixels are seen as they are, each as large as the other; photographs are smoothed.
function enlargedSize(image) {
  const side = Math.max(image.naturalWidth, image.naturalHeight);
  const most = Math.min(LARGEST_PICTURE, 0.8 * window.innerWidth);
  const times = isPixelated(image) ? Math.max(1, Math.floor(most / side)) : most / side;
  return times * image.naturalWidth;
}

const isPixelated = (image) => image.matches(".small, .map img");

function enlarge(row, image) {
  const { name, set, classes, known = [] } = data.images[row];
  byId("enlarged-name").replaceChildren(breakable(name));
  byId("enlarged-set").replaceChildren(namedSet(set));
  byId("enlarged-known").replaceChildren(breakable(known.map(([label, value]) => `${label}: ${value}`).join("; ")));
  byId("enlarged-known").hidden = !known.length;
  const picture = image.cloneNode();
  picture.classList.toggle("small", isPixelated(image));
  picture.style.width = `${enlargedSize(image)}px`;
  byId("enlarged-picture").replaceChildren(picture);
  const items = (classes || []).map(([called, probability]) => element("li", {}, breakable(called), " ", element("span", { class: "probability" }, probability.toFixed(3))));
  byId("enlarged-classes").replaceChildren(...items);
  byId("enlarged-classes").hidden = !items.length;
  byId("enlarged").showModal();
}

document.addEventListener("click", (event) => {
  const chosen = event.target.closest("button.picture");
  if (chosen) enlarge(Number(chosen.dataset.row), chosen.querySelector("img"));
  else if (event.target === byId("enlarged")) byId("enlarged").close(); // what lies around it
});
byId("enlarged-close").addEventListener("click", () => byId("enlarged").close());
