// One row, to the digit: its token, its place, its first numbers, when it was computed and how often.
import { el } from "../shell/dom.mjs";
import { growRow } from "./grow_facts.mjs";
import { percent } from "./grow_draw.mjs";
import { visible } from "./sets.mjs";

const FIRST = 4; // numbers

export function growDetails(t, run, view, { slot: at, layer, head }) {
  const slot = view.slots[at];
  if (slot.position === null) return [el("p", null, t("cell_empty", { slot: at, layer }))];
  const row = growRow(run, view.at, at, layer, head);
  const of = { first: FIRST, all: row.key.length };
  const told = t(row.times === 1 ? "once" : "often", { step: row.computed, times: row.times });
  return [
    el("p", { class: "grow-name" }, visible(slot.name)),
    el("p", { class: "quiet" }, t("place", { layer, position: slot.position })),
    el("dl", { class: "grow-digits" },
      el("dt", null, t("key", of)), el("dd", null, digits(row.key)),
      row.codes ? [el("dt", null, t("code_bits")), el("dd", null, row.codes.join(" "))] : null,
      el("dt", null, t("value", of)), el("dd", null, digits(row.value))),
    el("p", null, told),
    el("p", { class: "quiet" }, t("weight", { head, percent: percent(row.weight) || "0" })),
  ];
}

const digits = (numbers) => Array.from(numbers.subarray(0, FIRST), (number) => number.toFixed(2)).join(" ");
