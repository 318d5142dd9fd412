// Where the scene stands, as its address tells it; where a key leads; and what the engine is asked for.
import { following, moved, stateOf } from "./state.mjs";
import { stepKeys } from "./stepping.mjs";

export const GROW_CACHES = ["none", "dynamic", "sliding_window", "quantized"];
export const GROW_BITS = [8, 4, 2];
export const GROW_GROUPS = ["channel", "token"];
const STEPS = Array.from({ length: 18 }, (_, step) => step); // with the usual prompt, their rows fill two columns
const PROMPT = "HAMLET.\nTo be";

const upTo = (count) => Array.from({ length: count }, (_, at) => at);

/** token: the position whose row is looked at; null: the newest. */
export function growState(params, { n_layer, n_head, context }) {
  const fields = {
    step: { values: STEPS, start: 0 },
    cache: { values: GROW_CACHES, start: "none" },
    layer: { values: upTo(n_layer), start: Math.min(1, n_layer - 1) }, // there, heads look far back
    head: { values: upTo(n_head), start: 0 },
    bits: { values: GROW_BITS, start: 4 },
    group: { values: GROW_GROUPS, start: "channel" },
    token: { values: upTo(context), start: null },
  };
  return { prompt: params.prompt ?? PROMPT, ...stateOf(params, fields) };
}

/** Small numbers, so that a ring turns, and tokens leave the residual, within a few steps. */
export function growRequest({ prompt, cache, bits, group }) {
  const options = {
    none: {},
    dynamic: {},
    sliding_window: { window: 8, sinks: 2, chunk: 1 }, // fed one by one, the ring needs just the window's slots
    quantized: {
      nbits: bits,
      group_key: group,
      group_value: group,
      q_group_size: group === "channel" ? 4 : 64, // 4 tokens leave together; or one by one, 64 numbers at a time
      residual_length: 4,
    },
  };
  return { prompt, cache, options: options[cache], newTokens: STEPS.length, watch: true };
}

/** By key, what it changes. view: what is drawn now, if anything is. */
export function growKeys(state, { n_layer, n_head }, view) {
  return {
    ...stepKeys("step", STEPS, state.step),
    arrowup: () => ({ token: neighbour(view, state.token, -1) }),
    arrowdown: () => ({ token: neighbour(view, state.token, 1) }),
    c: () => ({ cache: following(GROW_CACHES, state.cache) }),
    y: () => ({ layer: following(upTo(n_layer), state.layer) }),
    h: () => ({ head: following(upTo(n_head), state.head) }),
    b: () => ({ bits: following(GROW_BITS, state.bits) }),
    g: () => ({ group: following(GROW_GROUPS, state.group) }),
  };
}

/** The slot that holds the chosen token, or else the newest. */
export function slotOf(view, token) {
  const held = view.slots.find(({ position }) => position !== null && position === token);
  return (held ?? view.slots.find(({ position }) => position === view.newest)).slot;
}

function neighbour(view, token, way) {
  if (!view) return token;
  const filled = view.slots.filter(({ position }) => position !== null);
  const from = filled.find(({ slot }) => slot === slotOf(view, token));
  return moved(filled, from, way).position;
}
