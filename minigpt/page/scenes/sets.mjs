// A row of buttons of which one is pressed, all to be seen at once; and a line for a prompt.
import { el } from "../shell/dom.mjs";
import { button } from "../shell/controls.mjs";

/** shown: the words of a value. node: the row. show(value): which one is pressed. */
export function buttonSet({ label, key, values, shown = String, onchoose }) {
  const buttons = values.map((value) => button(shown(value), null, () => onchoose(value), { "aria-pressed": "false" }));
  const node = el("div", { class: "set", role: "group", "aria-label": label },
    el("span", { class: "quiet" }, label, " ", el("kbd", null, key)), buttons);
  const show = (value) => buttons.forEach((each, at) => each.setAttribute("aria-pressed", String(values[at] === value)));
  return { node, show };
}

/** Of one line: a line break is shown, and can be typed, as ↵. */
export function promptLine({ label, onchange }) {
  const input = el("input", { class: "set-prompt", name: "prompt", type: "text", "aria-label": label, autocomplete: "off",
    spellcheck: "false", onchange: () => onchange(input.value.replaceAll("↵", "\n")) });
  return { node: input, show: (text) => (input.value = oneLine(text)) };
}

export const oneLine = (text) => text.replaceAll("\n", "↵");
export const visible = (text) => oneLine(text).replaceAll(" ", "␣");
