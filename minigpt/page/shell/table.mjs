// The numbers behind a picture: for those who can't see it, and those who want to know them to the digit.
import { el } from "./dom.mjs";

export function table(caption, head, rows) {
  return el(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      null,
      el("thead", null, el("tr", null, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", null, rows.map(row)),
    ),
  );
}

const row = ([first, ...rest]) =>
  el("tr", null, el("th", { scope: "row" }, String(first)), rest.map((text) => el("td", null, String(text))));
