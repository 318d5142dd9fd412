// The keys of a scene that goes on step by step.
import { moved } from "./state.mjs";

/** By key, what it changes: a step on or back, of the arrows or of a lecturer's clicker; and to the first one. */
export function stepKeys(name, values, now) {
  const by = (steps) => () => ({ [name]: moved(values, now, steps) });
  return { arrowright: by(1), pagedown: by(1), arrowleft: by(-1), pageup: by(-1), home: () => ({ [name]: values[0] }) };
}

/** Does what a key does: P chooses the prompt, each of `keys` changes the scene. Returns whether it is one of them. */
export function pressed(key, keys, scene) {
  const name = key.toLowerCase();
  if (name === "p") scene.parts.prompt.select();
  else if (name in keys) scene.go(keys[name]());
  else return false;
  return true;
}
