// Bugs to be looked at: each is the right class with one line of one method changed, and the page shows both lines.
import { attend } from "./attention.mjs";
import { DynamicCache } from "./cache.mjs";
import { Codec } from "./codec.mjs";
import { Model } from "./model.mjs";
import { QuantizedCache } from "./quantized.mjs";
import { SlidingWindowCache } from "./sliding.mjs";

/** Positions are counted in the chunk, not in the text. */
class WrongPosition extends Model {
  embed(ids, positions) {
    const { n_embd } = this.config;
    const x = new Float32Array(ids.length * n_embd);
    for (let t = 0; t < ids.length; t++) {
      const place = t;
      for (let c = 0; c < n_embd; c++) {
        x[t * n_embd + c] = this.weights["wte.weight"][ids[t] * n_embd + c] + this.weights["wpe.weight"][place * n_embd + c];
      }
    }
    return x;
  }
}

/** The triangle of the mask is laid into its upper left corner: the first query of a chunk sees the first key alone. */
class MaskInTheWrongCorner extends Model {
  attention(x, positions, cache, layer, watch) {
    let [q, k, v] = this.qkv(x, layer), kPositions;
    [k, v, kPositions] = cache.update(k, v, layer); // a layer touches a cache here alone
    const weights = watch && watch.attention(layer, kPositions.length);
    const mixed = attend(q, k, v, positions.map((_, t) => t), kPositions, this.config, weights);
    return this.product(mixed, `h.${layer}.attn.c_proj`);
  }
}

/** What it holds of another text stays, and passes for the first tokens of this one. */
class StaleCache extends DynamicCache {
  reset() {
    Object.assign(this, { ...this.nothing(), ...this });
  }
}

/** The slot that the first query of a chunk still needs is overwritten by the last token. */
class RingOneShort extends SlidingWindowCache {
  get ring() {
    return this.config.window + this.largestChunk - 2;
  }
}

/** Each row is rounded as it comes in, and once more with its group. */
class RoundedTwice extends QuantizedCache {
  update(k, v, layer) {
    const chunk = [k, v].map((rows) => this.roundedByToken(rows));
    this.layers[layer] = this.layers[layer].map((kept, i) => this.movedOn(this.codecs[i], kept, chunk[i]));
    const [keys, values] = this.layers[layer].map((kept, i) => this.decoded(this.codecs[i], kept));
    return [keys, values, this.positions];
  }

  roundedByToken(rows) {
    const { n_embd, n_head } = this.config;
    const codec = new Codec(this.codecs[0].bits, "token", n_embd / n_head, this.config);
    const out = new Float32Array(rows.length);
    for (let at = 0; at < rows.length; at += n_embd) {
      codec.read(codec.write(rows.subarray(at, at + n_embd)), out.subarray(at));
    }
    return out;
  }
}

/**
 * By name: the class with the changed line, the cache in which it shows, with options that let it show soon, and what
 * has happened before, if it matters: `earlier`, a text that the same cache was used for.
 */
export const BUGS = {
  wrong_position: { Bug: WrongPosition, cache: "dynamic", options: {} },
  mask_in_the_wrong_corner: { Bug: MaskInTheWrongCorner, cache: "dynamic", options: {} },
  stale_cache: { Bug: StaleCache, cache: "dynamic", options: {}, earlier: "ROMEO.\nO Juliet, I have the ruby. " },
  ring_one_short: { Bug: RingOneShort, cache: "sliding_window", options: { window: 16, chunk: 1 } },
  rounded_twice: {
    Bug: RoundedTwice,
    cache: "quantized",
    options: { nbits: 4, q_group_size: 16, residual_length: 16, group_key: "channel" },
  },
};

/** Of a bug: {where: "Class.method", before and after (the line, found in the two methods' own source), earlier}. */
export function changedLine(name) {
  const { Bug, earlier = "" } = BUGS[name], Right = Object.getPrototypeOf(Bug);
  const method = Object.getOwnPropertyNames(Bug.prototype).find((each) => each !== "constructor" && each in Right.prototype);
  const [before, after] = [Right, Bug].map((Kind) => sourceOf(Kind.prototype, method).split("\n"));
  const at = before.findIndex((line, i) => line !== after[i]);
  return { where: `${Right.name}.${method}`, before: before[at].trim(), after: after[at].trim(), earlier };
}

export function sourceOf(prototype, method) {
  const found = Object.getOwnPropertyDescriptor(prototype, method);
  return found ? (found.value ?? found.get).toString() : sourceOf(Object.getPrototypeOf(prototype), method);
}
