// What can be pressed and chosen, and the places that each step fills.
import { whyRefused } from "./refusal.mjs";
import { buttonSet, promptLine } from "./sets.mjs";
import { GROW_BITS, GROW_CACHES, GROW_GROUPS } from "./grow_state.mjs";

/** press(key), go(patch): what the buttons do. show(state, run): sets them. The rest are the places, and all of it. */
export function growParts({ t, el, button, data }, press, go) {
  const back = button(t("back"), "←", () => press("ArrowLeft"));
  const next = button(t("next"), "→", () => press("ArrowRight"), { class: "main" });
  const step = el("output", { class: "grow-step" });
  const prompt = promptLine({ label: t("prompt"), title: t("prompt_keys"), onchange: (text) => go({ prompt: text, step: 0, token: null }) });
  const set = (name, key, values, shown) =>
    buttonSet({ label: t(`choose_${name}`), key, values, shown, onchoose: (value) => go({ [name]: value }) });
  const sets = {
    cache: set("cache", "C", GROW_CACHES, t),
    bits: set("bits", "B", GROW_BITS),
    group: set("group", "G", GROW_GROUPS, t),
    head: set("head", "H", Array.from({ length: data.config.n_head }, (_, head) => head)),
  };
  const text = el("p", { class: "grow-text" });
  const refused = el("p", { class: "refused", role: "alert", hidden: true });
  const picture = el("div", { class: "grow-picture", role: "group", "aria-label": t("picture") });
  const details = el("aside", { class: "pane grow-details", "aria-label": t("details") });
  const legend = el("ul", { class: "grow-legend quiet" });

  function show(state, run) {
    for (const [name, each] of Object.entries(sets)) each.show(state[name]);
    sets.bits.node.hidden = sets.group.node.hidden = state.cache !== "quantized";
    back.disabled = state.step === 0;
    const last = run.request.newTokens - 1;
    next.disabled = state.step === last;
    next.title = next.disabled ? t("all_steps", { last }) : "";
    step.value = t("step", { step: state.step, last });
    prompt.show(state.prompt);
    picture.setAttribute("aria-busy", String(run.error === null && run.steps.length <= state.step));
    refused.hidden = run.error === null;
    refused.textContent = run.error && (whyRefused(t, run.prompt.length, run.request.newTokens, data.config.context) ?? run.error);
  }

  const all = [
    el("div", { class: "bar" }, prompt.node, text, step, back, next),
    el("div", { class: "bar" }, Object.values(sets).map(({ node }) => node)),
    refused,
    el("div", { class: "grow-stage" }, el("div", null, picture, legend), details),
  ];
  return { all, show, prompt: prompt.node, text, picture, details, legend };
}
