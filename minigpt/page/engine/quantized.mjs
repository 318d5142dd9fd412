// Old tokens in few bits: they leave the exact residual a group at a time, are rounded once, and never again.
import { Cache } from "./cache.mjs";
import { wholeNumber } from "./checks.mjs";
import { Codec } from "./codec.mjs";

/**
 * Each layer has exact keys and values, the residual, and blocks of rounded ones, as in minigpt/cache/quantized. When a
 * chunk comes and n tokens are held, the newest residual_length of these n are exact, and so is the chunk. Of the tokens
 * before, whole groups are rounded. The options are those of Python's backend quanto.
 */
export class QuantizedCache extends Cache {
  constructor(config, options = {}) {
    const { nbits = 4, q_group_size = 64, residual_length = 128, group_key = "token", group_value = "token" } = options;
    wholeNumber("residual_length", residual_length, 0);
    super(config);
    this.residual_length = residual_length;
    this.codecs = [group_key, group_value].map((group) => new Codec(nbits, group, q_group_size, config));
    this.reset();
  }

  /** Of the keys, and of the values. */
  empty() {
    return [0, 1].map(() => ({ exact: new Float32Array(0), blocks: [] }));
  }

  update(k, v, layer) {
    const chunk = [k, v];
    this.layers[layer] = this.layers[layer].map((kept, i) => this.movedOn(this.codecs[i], kept, chunk[i]));
    const [keys, values] = this.layers[layer].map((kept, i) => this.decoded(this.codecs[i], kept));
    return [keys, values, this.positions];
  }

  /** After a chunk: new tokens enter the residual, whole groups leave it and are rounded. */
  movedOn(codec, { exact, blocks }, chunk) {
    const { n_embd } = this.config, held = this.length - this.fresh;
    const leaving = codec.leaving(held - blocks.length * codec.tokens, this.residual_length);
    const rounded = [];
    for (let at = 0; at < leaving * n_embd; at += codec.numbers) {
      rounded.push(codec.write(exact.subarray(at, at + codec.numbers)));
    }
    return { exact: joined(exact.subarray(leaving * n_embd), chunk), blocks: [...blocks, ...rounded] };
  }

  /** As attention reads them: the blocks decoded, then the residual. */
  decoded(codec, { exact, blocks }) {
    const rounded = new Float32Array(blocks.length * codec.numbers);
    blocks.forEach((block, i) => codec.read(block, rounded.subarray(i * codec.numbers)));
    return joined(rounded, exact);
  }

  get buffers() {
    return this.layers.flat().flatMap(({ exact, blocks }) => [exact, ...blocks]);
  }

  rounded(layer) {
    return this.layers[layer].map(({ blocks }, i) => blocks.length * this.codecs[i].tokens);
  }
}

function joined(first, second) {
  const out = new Float32Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}
