// What a cache is, and the two that need no options: keep nothing, and keep everything, as in minigpt/cache. One text.

/** length: tokens taken in so far. fresh: those of the newest chunk. keeps: else each step is fed the whole text. */
export class Cache {
  keeps = true;
  largestChunk = Infinity; // tokens that can be fed at once

  constructor(config) {
    this.config = config;
  }

  /** Forgets everything. */
  reset() {
    Object.assign(this, this.nothing());
  }

  nothing() {
    return { length: 0, fresh: 0, layers: this.perLayer(() => this.empty()) };
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
    return this.buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
  }

  /** Of these, without spare room: what the next token can see. */
  get used() {
    return this.nbytes;
  }

  /** Of so many tokens, exact, in all layers. */
  bytesOf(tokens) {
    return this.buffers.length * tokens * this.config.n_embd * Float32Array.BYTES_PER_ELEMENT;
  }

  get buffers() {
    return this.layers.flat();
  }

  perLayer(make) {
    return Array.from({ length: this.config.n_layer }, make);
  }

  /** Of a layer: how many tokens' keys, and how many tokens' values, are rounded. They are the first ones. */
  rounded(layer) {
    return [0, 0];
  }
}

/** Keeps nothing: the uncached reference of all other caches. */
export class NoCache extends Cache {
  keeps = false;

  constructor(config) {
    super(config);
    this.reset();
  }

  empty() {
    return [];
  }

  admit(count) {
    this.length = 0;
    return super.admit(count);
  }

  update(k, v, layer) {
    return [k, v, this.positions];
  }
}

/** Keeps everything. Its room doubles, so that all the copying stays cheap. */
export class DynamicCache extends Cache {
  constructor(config) {
    super(config);
    this.reset();
  }

  empty() {
    return [new Float32Array(0), new Float32Array(0)];
  }

  update(k, v, layer) {
    const { n_embd } = this.config, old = this.length - this.fresh;
    const [keys, values] = (this.layers[layer] = this.layers[layer].map((buffer) => this.roomy(buffer)));
    keys.set(k, old * n_embd);
    values.set(v, old * n_embd);
    return [keys.subarray(0, this.length * n_embd), values.subarray(0, this.length * n_embd), this.positions];
  }

  get used() {
    return this.bytesOf(this.length);
  }

  roomy(buffer) {
    const wanted = this.length * this.config.n_embd;
    if (wanted <= buffer.length) return buffer;
    const longer = new Float32Array(Math.max(wanted, 2 * buffer.length));
    longer.set(buffer);
    return longer;
  }
}
