// A slider over a list of values. A screen reader is told the value in words, as it is shown.
import { el } from "../shell/dom.mjs";

/** Returns {node, show(value)}. text(value): in words. key: what else moves it. onvalue(value): it was moved. */
export function slider({ name, label, values, text, key, onvalue }) {
  const shown = el("b", null);
  const input = el("input", { type: "range", name, min: 0, max: values.length - 1, step: 1 });
  const node = el(
    "label",
    { class: "slider" },
    el("span", null, label, " ", shown, key ? el("kbd", { "aria-hidden": "true" }, key) : null),
    input,
  );
  input.addEventListener("input", () => onvalue(values[input.value]));
  const show = (value) => {
    input.value = values.indexOf(value);
    input.setAttribute("aria-valuetext", text(value));
    shown.replaceChildren(text(value));
  };
  return { node, show };
}
