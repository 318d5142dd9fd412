// What a lecturer can press or choose. Each button shows its key.
import { el } from "./dom.mjs";

export const button = (text, key, onclick, attributes = {}) =>
  el("button", { type: "button", onclick, ...attributes }, el("span", null, text), key ? el("kbd", null, key) : null);

export function choice({ label, name, options, value, onchange }) {
  const select = el(
    "select",
    { name, onchange: () => onchange(select.value) },
    options.map(([option, text]) => el("option", { value: option, selected: String(option) === String(value) }, text)),
  );
  return el("label", { class: "choice" }, el("span", null, label), select);
}
