// What can be pressed and chosen, and the places that each step fills.
import { oneLine } from "./grow_draw.mjs";
import { GROW_BITS, GROW_CACHES, GROW_GROUPS, GROW_LAST } from "./grow_run.mjs";
import { GROW_HEADS, growKey } from "./grow_state.mjs";

/** go: takes a change of the state. show(state, run): sets the controls to it. The rest are the places, and all of it. */
export function growParts({ t, el, button }, go) {
  let state;
  const press = (key) => () => go(growKey(key, state));
  const back = button(t("back"), "←", press("ArrowLeft"));
  const next = button(t("next"), "→", press("ArrowRight"), { class: "main" });
  const step = el("output", { class: "grow-step" });
  const prompt = el("input", { name: "prompt", type: "text", "aria-label": t("prompt"), autocomplete: "off",
    spellcheck: "false", onchange: () => go({ prompt: typed(prompt.value), step: 0, token: null }) });
  const sets = [
    choiceOf("cache", "C", GROW_CACHES, t),
    choiceOf("bits", "B", GROW_BITS, String),
    choiceOf("group", "G", GROW_GROUPS, t),
    choiceOf("head", "H", GROW_HEADS, String),
  ];
  const text = el("p", { class: "grow-text" });
  const refused = el("p", { class: "refused", hidden: true });
  const picture = el("div", { class: "grow-picture", role: "group", "aria-label": t("picture") });
  const details = el("aside", { class: "pane grow-details" });
  const legend = el("ul", { class: "grow-legend quiet" });

  function choiceOf(name, key, values, words) {
    const chosen = (value) => ({ "aria-pressed": String(value === state?.[name]) });
    const buttons = values.map((value) => button(words(value), null, () => go({ [name]: value }), chosen(value)));
    const set = el("div", { class: "grow-choice", role: "group", "aria-label": t(TITLES[name]) },
      el("span", { class: "quiet" }, t(TITLES[name]), " ", el("kbd", null, key)), buttons);
    return { set, name, values, buttons };
  }

  function show(now, run) {
    state = now;
    for (const { set, name, values, buttons } of sets) {
      set.hidden = ["bits", "group"].includes(name) && state.cache !== "quantized";
      buttons.forEach((each, at) => each.setAttribute("aria-pressed", String(values[at] === state[name])));
    }
    back.disabled = state.step === 0;
    next.disabled = state.step === GROW_LAST;
    step.value = t("step", { step: state.step });
    prompt.value = oneLine(state.prompt);
    refused.hidden = run.error === null;
    refused.textContent = run.error;
  }

  const bar = el("div", { class: "grow-bar" }, prompt, text, step, back, next);
  const choices = el("div", { class: "grow-bar" }, sets.map(({ set }) => set));
  const stage = el("div", { class: "grow-stage" }, el("div", null, picture, legend), details);
  return { all: [bar, choices, refused, stage], show, prompt, text, picture, details, legend };
}

const TITLES = { cache: "cache", bits: "bits", group: "group", head: "Head" };

/** A line break can be typed as the sign that stands for it. */
const typed = (text) => text.replaceAll("↵", "\n");
