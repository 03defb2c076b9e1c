// What is large is kept compressed: the data, and Plotly, a script that the page's policy knows, like the page's own.
"use strict";

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function run(text) {
  const script = document.createElement("script");
  script.append(text);
  document.head.append(script);
  script.remove();
}

async function begin() {
  const [data, plotly] = await Promise.all(["data", "plotly"].map(unpacked));
  document.getElementById("data").textContent = data;
  run(plotly);
  run(document.getElementById("script").textContent);
}

if (window.DecompressionStream) begin();
else document.getElementById("too-old").hidden = false;
