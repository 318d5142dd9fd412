// The picture: the line of code, a cell for each new token, and both texts side by side.
import { el } from "../shell/dom.mjs";
import { LENGTHS } from "./break_it_state.mjs";
import { oneLine, visible } from "./sets.mjs";

const LONG = 24; // letters

export function codeLines(t, { where, before, after }) {
  const lines = el("pre", null,
    el("del", null, el("span", { "aria-hidden": "true" }, "✓ "), before),
    el("ins", null, el("span", { "aria-hidden": "true" }, "✗ "), after));
  return [el("p", { class: "quiet" }, t("line_of", { where })), lines];
}

/** Of a bug that only shows where the cache was used before: for which text. */
export const toldBefore = (t, { earlier }) => (earlier ? t("earlier", { text: oneLine(earlier).trim() }) : "");

/** A cell for each new token; those that are not shown yet are empty. */
export function bandCells(t, { tokens }) {
  return LENGTHS.map((at) => {
    const kind = tokens[at - 1]?.kind;
    return el("i", { class: `break-cell${kind ? ` break-${kind}` : ""}`, title: kind ? `${at}: ${t(kind)}` : null });
  });
}

export const bandLegend = (t) => ["right", "unseen", "wrong"].map((kind) =>
  el("li", null, el("i", { class: `break-cell break-${kind}` }), t(kind)));

/** Both texts; the first different token is marked in each. */
export function bothTexts(t, { prompt }, { tokens, wrong }) {
  const texts = { right: tokens.map(({ right }) => right), broken: tokens };
  return Object.entries(texts).map(([which, written]) =>
    el("div", { class: `pane break-text-${which}` },
      el("h2", { class: "quiet" }, t(`text_${which}`)),
      el("p", { class: "break-text" }, el("span", { class: "break-prompt" }, ending(oneLine(prompt))), parted(written, wrong))));
}

/** Of a long prompt, the end: there the texts begin. */
const ending = (prompt) => (prompt.length > LONG ? `… ${Array.from(prompt).slice(-LONG).join("")}` : prompt);

function parted(tokens, wrong) {
  const text = (from, to) => oneLine(tokens.slice(from, to).map((token) => token.text).join(""));
  if (wrong === null) return [text()];
  const { text: whole, name } = tokens[wrong - 1];
  return [text(0, wrong - 1), el("mark", null, oneLine(whole || name)), el("span", { class: "break-after" }, text(wrong))];
}

/** The first row that differs, in words. */
export function firstRow(t, first, number) {
  if (!first) return t("no_row");
  const { what, layer, position, token, difference, at } = first;
  return t("first_row", { at, layer, position, token: visible(token), how: t(`first_${what}`, { by: number(difference ?? 0) }) });
}

/** caption, head and rows for page.table. */
export function breakTable(t, bug, { tokens }) {
  const rows = tokens.map(({ at, right, name, kind }) => [at, visible(right.name), visible(name), t(kind)]);
  return [t(bug), [t("token_number"), t("text_right"), t("text_broken"), t("state")], rows];
}
