// The picture of a step: a line for each slot, in it a row for each layer, and the newest token's attention.
import { el } from "../shell/dom.mjs";
import { visible } from "./sets.mjs";

const LINES = 12; // slots below each other, before the next column begins
const SHOWN = 16; // numbers of a key, and as many of a value, that are drawn

/** chosen: {slot, layer, head}. coming: the slot that is written next (null: a new one). */
export function growPicture(t, run, view, chosen, coming) {
  const step = run.steps[view.at];
  const columns = [];
  for (let from = 0; from < view.slots.length; from += LINES) {
    const lines = view.slots.slice(from, from + LINES).map((slot) => line(t, run, view, step, chosen, slot, coming));
    columns.push(el("div", { class: "grow-column" }, heading(t, step, run.request.cache), lines));
  }
  return columns;
}

function heading(t, step, cache) {
  const names = step.layers.map((_, at) => el("span", null, t("layer", { layer: at })));
  return el("div", { class: "grow-line grow-heading", "aria-hidden": "true" },
    el("span", null, t(cache === "sliding_window" ? "slot_position" : "position")), names, el("span", null, t("attention")));
}

function line(t, run, view, step, chosen, slot, coming) {
  const { attention } = step.layers[chosen.layer];
  const weight = attention[chosen.head * view.slots.length + slot.slot];
  const label = el("span", { class: "grow-token" },
    slotName(t, run, view, slot),
    slot.replaced === null ? null : el("s", null, visible(slot.replaced)),
    el("b", null, visible(slot.name)));
  return el("div", { class: `grow-line${slot.slot === coming ? " grow-coming" : ""}` },
    label,
    slot.kinds.map((kind, layer) => cell(t, run, step, chosen, slot, layer, kind)),
    el("span", { class: "grow-weight", style: `--weight: ${weight}` }, slot.position === null ? "" : percent(weight)));
}

/** Of a ring, the slots' own numbers: they stay where they are, and the tokens change. Else the token's position. */
function slotName(t, run, { cache }, { slot, position }) {
  if (cache !== "sliding_window") return el("i", null, String(position));
  const sink = slot < run.request.options.sinks ? el("span", { class: "grow-sink" }, t("sink")) : null;
  return el("i", null, sink, String(slot));
}

export const percent = (weight) => (weight < 0.005 ? "" : String(Math.round(100 * weight)));

function cell(t, run, step, chosen, slot, layer, kind) {
  const on = chosen.slot === slot.slot && chosen.layer === layer;
  const what = { token: visible(slot.name), position: slot.position, slot: slot.slot, layer };
  const bits = run.request.options.nbits;
  return el("button", {
    type: "button",
    class: `grow-row grow-${kind}${slot.leaving ? " grow-leaving" : ""}`,
    "data-slot": slot.slot,
    "data-layer": layer,
    tabindex: on ? 0 : -1,
    "aria-pressed": String(on),
    "aria-label": slot.position === null ? t("cell_empty", what) : t("cell", { ...what, kind: t(kind, { bits }) }),
  }, kind === "empty" ? null : el("span", { class: "grow-numbers", style: `background-image: ${strip(step, slot, layer)}` }));
}

/** The first numbers of the key, then of the value: the lighter the higher. Rounded ones have few shades. */
function strip(step, { slot }, layer) {
  const { keys, values, positions } = step.layers[layer], width = keys.length / positions.length;
  const shades = [keys, values].flatMap((numbers) => {
    const shown = numbers.subarray(slot * width, slot * width + SHOWN);
    const most = Math.max(...shown.map(Math.abs));
    return Array.from(shown, (number) => shade(number / most));
  });
  const each = 100 / shades.length;
  return `linear-gradient(to right, ${shades.map((colour, at) => `${colour} ${at * each}% ${(at + 1) * each}%`)})`;
}

const shade = (share) => `rgb(${share < 0 ? "0 0 0" : "255 255 255"} / ${(0.6 * Math.abs(share)).toFixed(2)})`;

/** What the colours mean, those that this cache shows, and what it holds. further: not all lines are in sight. */
export function growLegend(t, { cache, options }, { nbytes, room }, further) {
  const kinds = {
    none: ["new", "again"],
    dynamic: ["new", "kept"],
    sliding_window: ["new", "kept", "coming"],
    quantized: ["new", "kept", "codes"],
  }[cache];
  const signs = kinds.map((kind) => el("li", null, el("i", { class: `grow-row grow-${kind}` }), t(kind, { bits: options.nbits })));
  const words = [t(`bytes_${cache}`, { bytes: nbytes, room }), ...(further ? [t("further")] : [])];
  return [...signs, ...words.map((text) => el("li", null, text))];
}
