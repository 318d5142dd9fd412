// Where the scene stands, as its address tells it, and where a key leads.
import { GROW_BITS, GROW_CACHES, GROW_GROUPS, GROW_LAST } from "./grow_run.mjs";

export const GROW_LAYERS = [0, 1, 2];
export const GROW_HEADS = [0, 1];
const PROMPT = "HAMLET.\nTo be";

/** token: the position whose row is looked at; null: the newest. An address with nonsense in it gives the usual. */
export function growState({ step, cache, layer, head, bits, group, prompt, token }) {
  return {
    step: within(step, GROW_LAST) ?? 0,
    cache: one(GROW_CACHES, cache),
    layer: one(GROW_LAYERS, layer, 1), // there, heads look further back than to the token before
    head: one(GROW_HEADS, head),
    bits: one(GROW_BITS, bits, 4),
    group: one(GROW_GROUPS, group),
    prompt: prompt ?? PROMPT,
    token: within(token, Infinity),
  };
}

const one = (all, given, usual = all[0]) => all.find((each) => String(each) === String(given)) ?? usual;

function within(given, most) {
  const number = Number(given ?? NaN);
  return Number.isInteger(number) && number >= 0 ? Math.min(number, most) : null;
}

const following = (all, now) => all[(all.indexOf(now) + 1) % all.length];

/** What the key changes; null if it is not one of the scene's. view: what is drawn now, if anything is. */
export function growKey(key, state, view) {
  const changes = {
    arrowright: () => ({ step: Math.min(state.step + 1, GROW_LAST) }),
    arrowleft: () => ({ step: Math.max(state.step - 1, 0) }),
    home: () => ({ step: 0 }),
    arrowup: () => ({ token: neighbour(view, state.token, -1) }),
    arrowdown: () => ({ token: neighbour(view, state.token, 1) }),
    c: () => ({ cache: following(GROW_CACHES, state.cache) }),
    y: () => ({ layer: following(GROW_LAYERS, state.layer) }),
    h: () => ({ head: following(GROW_HEADS, state.head) }),
    b: () => ({ bits: following(GROW_BITS, state.bits) }),
    g: () => ({ group: following(GROW_GROUPS, state.group) }),
  };
  return changes[key.toLowerCase()]?.() ?? null;
}

/** The slot that holds the chosen token, or else the newest. */
export function slotOf(view, token) {
  const held = view.slots.find(({ position }) => position !== null && position === token);
  return (held ?? view.slots.find(({ position }) => position === view.newest)).slot;
}

function neighbour(view, token, way) {
  const filled = view?.slots.filter(({ position }) => position !== null) ?? [];
  const at = view ? filled.findIndex(({ slot }) => slot === slotOf(view, token)) + way : 0;
  return filled[Math.max(0, Math.min(at, filled.length - 1))]?.position ?? null;
}
