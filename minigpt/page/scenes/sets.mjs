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

/** Of one line: a line break is shown as ↵. Enter applies what was typed, and leaves; with Shift it is a line break. */
export function promptLine({ label, title, onchange }) {
  let applied;
  const input = el("input", { class: "set-prompt", name: "prompt", type: "text", "aria-label": label, title, autocomplete: "off",
    spellcheck: "false", onblur: apply, onkeydown: onEnter });
  return { node: input, show };

  function apply() {
    if (input.value !== applied) onchange(input.value.replaceAll("↵", "\n"));
  }

  function onEnter(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (event.shiftKey) input.setRangeText("↵", input.selectionStart, input.selectionEnd, "end");
    else input.blur();
  }

  /** What is being typed stays. */
  function show(text) {
    if (document.activeElement !== input) input.value = applied = oneLine(text);
  }
}

export const oneLine = (text) => text.replaceAll("\n", "↵");
export const visible = (text) => oneLine(text).replaceAll(" ", "␣");
