// Generation, a token at a time: prefill, then decode.
import { makeCache } from "./caches.mjs";
import { Meter } from "./meter.mjs";
import { greedy, sampler } from "./sampling.mjs";

/**
 * Goes on from the prompt, and yields a step for each new token.
 *
 * options: of the cache; and window and sinks, which are the model's (any cache takes them). temperature 0: greedy.
 */
export function* generate(model, tokenizer, request) {
  const { prompt, cache: name = "dynamic", newTokens = 20, temperature = 0, topK = 0, seed = 0, watch = false } = request;
  const { window = null, sinks = 0, ...options } = request.options ?? {};
  const served = window === null ? model : model.withWindow(window, sinks);
  const ids = tokenizer.encode(prompt);
  check(ids, newTokens, served.config);
  const cache = new Meter(makeCache(name, served.config, options));
  const pick = temperature ? sampler(temperature, topK, seed) : greedy;
  const write = tokenizer.stream();
  for (let step = 0; step < newTokens; step++) {
    const begin = performance.now();
    cache.step = step;
    const id = pick(nextLogits(served, ids, cache, watch));
    ids.push(id);
    yield {
      step,
      id,
      text: write(id),
      ms: performance.now() - begin,
      rows: cache.rows,
      needed: cache.needed,
      nbytes: cache.cache.nbytes,
      length: cache.cache.keeps ? cache.cache.length : 0,
      ...(watch && { layers: cache.layers() }),
    };
  }
}

/** Logits behind the text. Feeds what the cache does not hold yet; where nothing is kept, the whole text. */
export function nextLogits(model, ids, cache, watch = false) {
  const { keeps, length, largestChunk } = cache.cache;
  let logits;
  for (let start = keeps ? length : 0; start < ids.length; start += largestChunk) {
    logits = model.forward(ids.slice(start, start + largestChunk), cache, watch ? cache : null);
  }
  return logits;
}

function check(ids, newTokens, { context }) {
  if (!ids.length) throw new RangeError("the prompt is empty: type a word");
  const fed = ids.length + newTokens - 1; // the last token is never fed
  if (fed > context) {
    throw new RangeError(`${ids.length} tokens and ${newTokens} new ones: the model reads ${context} at most, shorten either`);
  }
}
