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
    longest: facts.weights > memory ? -1 : longestContext(model, batch, bits, memory - facts.weights),
  }));
  return facts;
}

/** 17.2 GB, 75.5 MB: with the unit that suits. */
export function inBytes(language, bytes, digits = 1) {
  const [size, unit] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]].find(([least]) => bytes >= least) ?? [1, "B"];
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(bytes / size)}\u00a0${unit}`;
}

/** In words: how long a context fits. -1: not even the weights do. */
export function longestIn(t, longest) {
  if (longest === null) return t("any_context");
  if (longest > 0) return t("up_to", { n: longest });
  return t(longest ? "weights_alone" : "no_context");
}

export function findingOf({ t, language }, { model, cache, weights, machines }, { context, batch }) {
  const bytes = (n) => inBytes(language, n);
  const times = batch > 1 ? `${batch} × ` : "";
  const size = t(cache > weights ? "more" : "less", { model: model.label, batch: times, context, cache: bytes(cache), weights: bytes(weights) });
  return t("both", { size, fit: fitOf(t, machines, bytes) });
}

function fitOf(t, machines, bytes) {
  const at = machines.findIndex(({ fits }) => fits);
  if (at < 0) return t("fits_none");
  const [machine, smaller] = [machines[at], machines[at - 1]];
  const where = { machine: t(machine.name), memory: bytes(machine.memory) };
  if (!smaller) return t("fits_all", where);
  return t("fits_from", { ...where, smaller: t(smaller.name), less: bytes(smaller.memory) });
}

/** What its layers keep: how heads share it, and which layers have a window. */
export function keepingOf({ t, language }, model, { context, bits }) {
  const { kind, heads, kept: [[kv, latent], [, key]] } = model;
  const window = windowOf(model);
  const clauses = [
    t(kind, { kind, heads, kv, latent, key }),
    t("a_token", { bytes: inBytes(language, bytesOfToken(model)) }),
    window && t(bits < 16 ? "unwindowed" : "windows", { n: window[1], layers: layersOf(model), window: window[0] }),
    context > model.context && t("made_for", { n: model.context }),
  ];
  return clauses.filter(Boolean);
}
