// GPT-2's architecture, as in minigpt/model.py. Of the caches it knows two verbs: admit once a pass, update once a layer.
import { attend } from "./attention.mjs";
import { add, gelu, layerNorm, linear } from "./tensor.mjs";

export class Model {
  /** config: as Python's GPTConfig names it. weights: name -> Float32Array; of a product (outputs, inputs). */
  constructor(config, weights) {
    this.config = config;
    this.weights = weights;
    this.unbiased = new Float32Array(config.vocab_size); // the head has no bias
  }

  /** The same weights, each token seeing only the last `window` tokens and the first `sinks`. */
  withWindow(window, sinks = 0) {
    return new this.constructor({ ...this.config, window, sinks }, this.weights);
  }

  /** Takes in a chunk of new tokens. Returns the logits (V) behind the last of them. watch: see Meter. */
  forward(ids, cache, watch = null) {
    const positions = cache.admit(ids.length);
    let x = this.embed(ids, positions);
    for (let layer = 0; layer < this.config.n_layer; layer++) {
      x = add(x, this.attention(this.norm(x, `h.${layer}.ln_1`), positions, cache, layer, watch));
      x = add(x, this.mlp(this.norm(x, `h.${layer}.ln_2`), layer));
    }
    const last = this.norm(x.subarray(-this.config.n_embd), "ln_f");
    return linear(last, this.weights["wte.weight"], this.unbiased);
  }

  embed(ids, positions) {
    const { n_embd } = this.config;
    const x = new Float32Array(ids.length * n_embd);
    for (let t = 0; t < ids.length; t++) {
      const place = positions[t];
      for (let c = 0; c < n_embd; c++) {
        x[t * n_embd + c] = this.weights["wte.weight"][ids[t] * n_embd + c] + this.weights["wpe.weight"][place * n_embd + c];
      }
    }
    return x;
  }

  attention(x, positions, cache, layer, watch) {
    let [q, k, v] = this.qkv(x, layer), kPositions;
    [k, v, kPositions] = cache.update(k, v, layer); // a layer touches a cache here alone
    const weights = watch && watch.attention(layer, kPositions.length);
    const mixed = attend(q, k, v, positions, kPositions, this.config, weights);
    return this.product(mixed, `h.${layer}.attn.c_proj`);
  }

  /** Queries, keys and values, (T, C) each: all three in one product. */
  qkv(x, layer) {
    const { n_embd } = this.config;
    const all = this.product(x, `h.${layer}.attn.c_attn`);
    const parts = [0, 1, 2].map(() => new Float32Array(x.length));
    for (let t = 0; t < x.length / n_embd; t++) {
      parts.forEach((part, i) => part.set(all.subarray((3 * t + i) * n_embd, (3 * t + i + 1) * n_embd), t * n_embd));
    }
    return parts;
  }

  mlp(x, layer) {
    return this.product(gelu(this.product(x, `h.${layer}.mlp.c_fc`)), `h.${layer}.mlp.c_proj`);
  }

  product(x, name) {
    return linear(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  norm(x, name) {
    return layerNorm(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`], this.config.layer_norm_epsilon);
  }
}
