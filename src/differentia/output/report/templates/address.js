// What is seen, in the address: a link opens there, and the browser goes back and forward.
"use strict";

// A frame in a notebook has no address of its own.
const ADDRESSED = !document.body.classList.contains("main-view");

function addressOfState() {
  const kind = kindShown();
  const said = new URLSearchParams({ layer: layerShown().name });
  if (data.kinds.length > 1) said.set("kind", kind.units);
  if (kind.n_units.length > 1) said.set("units", state.count === "all" ? "all" : kind.n_units[state.count]);
  if (state.values !== "raw") said.set("values", state.values);
  if (!setsShown().length) said.set("set", "");
  else if ([...state.hidden].sort().join() !== [...AT_FIRST.hidden].sort().join()) for (const set of setsShown()) said.append("set", data.sets[set].name);
  return `#${said}`;
}

function keepAddress() {
  if (ADDRESSED && addressOfState() !== window.location.hash) window.history.pushState(null, "", addressOfState());
}

const FIELDS_OF_ADDRESS = ["layer", "kind", "units", "values", "set"];

// What is seen where the address says nothing.
const AT_FIRST = { values: state.values, kind: state.kind, layer: state.layer, hidden: new Set(state.hidden) };

// Take over what the address says, and of it what is there; return whether it says anything of what is seen.
function readAddress() {
  const { hash } = window.location;
  const said = new URLSearchParams(hash.slice(1));
  const says = ADDRESSED && FIELDS_OF_ADDRESS.some((name) => said.has(name));
  if (hash && !says) return false; // a link to a section leaves everything as it is
  const known = (name, all) => (all.indexOf(said.get(name)) >= 0 ? { [name]: all.indexOf(said.get(name)) } : {});
  Object.assign(state, AT_FIRST, known("layer", data.layers.map(({ name }) => name)), known("kind", data.kinds.map(({ units }) => units)));
  const counts = kindShown().n_units;
  const count = counts.indexOf(Number(said.get("units")));
  state.count = said.get("units") === "all" && counts.length > 1 ? "all" : count >= 0 ? count : largest();
  if (said.get("values") === "relative" && data.reference) state.values = "relative";
  const named = data.sets.map(({ name }) => said.getAll("set").includes(name));
  if (named.includes(true) || said.get("set") === "") state.hidden = new Set(range(named.length).filter((set) => !named[set]));
  else state.hidden = new Set(AT_FIRST.hidden);
  return says;
}

// Where a link leads to, which was drawn only now.
function scrollToAddress(toLayer) {
  const target = toLayer ? byId("layer-section") : document.getElementById(window.location.hash.slice(1));
  if (target) target.scrollIntoView();
}

window.addEventListener("popstate", () => {
  const before = addressOfState();
  readAddress();
  if (addressOfState() === before) return;
  showState();
  drawAll();
});
