// The caches by name, as Python's registry has them.
import { DynamicCache, NoCache } from "./cache.mjs";
import { QuantizedCache } from "./quantized.mjs";
import { SlidingWindowCache } from "./sliding.mjs";

export const CACHES = {
  none: NoCache,
  dynamic: DynamicCache,
  sliding_window: SlidingWindowCache,
  quantized: QuantizedCache,
};

/** An empty cache of that name, for the model of that config. window and sinks are the model's: see its withWindow. */
export function makeCache(name, config, options = {}) {
  if (!(name in CACHES)) throw new RangeError(`no cache is named ${name}; there are ${Object.keys(CACHES).join(", ")}`);
  return new CACHES[name](config, options);
}
