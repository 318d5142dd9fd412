// What the scene tells of a model in a setting: bytes, what fits where, and the sentence of it all.
import { bytesOfToken, cacheOf, heldBytes, layersOf, longestContext, windowOf } from "./memory_bytes.mjs";

export const MACHINES = [["phone", 8e9], ["laptop", 16e9], ["gpu", 80e9]];

export function factsOf(model, { context, batch, bits, weights }) {
  const facts = { model, kept: cacheOf(model, bits), cache: heldBytes(model, context, batch, bits) };
  facts.weights = (model.parameters * weights) / 8;
  facts.total = facts.cache + facts.weights;
  facts.machines = MACHINES.map(([name, memory]) => ({
    name,
    memory,
    fits: facts.total <= memory,
    ...longestOf(model, facts.weights > memory ? -1 : longestContext(model, batch, bits, memory - facts.weights)),
  }));
  return facts;
}

// The memory's limit (null: none) or the model's own, whichever is smaller.
function longestOf({ context }, inMemory) {
  const own = inMemory === null || inMemory >= context;
  return { longest: own ? context : inMemory, own };
}

/** A rounded cache has no windows. */
export const withoutWindows = (model, bits) => Boolean(windowOf(model)) && bits < 16;

export function kindOf({ t }, model, bits) {
  if (!windowOf(model)) return model.kind;
  return t(withoutWindows(model, bits) ? "all_kept" : "windowed", model);
}

/** 17.2 GB, 75.5 MB: with the unit that suits. */
export function inBytes(language, bytes, digits = 1) {
  const [size, unit] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]].find(([least]) => bytes >= least) ?? [1, "B"];
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(bytes / size)}\u00a0${unit}`;
}

/** In words: how long a context fits. -1: not even the weights do. */
export function longestIn(t, { longest, own }) {
  if (longest > 0) return t(own ? "up_to_own" : "up_to", { n: longest });
  return t(longest ? "weights_alone" : "no_context");
}

export function findingOf({ t, language }, { model, cache, weights, machines }, { context, batch, bits }) {
  const bytes = (n) => inBytes(language, n);
  const times = batch > 1 ? `${batch} × ` : "";
  const size = t(cache > weights ? "more" : "less", { model: model.label, batch: times, context, cache: bytes(cache), weights: bytes(weights) });
  const found = t("both", { size, fit: fitOf(t, machines, bytes) });
  if (!withoutWindows(model, bits)) return found;
  return t("both", { size: found, fit: t("no_windows", { layers: layersOf(model) }) });
}

function fitOf(t, machines, bytes) {
  const at = machines.findIndex(({ fits }) => fits);
  if (at < 0) return t("fits_none");
  const [machine, smaller] = [machines[at], machines[at - 1]];
  const where = { machine: t(machine.name), memory: bytes(machine.memory) };
  if (!smaller) return t("fits_all", where);
  return t("fits_from", { ...where, smaller: t(smaller.name), less: bytes(smaller.memory) });
}

/** Of the models made for so long a context: how many fit each machine, and the largest of them. `all`: smallest first. */
export function fittingOf({ t }, all, context) {
  const made = all.filter(({ model }) => model.context >= context);
  if (!made.length) return t("none_made", { n: context });
  const each = MACHINES.map(([name], at) => {
    const fitting = made.filter(({ machines }) => machines[at].fits);
    const found = { machine: t(name), n: fitting.length, largest: fitting.at(-1)?.model.label };
    return t(fitting.length ? "fitting" : "none_fitting", found);
  });
  return t("of_made", { n: made.length, context, fitting: each.join(t("then")) });
}

/** What its layers keep: how heads share it, and which layers have a window. */
export function keepingOf({ t, language }, model, { context, bits }) {
  const { kind, heads, kept: [[kv, latent], [, key]] } = model;
  const window = windowOf(model);
  const clauses = [
    model.name === "recall" && t("runs_here"),
    t(kind, { kind, heads, kv, latent, key }),
    t("a_token", { bytes: inBytes(language, bytesOfToken(model)) }),
    window && bits === 16 && t("windows", { n: window[1], layers: layersOf(model), window: window[0] }),
    model.published_bits && t("published_in", { n: model.published_bits }),
    context > model.context && t("made_for", { n: model.context }),
  ];
  return clauses.filter(Boolean);
}
