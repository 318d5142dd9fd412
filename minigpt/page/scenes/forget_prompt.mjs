// What the model is told and asked: who was given what, then a story, then a question about one of them.

const FACT = 4; // tokens: `[Give Romeo ruby.]`, of which the third is the thing
const QUESTION = 2; // tokens: `[Give Romeo`

/** facts: [{person, thing}, ...] in the order of telling. distance: tokens from the thing asked for to its answer. */
export function promptOf(data, { facts, asked, distance }) {
  const told = facts.flatMap(({ person, thing }) => [data.open, data.people[person], data.things[thing], data.close]);
  const start = data.lead.length + FACT * asked;
  const later = FACT * (facts.length - 1 - asked);
  const story = data.story.slice(0, distance - FACT - later);
  const ids = [...data.lead, ...told, ...story, data.open, data.people[facts[asked].person]];
  return { ids, story: story.length, fact: [start, start + FACT], asks: QUESTION, answer: data.things[facts[asked].thing] };
}

/** The caches that answer, from the one that keeps all to the one that keeps least of each number. */
export const answering = (window) => [
  { name: "dynamic", cache: "dynamic", options: {} },
  { name: "sliding_window", cache: "sliding_window", options: { window, sinks: 4, chunk: 64 } },
  { name: "int4", bits: 4, cache: "quantized", options: { nbits: 4, residual_length: 0 } },
  { name: "int2", bits: 2, cache: "quantized", options: { nbits: 2, residual_length: 0 } },
  { name: "int2_channel", bits: 2, cache: "quantized", options: { nbits: 2, residual_length: 0, q_group_size: 32, group_key: "channel" } },
  { name: "int1", bits: 1, cache: "quantized", options: { nbits: 1, residual_length: 0 } },
];

/** Of each layer and head, how much of the last token's attention lies on the fact; the one that has most comes first. */
export function looks(layers, [start, end]) {
  const found = layers.flatMap(({ positions, attention }, layer) => {
    const slots = positions.length;
    return Array.from({ length: attention.length / slots }, (_, head) => {
      const weights = attention.subarray(head * slots, (head + 1) * slots);
      const share = weights.reduce((sum, weight, slot) => (positions[slot] >= start && positions[slot] < end ? sum + weight : sum), 0);
      return { layer, head, share };
    });
  });
  return found.sort((a, b) => b.share - a.share);
}

/**
 * Of each token of the text, what the last one can see of it in a layer (0 nothing, 1 exact, 2 rounded), and how much a
 * head looks at it. A ring also holds some that have left the window: room for the chunks in which the text was fed.
 */
export function byToken({ positions, state, attention }, head, tokens, { window = tokens, sinks = 0 }) {
  const kept = new Uint8Array(tokens);
  const looked = new Float32Array(tokens);
  positions.forEach((position, slot) => {
    const empty = position >= tokens;
    if (empty || (position < tokens - window && position >= sinks)) return;
    kept[position] = state[slot];
    looked[position] = attention[head * positions.length + slot];
  });
  return { kept, looked };
}
