// SPDX-License-Identifier: MIT OR Apache-2.0
// Filters the tables. What is asked for is in the fragment of the address, so that it can be sent.
"use strict";
const form = document.getElementById("filter");
const asked = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

function filter() {
  const { text = "", verdict, fs, run } = Object.fromEntries(asked());
  const hide = (selector, is) => document.querySelectorAll(selector).forEach((one) => (one.hidden = !is(one)));
  hide("section.run", (one) => !run || one.id === run);
  hide("[data-run]", (one) => !run || one.dataset.run === run);
  hide("[data-fs]", (one) => !fs || one.dataset.fs === fs);
  const is = (cell) => !cell.hidden && (!verdict || cell.classList.contains(verdict));
  let [shown, planned] = [0, 0];
  for (const row of document.querySelectorAll("#overview tbody tr, .run tbody tr")) {
    const [head, ...all] = row.cells;
    const cells = all.filter((cell) => cell.textContent);
    cells.forEach((cell) => cell.classList.toggle("other", Boolean(verdict) && !is(cell)));
    row.hidden = !head.textContent.toLowerCase().includes(text.toLowerCase()) || !cells.some(is);
    const section = row.closest(".run");
    if (section) {
      planned += cells.length;
      shown += row.hidden || section.hidden ? 0 : cells.filter(is).length;
    }
  }
  form.querySelector("output").textContent = `${shown} of ${planned} shown`;
}

function ask(wanted) {
  form.querySelectorAll("[name]").forEach((field) => (field.value = wanted.get(field.name) ?? ""));
  filter();
}

function read() {
  const fragment = location.hash.slice(1);
  const linked = document.getElementById(fragment);
  if (!linked) {
    ask(new URLSearchParams(fragment));
  } else if (linked.closest("[hidden]")) {
    // What is linked to is wanted more than what was asked for before.
    ask(new URLSearchParams());
    linked.scrollIntoView();
  }
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
form.addEventListener("input", () => {
  history.replaceState(null, "", `#${asked()}`);
  filter();
});
addEventListener("hashchange", read);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".panel:target .close")?.click();
});
filter();
read();
