// All numbers: sorted, copied, saved as CSV.
"use strict";

const FEW_ROWS = 100;
const COLUMNS = [
  ["units", "Units", false],
  ["set", "Set", false],
  ["layer", "Layer", false],
  ["n_units", "Number of units", true],
  ["units_used", "Units used", true],
  ["differentiation", "Differentiation", true],
  ["sd_over_draws", "SD over draws", true],
  ["relative", "Relative", true],
  ["relative_sd_over_draws", "SD of relative", true],
  ["not_converged", "Not converged", false],
];
const order = { column: null, ascending: true };
let everyRow = false;

// One record for each kind of units, set, layer and number of units, as the command line prints with --json.
const records = data.kinds.flatMap((kind) =>
  data.sets.flatMap((set, atSet) =>
    data.layers.flatMap((layer, atLayer) =>
      kind.n_units.map((count, atCount) => {
        const at = (lines, name) => (lines ? lines[name][atSet][atLayer][atCount] : null);
        return {
          units: kind.units,
          set: set.name,
          layer: layer.name,
          place: atLayer,
          n_units: count,
          units_used: kind.units_used[atLayer][atCount],
          differentiation: at(kind.raw, "mean"),
          sd_over_draws: at(kind.raw, "spread"),
          relative: at(kind.relative, "mean"),
          relative_sd_over_draws: at(kind.relative, "spread"),
          not_converged: kind.not_converged[atSet][atLayer][atCount],
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

function tableCell(record, [name, , isNumber]) {
  const value = record[name];
  if (name === "not_converged") return value === null ? "" : value ? "yes" : "no";
  if (name === "n_units" && !data.kinds.find((kind) => kind.units === record.units).counted) return "";
  if (!isNumber) return String(value);
  if (name === "n_units" || name === "units_used") return counted(value);
  return value === null ? "" : written(value);
}

function drawTable() {
  const head = COLUMNS.map(([name, label]) => {
    const sorted = order.column === name;
    const button = element("button", { type: "button" }, label + (sorted ? (order.ascending ? " \u25b2" : " \u25bc") : ""));
    button.addEventListener("click", () => {
      order.ascending = sorted ? !order.ascending : true;
      order.column = name;
      drawTable();
      byId("numbers").querySelector(`th[data-column="${name}"] button`).focus();
    });
    const direction = sorted ? { "aria-sort": order.ascending ? "ascending" : "descending" } : {};
    return element("th", { scope: "col", "data-column": name, ...direction }, button);
  });
  const shown = everyRow ? sortedRecords() : sortedRecords().slice(0, FEW_ROWS);
  const rows = shown.map((record) => element("tr", {}, ...COLUMNS.map((column) => element("td", column[2] ? { class: "number" } : {}, tableCell(record, column)))));
  byId("numbers").replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  byId("all-rows").hidden = shown.length === records.length;
  byId("table-note").textContent = shown.length < records.length ? `${shown.length} of ${counted(records.length)} rows are shown; copies and the CSV hold all.` : `${counted(records.length)} rows.`;
}

// Every digit, in the order in which the rows stand.
function tableText(separator, quote) {
  const cell = (value) => (value === null ? "" : quote(String(value)));
  const lines = [COLUMNS.map(([name]) => name), ...sortedRecords().map((record) => COLUMNS.map(([name]) => record[name]))];
  return lines.map((line) => line.map(cell).join(separator)).join("\n") + "\n";
}

const csv = () => tableText(",", (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text));
const tabbed = () => tableText("\t", (text) => text.replace(/[\t\n\r]/g, " "));
