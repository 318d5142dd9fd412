// Where the scene stands, as its address tells it; where a key leads; and what the engine is asked for.
import { following, stateOf } from "./state.mjs";
import { stepKeys } from "./stepping.mjs";

/** The engine's, by name: engine/bugs.mjs. */
export const BROKEN_BY = ["wrong_position", "mask_in_the_wrong_corner", "stale_cache", "ring_one_short", "rounded_twice"];
export const LENGTHS = Array.from({ length: 40 }, (_, at) => at + 1); // new tokens
const PROMPT = "HAMLET.\nTo be";

export function breakState(params) {
  const fields = { bug: { values: BROKEN_BY, start: BROKEN_BY[0] }, length: { values: LENGTHS, start: 1 } };
  return { prompt: params.prompt ?? PROMPT, ...stateOf(params, fields) };
}

export const breakRequest = ({ prompt, bug }) => ({ prompt, bug, newTokens: LENGTHS.length });

/** By key, what it changes. */
export const breakKeys = ({ bug, length }) => ({
  ...stepKeys("length", LENGTHS, length),
  end: () => ({ length: LENGTHS.length }),
  b: () => ({ bug: following(BROKEN_BY, bug), length: 1 }),
});
