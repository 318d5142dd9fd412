// The finding of a step in a sentence, and its numbers as a table.
import { growRow } from "./grow_facts.mjs";
import { visible } from "./sets.mjs";

export function growFinding(t, run, view) {
  const facts = { step: view.at, rows: view.rows, needed: view.needed };
  return t(view.at ? "counts" : "prefill", facts) + AFTER[view.cache](t, view, run.request.options.nbits);
}

/** What this kind of cache did. */
const AFTER = {
  none: (t, { at, again }) => (at ? t("known", { again }) : ""),
  dynamic: (t, { at, kept }) => (at ? t("keeps", { kept }) : ""),
  sliding_window: turned,
  quantized: rounded,
};

function turned(t, view) {
  const slot = view.slots.find(({ replaced }) => replaced !== null);
  if (slot) return t("forgets", { old: visible(slot.replaced), new: visible(slot.name) });
  if (view.gone) return t(view.gone === 1 ? "has_forgotten_one" : "has_forgotten", { gone: view.gone });
  return t("forgets_nothing");
}

function rounded(t, { leaving: count, rounded: all, held }, bits) {
  if (count) return t(count === 1 ? "rounds_one" : "rounds", { count, bits });
  return t("has_rounded", { rounded: all, exact: held - all, bits });
}

/** For the curious: why computing again changes nothing; or what is rounded, and when. */
export function growRule(t, { cache, options }) {
  if (cache === "none") return t("why_same");
  if (cache !== "quantized") return null;
  const { group_key: group, residual_length: exact, q_group_size: size } = options;
  return t(`rule_${group}`, { exact, size });
}

/** caption, head and rows for page.table. */
export function growTable(t, run, view, { layer: chosen, head }) {
  const layers = run.steps[view.at].layers.map((_, layer) => t("layer", { layer }));
  const weight = `${t("attention")} (${t("layer", { layer: chosen })}, ${t("head", { head })})`;
  const rows = view.slots.map(({ slot, position, name, kinds }) => {
    const row = growRow(run, view.at, slot, chosen, head);
    const how = kinds.map((kind) => t(kind, { bits: run.request.options.nbits }));
    const told = position === null ? ["–", "–", "–"] : [row.computed, row.times, row.weight.toFixed(3)];
    return [slot, position === null ? "–" : `${position} ${visible(name)}`, ...how, ...told];
  });
  return [
    t("caption", { step: view.at, cache: t(view.cache) }),
    [t("slot"), t("position"), ...layers.map((layer) => t("how", { layer })), t("when"), t("times"), weight],
    rows,
  ];
}
