// What fits: the weights and the cache of real models, in the memory of a telephone, a laptop and a GPU.
import { el } from "../shell/dom.mjs";
import { bytesOfToken } from "./memory_bytes.mjs";
import { modelList, sumOfParts, tank } from "./memory_draw.mjs";
import { MACHINES, factsOf, findingOf, fittingOf, inBytes, keepingOf, kindOf } from "./memory_facts.mjs";
import { memoryWords } from "./memory_words.mjs";
import { slider } from "./slider.mjs";
import { debounced, following, moved, stateOf } from "./state.mjs";

export const memory = { name: "memory", words: memoryWords, read: (params, data) => stateOf(params, fieldsOf(data)), mount: mountMemory };

const powersOfTwo = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => 2 ** (from + at));
const SETTINGS = {
  context: { values: powersOfTwo(10, 20), start: 131072, text: "tokens", key: "← →" },
  batch: { values: powersOfTwo(0, 6), start: 1, text: "texts", key: "B" },
  bits: { values: [16, 8, 4, 2], start: 16, text: "in_bits", key: "C" },
  weights: { values: [16, 8, 4], start: 16, text: "in_bits", key: "W" },
};

const bySize = ({ memory }) => memory.toSorted((a, b) => a.parameters - b.parameters);
const fieldsOf = (data) => ({ model: { values: bySize(data).map(({ name }) => name), start: "llama-3.1-8b" }, ...SETTINGS });

function mountMemory(root, page) {
  const { t } = page;
  const ours = (model) => (model.name === "recall" ? { ...model, label: t("ours", model) } : model);
  const models = bySize(page.data).map(ours);
  const fields = fieldsOf(page.data);
  let state = stateOf(page.params, fields);

  const set = (patch) => {
    state = { ...state, ...patch };
    page.set(patch);
    draw();
  };
  const step = (name, by) => set({ [name]: moved(fields[name].values, state[name], by) });
  const sliders = Object.entries(SETTINGS).map(([name, { values, text, key }]) =>
    [name, slider({ name, label: t(name), values, key, text: (n) => t(text, { n }), onvalue: (value) => set({ [name]: value }) })]);
  const list = modelList(page, models, (model) => set({ model }));
  const [sum, keeping, tanks] = [el("p", { class: "sum" }), el("p", { class: "quiet" }), el("div", { class: "tanks" })];
  root.append(
    el("div", { class: "sliders" }, sliders.map(([, { node }]) => node)),
    el("div", { class: "memory" }, list.node, el("div", { class: "fit" }, sum, keeping, tanks)),
  );
  const tell = debounced((all, facts) => {
    root.setAttribute("aria-busy", false);
    page.finding(findingOf(page, facts, state));
    page.table(t("caption", state), headOf(page), all.map((each) => rowOf(page, each, state.bits)));
  }, 150);

  function draw() {
    const all = models.map((model) => factsOf(model, state));
    const facts = all.find(({ model }) => model.name === state.model);
    for (const [name, { show }] of sliders) show(state[name]);
    list.show(all, state);
    sum.replaceChildren(...sumOfParts(page, facts));
    keeping.replaceChildren(keepingOf(page, facts.model, state).join(t("then")));
    tanks.replaceChildren(...facts.machines.map((machine) => tank(page, facts, machine)), el("p", { class: "quiet fitting" }, fittingOf(page, all, state.context)));
    root.setAttribute("aria-busy", true); // the sentence is still that of the setting before
    tell(all, facts);
  }

  page.aside(el("span", null, t("note")));
  draw();
  const keys = {
    ArrowLeft: () => step("context", -1),
    ArrowRight: () => step("context", 1),
    ArrowUp: () => step("model", -1),
    ArrowDown: () => step("model", 1),
    b: ({ shiftKey }) => step("batch", shiftKey ? -1 : 1),
    c: () => set({ bits: following(SETTINGS.bits.values, state.bits) }),
    w: () => set({ weights: following(SETTINGS.weights.values, state.weights) }),
  };
  return {
    key(event) {
      const act = keys[event.key] ?? keys[event.key.toLowerCase()];
      act?.(event);
      return Boolean(act);
    },
    show(params) {
      state = stateOf(params, fields);
      draw();
    },
    leave: tell.cancel,
  };
}

const headOf = ({ t, language }) => [
  ...["model", "kind", "token", "cache", "weights", "made_for"].map((name) => t(`head_${name}`)),
  ...MACHINES.map(([, memory]) => t("head_longest", { memory: inBytes(language, memory) })),
];

function rowOf(page, { model, cache, weights, machines }, bits) {
  const numbers = [bytesOfToken(model), cache, weights, model.context, ...machines.map(({ longest }) => Math.max(0, longest))];
  return [model.label, kindOf(page, model, bits), ...numbers.map(new Intl.NumberFormat(page.language).format)];
}
