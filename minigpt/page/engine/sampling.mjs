// Which token comes next, from its logits.

/** The likeliest token; of several, the one with the lowest id. */
export function greedy(logits) {
  return logits.reduce((best, logit, id) => (logit > logits[best] ? id : best), 0);
}

/**
 * Draws from softmax(logits / temperature), cut down to the topK likeliest (0: all; those equal to the last stay).
 * The same seed draws the same numbers everywhere; not those of torch.
 */
export function sampler(temperature, topK, seed) {
  const draw = random(seed);
  return (logits) => {
    const lowest = topK ? logits.slice().sort().at(-topK) ?? -Infinity : -Infinity;
    const highest = Math.max(...logits);
    const odds = Array.from(logits, (logit) => (logit < lowest ? 0 : Math.exp((logit - highest) / temperature)));
    let left = draw() * odds.reduce((sum, each) => sum + each);
    const id = odds.findIndex((each) => (left -= each) < 0);
    return id < 0 ? greedy(logits) : id; // what rounding may leave over
  };
}

/** Numbers in [0, 1), repeatably: mulberry32, 32 bits of state. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
