// The pictures: each model's cache as a bar of a list, and each machine as a tank that weights and cache fill.
import { el } from "../shell/dom.mjs";
import { inBytes, kindOf, longestIn } from "./memory_facts.mjs";

/** Returns {node, show(all, state)}: one button for each model. onmodel(name): it was pressed. */
export function modelList(page, models, onmodel) {
  const rows = models.map((model) => {
    const [bar, kind, bytes] = [el("i", { class: "fill" }), el("span", { class: "kind" }), el("span", { class: "bytes" })];
    const button = el(
      "button",
      { type: "button", onclick: () => onmodel(model.name) },
      el("span", { class: "name" }, model.label),
      kind,
      el("span", { class: "bar" }, bar),
      bytes,
    );
    return { button, bar, kind, bytes };
  });
  const node = el("ul", { class: "models", "aria-label": page.t("models") }, rows.map(({ button }) => el("li", null, button)));
  const show = (all, { model: chosen, bits }) => {
    const most = Math.max(...all.map(({ cache }) => cache));
    all.forEach(({ model, kept, cache }, at) => {
      const { button, bar, kind, bytes } = rows[at];
      button.setAttribute("aria-pressed", model.name === chosen);
      bar.style = `width: ${(100 * cache) / most}%; background: var(--${kept})`;
      kind.replaceChildren(kindOf(page, model, bits));
      bytes.replaceChildren(inBytes(page.language, cache));
    });
  };
  return { node, show };
}

/** A machine's memory, and what lies in it. What is too much lies beyond its end, hatched. */
export function tank({ t, language }, { kept, cache, weights, total }, machine) {
  const { name, memory, fits } = machine;
  const whole = Math.max(total, memory);
  const percent = (bytes) => `${(100 * bytes) / whole}%`;
  const verdict = fits ? t("fits") : t("too_much", { bytes: inBytes(language, total - memory) });
  const part = (kind, bytes, colour) => el("i", { class: kind, style: `width: ${percent(bytes)}; background: ${colour}` });
  const picture = el(
    "div",
    { class: "tank", role: "img", "aria-label": t("sum", inWords(language, { weights, cache, total })) },
    part("weights", weights, "var(--muted)"),
    part("cache", cache, `var(--${kept})`),
    el("i", { class: "memory", style: `width: ${percent(memory)}` }),
    fits ? null : el("i", { class: "beyond", style: `left: ${percent(memory)}` }),
  );
  return el(
    "section",
    { class: fits ? "machine fits" : "machine" },
    el(
      "p",
      null,
      el("b", null, t("machine", { name: t(name), memory: inBytes(language, memory) })),
      el("b", { class: "verdict" }, `${fits ? "✓" : "✗"} ${verdict}`),
      el("span", { class: "quiet" }, longestIn(t, machine)),
    ),
    picture,
  );
}

/** Two digits after the point: with one, a sum may look wrong. */
export const inWords = (language, { weights, cache, total }) => ({
  weights: inBytes(language, weights, 2),
  cache: inBytes(language, cache, 2),
  total: inBytes(language, total, 2),
});

/** The same as a line, each part with the colour that it has below. */
export function sumOfParts({ t, language }, facts) {
  const { weights, cache, total } = inWords(language, facts);
  const swatch = (colour) => el("i", { class: "swatch", style: `background: ${colour}` });
  return [
    swatch("var(--muted)"), t("part_weights", { bytes: weights }), " + ",
    swatch(`var(--${facts.kept})`), t("part_cache", { bytes: cache }), ` = ${total}`,
  ];
}
