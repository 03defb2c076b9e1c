// The numbers at a glance, and all of them: sorted, copied, saved as CSV.
"use strict";

function writeOverview() {
  const [{ raw, n_units: counts }] = data.kinds;
  for (const cell of document.querySelectorAll("#overview [data-layer]")) {
    const place = [Number(cell.dataset.set), Number(cell.dataset.layer), counts.length - 1];
    cell.prepend(written(valueAt(raw.mean, place), uncertainty(raw, ...place)));
  }
}

const FEW_ROWS = 100;
const interval = (name) => [`${name}_low`, `${name}_high`];

// What the fields of a column are, its heading, and whether it holds numbers.
const COLUMNS = [
  ["units", capitalised(words.units), false],
  ["set", "Set", false],
  ["layer", capitalised(words.place), false],
  ["n_units", `Number of ${words.units}`, true],
  ["units_used", `${capitalised(words.units)} used`, true],
  ["reference", "Relative to", false],
  ["differentiation", "Differentiation", true],
  ["sd_over_draws", "SD over draws", true],
  [interval("differentiation_units"), `Interval of ${words.units}`, true],
  [interval("differentiation_images"), `Interval of ${words.items}`, true],
  [interval("differentiation_both"), "Interval of both", true],
  ["relative", "Relative", true],
  ["relative_sd_over_draws", "SD of relative", true],
  [interval("relative_units"), `Of ${words.units}, relative`, true],
  [interval("relative_images"), `Of ${words.items}, relative`, true],
  [interval("relative_both"), "Of both, relative", true],
  ["doubt", "Not to be trusted", false],
  ["not_converged", "Not converged", false],
].map(([fields, label, isNumber]) => ({ fields: [fields].flat(), label, isNumber }));
const ofSeveralReferences = data.sets.some((set) => set.divided_by);
const FIELDS = COLUMNS.flatMap(({ fields }) => fields);
const order = { column: null, ascending: true };
let everyRow = false;

// One record for each kind of units, set, layer and number of units, as the command line prints with --json.
const records = data.kinds.flatMap((kind) =>
  data.sets.flatMap((set, atSet) =>
    data.layers.flatMap((layer, atLayer) =>
      kind.n_units.map((count, atCount) => {
        const at = (lines, name) => (lines ? lines[name][atSet][atLayer][atCount] : null);
        const limits = (name, lines) =>
          ["units", "images", "both"].flatMap((source) =>
            ["low", "high"].map((end) => [`${name}_${source}_${end}`, at(lines && lines[source], end)]),
          );
        return {
          units: kind.units,
          set: set.name,
          layer: layer.name,
          place: atLayer,
          n_units: count,
          units_used: kind.units_used[atLayer][atCount],
          reference: ofSeveralReferences ? set.divided_by : data.reference,
          differentiation: at(kind.raw, "mean"),
          sd_over_draws: at(kind.raw, "spread"),
          ...Object.fromEntries(limits("differentiation", kind.raw)),
          relative: at(kind.relative, "mean"),
          relative_sd_over_draws: at(kind.relative, "spread"),
          ...Object.fromEntries(limits("relative", kind.relative)),
          doubt: kind.doubt[atSet][atLayer][atCount],
          not_converged: kind.not_converged[atSet][atLayer][atCount],
          widths: Object.fromEntries(
            [["raw", "differentiation", "sd_over_draws"], ["relative", "relative", "relative_sd_over_draws"]].flatMap(([lines, ...names]) =>
              names.map((name) => [name, kind[lines] ? uncertainty(kind[lines], atSet, atLayer, atCount) : 0]),
            ),
          ),
        };
      }),
    ),
  ),
);

function sortedRecords() {
  if (order.column === null) return records;
  const key = order.column === "layer" ? "place" : order.column;
  const sign = order.ascending ? 1 : -1;
  return [...records].sort((one, other) => {
    const [a, b] = [one[key], other[key]];
    if (a === null || b === null) return (a === null) - (b === null); // what has no value comes last
    return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  });
}

// Intervals that are nowhere known have no column, nor have doubts where there are none, nor has the one reference.
const isShown = ({ fields: [name, ...others] }) => {
  if (name === "reference") return ofSeveralReferences;
  if (!others.length && name !== "doubt") return true;
  return records.some((record) => [name, ...others].some((one) => record[one] !== null && record[one] !== ""));
};
const columnsShown = () => COLUMNS.filter(isShown);

function tableCell(record, { fields, isNumber }) {
  const [name] = fields;
  const value = record[name];
  if (name === "not_converged") return value === null ? "" : value ? "yes" : "no";
  if (name === "n_units" && !data.kinds.find((kind) => kind.units === record.units).counted) return "";
  if (!isNumber) return breakable(String(value));
  if (name === "n_units" || name === "units_used") return counted(value);
  if (fields.some((field) => record[field] === null)) return "";
  return fields.length > 1 ? wholeNumbers(between(value, record[fields[1]])) : written(value, record.widths[name]);
}

function drawTable() {
  const columns = columnsShown();
  const head = columns.map(({ fields: [name], label, isNumber }) => {
    const sorted = order.column === name;
    const button = element("button", { type: "button" }, label + (sorted ? (order.ascending ? " \u25b2" : " \u25bc") : ""));
    button.addEventListener("click", () => {
      order.ascending = sorted ? !order.ascending : true;
      order.column = name;
      drawTable();
      byId("numbers").querySelector(`th[data-column="${name}"] button`).focus();
    });
    const direction = sorted ? { "aria-sort": order.ascending ? "ascending" : "descending" } : {};
    return element("th", { scope: "col", "data-column": name, ...direction, ...(isNumber ? { class: "number" } : {}) }, button);
  });
  const wanted = wantedIn("find-row");
  const found = sortedRecords().filter(({ set, layer }) => isFound(set, wanted) || isFound(layer, wanted));
  const shown = everyRow ? found : found.slice(0, FEW_ROWS);
  const rows = shown.map((record) => element("tr", {}, ...columns.map((column) => element("td", column.isNumber ? { class: "number" } : {}, ...[tableCell(record, column)].flat()))));
  byId("numbers").replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  byId("all-rows").hidden = shown.length === found.length;
  const looked = wanted ? `${counted(found.length)} rows are found. ` : "";
  byId("table-note").textContent = looked + (shown.length < records.length ? `${shown.length} of ${counted(records.length)} rows are shown; copies and the CSV hold all.` : `${counted(records.length)} rows.`);
}

// Every digit, in the order in which the rows are given.
function tableText(fields, rows, separator, quote) {
  const cell = (value) => (value === null ? "" : quote(String(value)));
  const lines = [fields, ...rows.map((record) => fields.map((name) => record[name]))];
  return lines.map((line) => line.map(cell).join(separator)).join("\n") + "\n";
}

const csv = (fields, rows) => tableText(fields, rows, ",", (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text));
const tabbed = (fields, rows) => tableText(fields, rows, "\t", (text) => text.replace(/[\t\n\r]/g, " "));
