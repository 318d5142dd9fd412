// Which numbers share a scale, how they are rounded, and how a block of tokens becomes bytes, as in
// minigpt/cache/quantized: float32 after every operation, so that the bytes are the same.
import { wholeNumber } from "./checks.mjs";

/**
 * Tokens and channels that share a scale. token: `size` neighbouring numbers of one head of one token (of size / D
 * tokens, where size is above D). channel: one channel over `size` tokens.
 */
export function groupShape(name, size, D) {
  wholeNumber("q_group_size", size);
  if (name === "channel") return [size, 1];
  if (name !== "token") throw new RangeError(`no group is named ${name}; there are token, channel`);
  if (Math.max(size, D) % Math.min(size, D)) {
    throw new RangeError(`groups by token want a q_group_size that divides ${D} or is a multiple of it, got ${size}`);
  }
  return [Math.max(1, size / D), Math.min(size, D)];
}

/** A block is the bytes of `tokens` tokens: their codes, then the scales of their groups, then the offsets. */
export class Codec {
  constructor(bits, name, size, { n_embd, n_head }) {
    if (![1, 2, 4, 8].includes(bits)) throw new RangeError(`nbits must be 1, 2, 4 or 8, got ${bits}`);
    const D = n_embd / n_head;
    const [tokens, channels] = groupShape(name, size, D);
    this.bits = bits;
    this.tokens = tokens;
    this.numbers = tokens * n_embd; // in a block
    this.size = tokens * channels; // of a group
    this.members = new Int32Array(this.numbers); // group after group: where each number lies in (tokens, n_embd)
    let at = 0;
    for (let first = 0; first < n_embd; first += channels) {
      for (let t = 0; t < tokens; t++) for (let c = 0; c < channels; c++) this.members[at++] = t * n_embd + first + c;
    }
    if ((this.numbers * bits) % 8) throw new RangeError(`${bits}-bit codes of ${this.numbers} numbers don't fill bytes`);
  }

  /** How many of so many exact tokens are to be rounded: whole blocks of those before the residual. */
  leaving(exact, residual) {
    return Math.floor(Math.max(0, exact - residual) / this.tokens) * this.tokens;
  }

  /** Numbers (tokens, n_embd) -> a block. */
  write(x) {
    const [packed, scales, offsets] = this.parts(new Uint8Array(this.nbytes));
    for (let g = 0; g < scales.length; g++) {
      const group = Float32Array.from(this.members.subarray(g * this.size, (g + 1) * this.size), (place) => x[place]);
      const { codes, scale, offset } = minMax(group, this.bits);
      scales[g] = scale;
      offsets[g] = offset;
      codes.forEach((code, i) => this.put(packed, g * this.size + i, code));
    }
    return new Uint8Array(packed.buffer);
  }

  /** A block -> its numbers (tokens, n_embd), into `out`. */
  read(block, out) {
    const [packed, scales, offsets] = this.parts(block), { fround } = Math;
    for (let i = 0; i < this.numbers; i++) {
      const g = Math.floor(i / this.size);
      out[this.members[i]] = fround(this.get(packed, i) * scales[g]) + offsets[g];
    }
  }

  get nbytes() {
    return (this.numbers * this.bits) / 8 + 8 * (this.numbers / this.size);
  }

  /** The codes, scales and offsets of a block: views of its bytes. */
  parts({ buffer }) {
    const packed = (this.numbers * this.bits) / 8, groups = this.numbers / this.size;
    return [
      new Uint8Array(buffer, 0, packed),
      new Float32Array(buffer, packed, groups),
      new Float32Array(buffer, packed + 4 * groups, groups),
    ];
  }

  // Codes far apart share a byte: of 4 bits, code i lies in the lower half of byte i, code i + n / 2 in its upper one.
  put(packed, i, code) {
    packed[i % packed.length] |= code << (this.bits * Math.floor(i / packed.length));
  }

  get(packed, i) {
    return (packed[i % packed.length] >> (this.bits * Math.floor(i / packed.length))) & (2 ** this.bits - 1);
  }
}

/** Affine, from a group's smallest number (code 0) to its largest: number = code * scale + offset. */
export function minMax(group, bits) {
  const top = 2 ** bits - 1, { fround } = Math;
  const low = Math.min(...group), high = Math.max(...group);
  const scale = fround(fround(high - low) / top) || 1; // of equal numbers, which are kept exactly
  const codes = group.map((x) => Math.min(top, Math.max(0, roundEven(fround(fround(x - low) / scale)))));
  return { codes, scale, offset: low };
}

/** To the nearest whole number; from the middle between two, to the even one, as torch does. */
function roundEven(x) {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}
