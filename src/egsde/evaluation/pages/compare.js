"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const rows = [...document.querySelectorAll("#columns tbody tr")];

function differences() {
  for (const row of document.querySelectorAll("tr[data-base]")) {
    const plain = row.dataset.significant !== "yes" && by("clear").checked;
    row.hidden = row.dataset.base !== by("base").value || plain;
  }
}

function sort() {
  const k = data.names.indexOf(by("sort").value), of = Number(by("of").value);
  const sign = by("order").value === "down" ? -1 : 1;
  const position = (row) => Number(row.dataset.row);
  const key = (row) => k < 0 ? position(row) : data.values[position(row)][of][k];
  const told = (value) => value === null ? "–" : Number(value).toPrecision(4);
  rows.sort((one, other) => {
    const a = key(one), b = key(other);
    if (a === null || b === null) return (a === null) - (b === null) || position(one) - position(other);
    return sign * (a - b) || position(one) - position(other);
  });
  document.querySelector("#columns tbody").append(...rows);
  for (const row of rows) {
    row.querySelectorAll("[data-run]").forEach((cell) => {
      const value = k < 0 ? null : data.values[position(row)][Number(cell.dataset.run)][k];
      cell.querySelector(".caption").textContent = k < 0 ? "" : told(value);
    });
  }
}

by("base").addEventListener("change", differences);
by("clear").addEventListener("change", differences);
for (const id of ["sort", "of", "order"]) by(id).addEventListener("change", sort);
by("size").addEventListener("input", () => {
  by("columns").style.setProperty("--wide", `${by("size").value}rem`);
});
differences();
