// What a cache forgets: people are given things, a story is told, and each cache is asked who was given what.
import { el } from "../shell/dom.mjs";
import { factRows, factsAsText, factsFrom, otherFacts } from "./forget_facts.mjs";
import { ruler, shownOf, strip } from "./forget_draw.mjs";
import { answering, promptOf } from "./forget_prompt.mjs";
import { headOfAnswers, readText, readable, rowOfAnswer, verdict } from "./forget_tell.mjs";
import { forgetWords } from "./forget_words.mjs";
import { slider } from "./slider.mjs";
import { debounced, following, moved, stateOf } from "./state.mjs";

const stateIn = (params, { forget: data }) => ({ ...stateOf(params, FIELDS), facts: factsFrom(params.facts, data) });

export const forget = {
  name: "forget",
  words: forgetWords,
  read(params, data) {
    const state = stateIn(params, data);
    return { ...state, facts: factsAsText(state.facts) };
  },
  mount: mountForget,
};

const WORKERS = 2; // each answers for one cache at a time
const FIELDS = {
  asked: { values: [1, 2, 3, 4], start: 1 },
  distance: { values: Array.from({ length: 23 }, (_, at) => 20 * (at + 1)), start: 180 },
  window: { values: [32, 64, 128, 256], start: 64 },
};

function mountForget(root, page) {
  const { t } = page;
  const data = page.data.forget;
  const engines = Array.from({ length: WORKERS }, page.connect);
  let state = stateIn(page.params, page.data);
  let asking = 0; // the number of the newest question: answers to older ones are dropped

  const set = (patch) => {
    state = { ...state, ...patch };
    page.set({ ...patch, ...(patch.facts && { facts: factsAsText(patch.facts) }) });
    show();
  };
  const step = (name, by) => set({ [name]: moved(FIELDS[name].values, state[name], by) });
  const rows = factRows(page, (facts) => set({ facts }), (at) => set({ asked: at + 1 }));
  const bar = (name, key) =>
    slider({ name, label: t(name), values: FIELDS[name].values, key, text: (n) => t("tokens", { n }), onvalue: (value) => set({ [name]: value }) });
  const [distance, width] = [bar("distance", "← →"), bar("window", "↑ ↓")];
  const [length, text] = [el("summary"), el("p", { class: "story", tabindex: 0 })];
  const answers = el("ol", { class: "answers", "aria-label": t("answers") });
  const another = () => set({ facts: otherFacts(data) });
  const next = () => set({ asked: following(FIELDS.asked.values, state.asked) });
  const buttons = el("div", { class: "controls" }, page.button(t("next"), "A", next), page.button(t("another"), "N", another));
  root.append(
    el(
      "div",
      { class: "forget" },
      el("div", { class: "told" }, rows.node, buttons, distance.node, width.node, el("p", { class: "quiet" }, t("rule")), el("details", null, length, text)),
      answers,
    ),
  );
  const later = debounced(() => ask(++asking), 250);

  function show() {
    rows.show(state.facts, state.asked - 1);
    distance.show(state.distance);
    width.show(state.window);
    asking++;
    const prompt = promptNow();
    length.replaceChildren(t("reads", { n: prompt.story }));
    text.replaceChildren(readText(data, state.facts, { asked: state.asked - 1, story: prompt.story }));
    draw(prompt, answering(state.window));
    page.finding("");
    later();
  }

  const promptNow = () => promptOf(data, { ...state, asked: state.asked - 1 });

  async function ask(question) {
    const prompt = promptNow();
    const found = answering(state.window);
    const waiting = found.entries();
    await Promise.all(engines.map(async (engine) => {
      await engine.ready;
      for (const [at, { cache, options }] of waiting) {
        const { ids, asks } = prompt;
        const result = await engine.answer({ what: "recall", ids, asks, cache, options });
        if (question !== asking) return;
        found[at].result = result;
        draw(prompt, found);
      }
    }));
    if (question === asking) tell(prompt, found);
  }

  function draw(prompt, found) {
    answers.setAttribute("aria-busy", found.some(({ result }) => !result));
    answers.replaceChildren(el("li", { class: "places" }, ruler(page, prompt)), ...found.map((each) => line(prompt, each, found[0].result)));
  }

  function line(prompt, answer, exact) {
    const { name, cache, result } = answer;
    const title = t(name, state);
    if (!result) return el("li", null, el("p", null, el("b", null, title), el("span", { class: "said" }, "…")), el("div", { class: "strip" }));
    const shown = shownOf(answer, exact, prompt);
    const percent = Math.round(100 * shown.share);
    const label = t("strip", { ...shown, cache: title, tokens: prompt.ids.length, percent });
    return el(
      "li",
      { class: shown.right ? "right" : "wrong" },
      el(
        "p",
        null,
        el("b", null, title),
        el("b", { class: "said" }, `${readable(t, result.text)} ${shown.right ? "✓" : "✗"}`),
        el("span", { class: "share" }, shown.unseen ? t("unseen") : t("attention", { percent })),
      ),
      strip(shown, prompt.fact, `var(--${cache})`, label),
    );
  }

  function tell(prompt, found) {
    const told = found.map((answer) => ({ ...answer, ...answer.result, ...shownOf(answer, found[0].result, prompt) }));
    page.finding(verdict(page, told, state));
    page.table(t("caption", { n: prompt.ids.length }), headOfAnswers(t), told.map((answer) => rowOfAnswer(page, answer, state.window)));
  }

  show();
  const keys = {
    ArrowLeft: () => step("distance", -1),
    ArrowRight: () => step("distance", 1),
    ArrowUp: () => step("window", 1),
    ArrowDown: () => step("window", -1),
    a: next,
    n: another,
  };
  return {
    key(event) {
      const act = keys[event.key] ?? keys[event.key.toLowerCase()];
      act?.();
      return Boolean(act);
    },
    show(params) {
      state = stateIn(params, page.data);
      show();
    },
    leave() {
      asking++;
      later.cancel();
      engines.forEach((engine) => engine.close());
    },
  };
}
