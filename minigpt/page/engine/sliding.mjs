// A ring: only the window's tokens are kept, each new one in the place of one that no query will see again.
import { NEVER } from "./attention.mjs";
import { Cache } from "./cache.mjs";
import { wholeNumber } from "./checks.mjs";

/**
 * window + chunk - 1 slots in a ring, and a slot of its own for each sink, as in minigpt/cache/sliding.py.
 *
 * chunk: the most tokens that are fed at once (default: window). While the last token of a chunk is stored already, its
 * first query still sees window - 1 tokens before itself: one slot fewer would overwrite one of them.
 */
export class SlidingWindowCache extends Cache {
  constructor(config, { chunk = config.window } = {}) {
    if (config.window === null) {
      throw new RangeError("this model sees all tokens before, and a ring wants a window: choose one");
    }
    wholeNumber("chunk", chunk);
    super(config);
    this.largestChunk = chunk;
    this.reset();
  }

  get ring() {
    return this.config.window + this.largestChunk - 1;
  }

  /** Keys, values, and the position that each slot holds. */
  empty() {
    const slots = this.config.sinks + this.ring, numbers = slots * this.config.n_embd;
    return [new Float32Array(numbers), new Float32Array(numbers), new Int32Array(slots).fill(NEVER)];
  }

  update(k, v, layer) {
    const { n_embd } = this.config, [keys, values, held] = this.layers[layer];
    for (let t = 0; t < this.fresh; t++) {
      const position = this.length - this.fresh + t, slot = this.slotOf(position);
      keys.set(k.subarray(t * n_embd, (t + 1) * n_embd), slot * n_embd);
      values.set(v.subarray(t * n_embd, (t + 1) * n_embd), slot * n_embd);
      held[slot] = position;
    }
    return [keys, values, held];
  }

  slotOf(position) {
    const { sinks } = this.config;
    return position < sinks ? position : sinks + (position % this.ring);
  }

  /** The ring also has slots for the chunk that comes. */
  get used() {
    return this.bytesOf(Math.min(this.length, this.config.sinks + this.config.window));
  }

  get buffers() {
    return this.layers.flatMap(([keys, values]) => [keys, values]);
  }
}
