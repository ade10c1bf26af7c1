// SPDX-License-Identifier: MIT OR Apache-2.0
// Filters the tables. The filter is in the fragment of the address, so that a filtered page can be linked to.
"use strict";
const form = document.getElementById("filter");
const query = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

function filter() {
  const { text = "", verdict, fs, run } = Object.fromEntries(query());
  const show = (selector, isShown) =>
    document.querySelectorAll(selector).forEach((element) => (element.hidden = !isShown(element)));
  show("section.run", (section) => !run || section.id === run);
  show("[data-run]", (cell) => !run || cell.dataset.run === run);
  show("[data-fs]", (cell) => !fs || cell.dataset.fs === fs);
  const matches = (cell) => !cell.hidden && (!verdict || cell.classList.contains(verdict));
  let [shown, planned] = [0, 0];
  for (const row of document.querySelectorAll("#overview tbody tr, .run tbody tr")) {
    const [head, ...all] = row.cells;
    const cells = all.filter((cell) => cell.textContent);
    cells.forEach((cell) => cell.classList.toggle("other", Boolean(verdict) && !matches(cell)));
    row.hidden = !head.textContent.toLowerCase().includes(text.toLowerCase()) || !cells.some(matches);
    const section = row.closest(".run");
    if (section) {
      planned += cells.length;
      shown += row.hidden || section.hidden ? 0 : cells.filter(matches).length;
    }
  }
  form.querySelector("output").textContent = `${shown} of ${planned} shown`;
}

function setFilter(parameters) {
  form.querySelectorAll("[name]").forEach((field) => (field.value = parameters.get(field.name) ?? ""));
  filter();
}

function readFragment() {
  const fragment = location.hash.slice(1);
  const target = document.getElementById(fragment);
  if (!target) {
    setFilter(new URLSearchParams(fragment));
  } else if (target.closest("[hidden]")) {
    // A link to a hidden element clears the filter.
    setFilter(new URLSearchParams());
    target.scrollIntoView();
  }
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
form.addEventListener("input", () => {
  history.replaceState(null, "", `#${query()}`);
  filter();
});
addEventListener("hashchange", readFragment);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".panel:target .close")?.click();
});
filter();
readFragment();
