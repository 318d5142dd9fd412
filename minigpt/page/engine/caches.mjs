// The caches by name, as Python's registry has them.
import { DynamicCache, NoCache } from "./cache.mjs";

export const CACHES = { none: NoCache, dynamic: DynamicCache };

/** An empty cache of that name, for the model of that config. */
export function makeCache(name, config, options = {}) {
  const Kind = CACHES[name];
  if (!Kind) throw new RangeError(`no cache is named ${name}; there are ${Object.keys(CACHES).join(", ")}`);
  return new Kind(config, options);
}
