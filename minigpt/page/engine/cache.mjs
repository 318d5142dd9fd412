// What a cache is, and the two that need no options: keep nothing, and keep everything, as in minigpt/cache. One text.

/** length: tokens taken in so far. fresh: those of the newest chunk. keeps: else each step is fed the whole text. */
export class Cache {
  keeps = true;
  largestChunk = Infinity;

  constructor(config) {
    this.config = config;
    this.length = this.fresh = 0;
    this.layers = Array.from({ length: config.n_layer }, () => this.empty());
  }

  /** Announces so many new tokens. Returns their positions, which go on from what is there. */
  admit(count) {
    if (this.length + count > this.config.context) {
      throw new RangeError(`${this.length + count} tokens: the model has ${this.config.context} positions`);
    }
    this.length += count;
    this.fresh = count;
    return this.positions.slice(this.length - count);
  }

  get positions() {
    return Int32Array.from({ length: this.length }, (_, i) => i);
  }

  /** Bytes of keys and values held, used or not. */
  get nbytes() {
    return this.layers.flat().reduce((sum, kept) => sum + kept.byteLength, 0);
  }

  /** How many tokens' keys, and how many tokens' values, are rounded: they are the first ones. */
  rounded() {
    return [0, 0];
  }
}

/** Keeps nothing: the uncached reference of all other caches. */
export class NoCache extends Cache {
  keeps = false;

  admit(count) {
    this.length = 0;
    return super.admit(count);
  }

  empty() {
    return [];
  }

  update(k, v) {
    return [k, v, this.positions];
  }
}

/** Keeps everything. Its room doubles, so that all the copying stays cheap. */
export class DynamicCache extends Cache {
  empty() {
    return [new Float32Array(0), new Float32Array(0)];
  }

  update(k, v, layer) {
    const C = this.config.n_embd, old = this.length - this.fresh;
    const kept = this.layers[layer].map((buffer) => this.roomy(buffer));
    kept[0].set(k, old * C);
    kept[1].set(v, old * C);
    this.layers[layer] = kept;
    return [kept[0].subarray(0, this.length * C), kept[1].subarray(0, this.length * C), this.positions];
  }

  roomy(buffer) {
    if (this.length * this.config.n_embd <= buffer.length) return buffer;
    const longer = new Float32Array(Math.max(this.length * this.config.n_embd, 2 * buffer.length));
    longer.set(buffer);
    return longer;
  }
}
