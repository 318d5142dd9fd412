// A run with a bug beside the same run without it: where do they part?
import { NEVER } from "./attention.mjs";
import { BUGS } from "./bugs.mjs";
import { generate } from "./generate.mjs";

const TOLERANCE = 1e-4; // a ring adds the same numbers in another order

/**
 * Yields {step, id, name, text, right: {id, name, text}, first} for each new token. The oracle is uncached; of a
 * cache that rounds, the right one. first: null, then the first layer, row and token that differ: {step, layer, position, token (its name),
 * what ("missing", "keys", "values", "attention" that the newest token pays to the row), difference}.
 */
export function* compared(model, tokenizer, request) {
  const { bug = null, ...right } = { ...(BUGS[request.bug] ?? { cache: "dynamic" }), ...request };
  const oracle = { ...right, watch: true, cache: right.cache === "quantized" ? "quantized" : "none" };
  if (oracle.cache === "none") oracle.options = sightOf(right.options);
  const runs = [{ ...right, bug, watch: true }, oracle].map((each) => generate(model, tokenizer, each));
  const texts = tokenizer.encode(request.prompt);
  let first = null;
  for (const { layers: expected, step, ...wanted } of runs[1]) {
    const { layers, ...broken } = runs[0].next().value;
    const found = first ?? firstDifference(layers, expected);
    first ??= found && { step, ...found, token: tokenizer.nameOf(texts[found.position]) };
    texts.push(wanted.id);
    yield { step, ...written(broken), right: written(wanted), first };
  }
}

const written = ({ id, name, text }) => ({ id, name, text });

function sightOf({ window = null, sinks = 0 } = {}) {
  return { window, sinks };
}

/** Of two watched passes of the same text: layer by layer, first the rows that the newest token sees, then its weights. */
export function firstDifference(layers, expected) {
  for (const [layer, wanted] of expected.entries()) {
    const found = layers[layer];
    const slots = new Map(Array.from(found.positions, (position, slot) => [position, slot]).filter(([at]) => at !== NEVER));
    const looked = Array.from(wanted.positions, (position, slot) => [position, slot]);
    const seen = looked.filter(([, slot]) => attentionAt(wanted, slot).some((weight) => weight > 0));
    for (const [position, slot] of seen) {
      if (!slots.has(position)) return { layer, position, what: "missing", difference: null };
      for (const what of ["keys", "values"]) {
        const difference = apart(rowAt(found, what, slots.get(position)), rowAt(wanted, what, slot));
        if (difference > TOLERANCE) return { layer, position, what, difference };
      }
    }
    for (const [position, slot] of looked) {
      const weights = slots.has(position) ? attentionAt(found, slots.get(position)) : attentionAt(wanted, slot).fill(0);
      const difference = apart(weights, attentionAt(wanted, slot));
      if (difference > TOLERANCE) return { layer, position, what: "attention", difference };
    }
  }
  return null;
}

function rowAt(layer, what, slot) {
  const size = layer[what].length / layer.positions.length;
  return layer[what].subarray(slot * size, (slot + 1) * size);
}

/** Of each head. */
function attentionAt({ attention, positions }, slot) {
  return Array.from({ length: attention.length / positions.length }, (_, head) => attention[head * positions.length + slot]);
}

function apart(some, others) {
  return some.reduce((largest, number, i) => Math.max(largest, Math.abs(number - others[i])), 0);
}
