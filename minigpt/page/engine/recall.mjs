// A memory question, read through a cache as in minigpt/recall/exam.py: the text in chunks, then the question by itself.
import { makeCache } from "./caches.mjs";
import { Meter } from "./meter.mjs";
import { greedy } from "./sampling.mjs";

/**
 * The likeliest token behind the ids. So that a cache has rounded and dropped what it may before the question comes, all
 * but the last `asks` ids are fed first, `chunk` at a time.
 *
 * cache, options: as `generate` takes them. Returns {id, text (its name), nbytes (held), used (of these, without spare room), layers:
 * of each {positions, state of keys (0 empty, 1 exact, 2 rounded), valueState, attention (H * S) of the last id}}.
 */
export function recall(model, tokenizer, { ids, asks = 2, chunk = 64, cache: name, options = {} }) {
  const { window = null, sinks = 0, ...others } = options;
  const served = window === null ? model : model.withWindow(window, sinks);
  const cache = makeCache(name, served.config, others);
  const meter = new Meter(cache), told = ids.length - asks, most = Math.min(chunk, cache.largestChunk);
  for (let start = 0; start < told; start += most) served.forward(ids.slice(start, Math.min(start + most, told)), meter);
  const id = greedy(served.forward(ids.slice(told), meter, meter));
  const layers = meter.layers().map(({ positions, state, valueState, attention }) => ({ positions, state, valueState, attention }));
  return { id, text: tokenizer.nameOf(id), nbytes: cache.nbytes, used: cache.used, layers };
}
