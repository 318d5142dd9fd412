// Generation, a token at a time: prefill, then decode.
import { BUGS } from "./bugs.mjs";
import { makeCache } from "./caches.mjs";
import { fits } from "./checks.mjs";
import { Meter } from "./meter.mjs";
import { Model } from "./model.mjs";
import { greedy, sampler } from "./sampling.mjs";

/**
 * Goes on from the prompt, and yields a step for each new token; the first is the prefill's.
 *
 * cache, options: its name and options; window and sinks are the model's, and any cache takes them. temperature: 0 for
 * the likeliest token. topK: 0 for all. bug: the name of one of BUGS, which brings its own cache unless told. watch: each
 * step also has its layers, see Meter. name: the token by itself. text: what it completes. ms: of the step. rows, needed:
 * K/V rows so far, see Meter.
 */
export function* generate(model, tokenizer, request) {
  const { prompt, newTokens = 20, temperature = 0, topK = 0, seed = 0, watch = false } = request;
  const ids = tokenizer.encode(prompt);
  const { served, cache } = prepared(model, tokenizer, request, ids);
  fits(ids, newTokens, served.config);
  const meter = new Meter(cache), write = tokenizer.stream();
  const pick = temperature ? sampler(temperature, topK, seed) : greedy;
  for (let step = 0; step < newTokens; step++) {
    const begin = performance.now();
    meter.step = step;
    const id = pick(nextLogits(served, ids, meter, watch));
    ids.push(id);
    const ms = performance.now() - begin;
    const { rows, needed } = meter, { nbytes, keeps } = cache, length = keeps ? cache.length : 0;
    yield { step, id, name: tokenizer.nameOf(id), text: write(id), ms, rows, needed, nbytes, length, ...(watch && { layers: meter.layers() }) };
  }
}

/** The model as it is to be used, and its cache, with the bug in one of them. */
function prepared(model, tokenizer, { bug = null, ...request }, ids) {
  const { Bug, earlier = "", ...usual } = bug ? BUGS[bug] : { cache: "dynamic", options: {} };
  const { cache: name, options } = { ...usual, ...request };
  const { window = null, sinks = 0, ...others } = options;
  const Kind = Bug?.prototype instanceof Model ? Bug : Model;
  const served = new Kind({ ...model.config, window, sinks }, model.weights);
  const cache = Bug && Kind === Model ? new Bug(served.config, others) : makeCache(name, served.config, others);
  const before = tokenizer.encode(earlier).slice(0, ids.length - 1);
  if (before.length) {
    served.forward(before, cache);
    cache.reset();
  }
  return { served, cache };
}

/** Logits behind the text. Feeds what the cache does not hold yet; where nothing is kept, the whole text. */
export function nextLogits(model, ids, meter, watch = false) {
  const { keeps, length, largestChunk } = meter.cache;
  let logits;
  for (let start = keeps ? length : 0; start < ids.length; start += largestChunk) {
    logits = model.forward(ids.slice(start, start + largestChunk), meter, watch ? meter : null);
  }
  return logits;
}
