// A cache that wraps a cache: counts the K/V rows that pass, and, asked to, keeps what each layer's attention read.
import { NEVER } from "./attention.mjs";

/** One row: key and value of one token in one layer. rows: computed so far; needed: those of them for the first time. */
export class Meter {
  rows = 0;
  needed = 0;
  step = 0;

  constructor(cache) {
    const { n_layer, context } = cache.config;
    this.cache = cache;
    this.times = Array.from({ length: n_layer }, () => new Int32Array(context)); // by position
    this.computed = Array.from({ length: n_layer }, () => new Int32Array(context)); // the step of the last time
    this.read = []; // keys, values, positions of each layer
    this.weights = [];
  }

  admit(count) {
    return (this.newest = this.cache.admit(count));
  }

  update(k, v, layer) {
    for (const position of this.newest) {
      this.rows++;
      this.needed += this.times[layer][position]++ === 0;
      this.computed[layer][position] = this.step;
    }
    return (this.read[layer] = this.cache.update(k, v, layer));
  }

  /** Room for the newest token's attention weights, (H, S). */
  attention(layer, slots) {
    return (this.weights[layer] = new Float32Array(this.cache.config.n_head * slots));
  }

  /** Each layer as its attention read it in the last pass: copies, which may be sent elsewhere. */
  layers() {
    return this.read.map(([keys, values, positions], layer) => {
      const [roundedKeys, roundedValues] = this.cache.rounded(layer);
      const by = (what, otherwise) => positions.map((at) => (at === NEVER ? otherwise : what(at)));
      return {
        positions: positions.slice(),
        state: Uint8Array.from(by((at) => (at < roundedKeys ? 2 : 1), 0)),
        valueState: Uint8Array.from(by((at) => (at < roundedValues ? 2 : 1), 0)),
        computed: by((at) => this.computed[layer][at], -1),
        times: by((at) => this.times[layer][at], 0),
        keys: keys.slice(),
        values: values.slice(),
        attention: this.weights[layer].slice(),
      };
    });
  }
}
