// Bytes of keys and values, in closed form: those of minigpt/measure/forms, to the byte (tests/page/test_memory_forms.py).

const EXACT = 2; // bytes of a number in 16 bits
const GROUP = 64; // numbers that share a scale and an offset; the size of each head here is a multiple
const RESIDUAL = 128; // the newest tokens stay exact
const FLAT = 1024;

const sumOf = (numbers) => numbers.reduce((total, each) => total + each, 0);

export const layersOf = ({ windows }) => sumOf(windows.map(([, layers]) => layers));
export const windowOf = ({ windows }) => windows.find(([window]) => window) ?? null;
const numbersOf = ({ kept }) => sumOf(kept.map(([heads, size]) => heads * size));

/** Of all layers, exact: what one token more adds where no window is full. */
export const bytesOfToken = (model) => layersOf(model) * numbersOf(model) * EXACT;

/** The cache that holds least with so many bits: a ring where layers have a window. A rounded one keeps all tokens. */
export const cacheOf = (model, bits) => (bits < 16 ? "quantized" : windowOf(model) ? "sliding_window" : "static");

/** Bytes that it holds for so many tokens in each row of the batch, fed one at a time. */
export function heldBytes(model, tokens, batch, bits) {
  if (bits < 16) return batch * layersOf(model) * sumOf(model.kept.map((of) => roundedBytes(of, tokens, bits)));
  const slots = sumOf(model.windows.map(([window, layers]) => layers * Math.min(window ?? tokens, tokens)));
  return batch * slots * numbersOf(model) * EXACT;
}

// Keys, or values, of a layer: what has left the residual when the newest token comes is codes, scales and offsets.
function roundedBytes([heads, size], tokens, bits) {
  const old = Math.max(0, tokens - 1 - RESIDUAL);
  const codes = (heads * size * bits) / 8;
  const scales = (heads * size) / GROUP;
  return old * (codes + 2 * scales * EXACT) + (tokens - old) * heads * size * EXACT;
}

/** The most bytes at any moment: beside a ring, a layer that grows is copied into a longer tensor, and is there twice. */
export function peakBytes(model, tokens, batch, bits) {
  const grows = model.windows.some(([window]) => !window);
  const twice = cacheOf(model, bits) === "sliding_window" && grows ? (tokens - 1) * numbersOf(model) * EXACT : 0;
  return heldBytes(model, tokens, batch, bits) + batch * twice;
}

/** The most tokens a row whose cache fits into so many bytes: 0 if not one does, null if any number does. */
export function longestContext(model, batch, bits, memory) {
  const here = (tokens) => peakBytes(model, tokens, batch, bits);
  let [fits, tooMany] = [0, 1];
  while (here(tooMany) <= memory) {
    if (here(FLAT * tooMany) === here(tooMany)) return null;
    [fits, tooMany] = [tooMany, 2 * tooMany];
  }
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (here(middle) <= memory) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
