// What a step of a run shows, as plain facts: which slot holds which token, and how each of its rows came to be there.

const NO_TOKEN = 2 ** 31 - 1; // the engine's NEVER: the position of an empty slot

/** A view of one step. slots: see inSlot. counts: rows of this step, and how many tokens are exact and rounded. */
export function growView(run, at) {
  const tokens = [...run.prompt, ...run.steps];
  const step = run.steps[at], before = run.steps[at - 1];
  const newest = Math.max(...step.layers[0].positions.filter((position) => position !== NO_TOKEN));
  const slots = Array.from(step.layers[0].positions, (_, slot) => inSlot(tokens, step, before, slot));
  const held = slots.filter(({ position }) => position !== null).length;
  const [{ keys, values }] = step.layers, bytesOfToken = (step.layers.length * (keys.byteLength + values.byteLength)) / slots.length;
  const rows = step.rows - (before?.rows ?? 0), needed = step.needed - (before?.needed ?? 0);
  return {
    at, newest, slots, rows, needed,
    cache: run.request.cache,
    again: rows - needed,
    kept: slots.reduce((sum, { kinds }) => sum + kinds.filter((kind) => kind === "kept").length, 0),
    held,
    gone: newest + 1 - held,
    room: step.nbytes / bytesOfToken, // tokens, where all are exact
    rounded: slots.filter(({ rounded }) => rounded).length,
    leaving: slots.filter(({ leaving }) => leaving).length,
    nbytes: step.nbytes,
    text: tokens.slice(0, newest + 1).map(({ text }) => text).join(""),
    next: step.text || step.name,
  };
}

/** position: null where it is empty. replaced: the token that it held a step ago. leaving: rounded in this step. */
function inSlot(tokens, step, before, slot) {
  const held = positionIn(step, slot), old = before ? positionIn(before, slot) : null;
  const rounded = step.layers[0].state[slot] === 2;
  return {
    slot,
    position: held,
    name: held === null ? "" : tokens[held].name,
    replaced: old !== null && old !== held ? tokens[old].name : null,
    rounded,
    leaving: rounded && before?.layers[0].state[slot] !== 2,
    kinds: step.layers.map((layer) => kindOf(layer, slot, step.step)),
  };
}

function positionIn(step, slot) {
  const position = step.layers[0].positions[slot];
  return position === undefined || position === NO_TOKEN ? null : position;
}

function kindOf({ state, computed, times }, slot, now) {
  if (!state[slot]) return "empty";
  if (state[slot] === 2) return "codes";
  if (computed[slot] < now) return "kept";
  return times[slot] > 1 ? "again" : "new";
}

/** One row, to the digit. codes: of the rounded key's first numbers, in bits; null where it is exact. */
export function growRow(run, at, slot, layer, head) {
  const step = run.steps[at], { computed, times, state, keys, values, attention, positions } = step.layers[layer];
  const width = keys.length / positions.length, from = slot * width;
  return {
    computed: computed[slot],
    times: times[slot],
    key: keys.subarray(from, from + width),
    value: values.subarray(from, from + width),
    weight: attention[head * positions.length + slot],
    codes: state[slot] === 2 ? codesOf(run.request.options, keys, slot, width) : null,
  };
}

/** A group's smallest number has the code 0 and its largest the last one, so the numbers that are read tell their codes. */
function codesOf({ nbits, group_key, q_group_size }, keys, slot, width) {
  const top = 2 ** nbits - 1, first = slot - (slot % q_group_size);
  return [0, 1, 2, 3].map((channel) => {
    const group = group_key === "token"
      ? keys.subarray(slot * width, slot * width + q_group_size)
      : Array.from({ length: q_group_size }, (_, token) => keys[(first + token) * width + channel]);
    const low = Math.min(...group), span = Math.max(...group) - low;
    const code = span ? Math.round(((keys[slot * width + channel] - low) / span) * top) : 0;
    return code.toString(2).padStart(nbits, "0");
  });
}

/** A slot that a cache in a ring writes next: that of the oldest token behind the sinks. */
export function nextSlot(view, sinks) {
  const turning = view.slots.slice(sinks);
  const empty = turning.find(({ position }) => position === null);
  return (empty ?? turning.reduce((one, other) => (other.position < one.position ? other : one))).slot;
}
