// Numbers in rows: a tensor (T, C) is a Float32Array of T * C numbers, row after row. Sums run in double precision, in one
// fixed order for each number, so a row comes out the same, bit for bit, whichever rows are computed beside it.

/** Float16 as stored in a file -> the same numbers as float32, exactly. */
export function floats(bytes) {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) {
    const bits = halves[i], exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) throw new RangeError("a weight is infinite, or no number");
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
    out[i] = bits & 0x8000 ? -size : size;
  }
  return out;
}

/** (rows, columns) -> (columns, rows): a product reads its weights in the order in which they lie. */
export function transposed(matrix, rows, columns) {
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = matrix[r * columns + c];
  return out;
}

/** x (T, I) times the weights (O, I), and a bias: (T, O). Four outputs at once, so that no sum waits for another. */
export function linear(x, weight, bias) {
  const O = bias.length;
  const I = weight.length / O;
  const T = x.length / I;
  const out = new Float32Array(T * O);
  for (let t = 0; t < T; t++) {
    const row = t * I;
    for (let o = 0; o < O; o += 4) {
      const w = o * I;
      let a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < I; i++) {
        const number = x[row + i];
        a += number * weight[w + i];
        b += number * weight[w + I + i];
        c += number * weight[w + 2 * I + i];
        d += number * weight[w + 3 * I + i];
      }
      const to = t * O + o;
      out[to] = a + bias[o];
      out[to + 1] = b + bias[o + 1];
      out[to + 2] = c + bias[o + 2];
      out[to + 3] = d + bias[o + 3];
    }
  }
  return out;
}

/** Each row with mean 0 and variance 1, then scaled and moved. */
export function layerNorm(x, weight, bias, epsilon) {
  const C = weight.length;
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    let mean = 0, variance = 0;
    for (let c = 0; c < C; c++) mean += x[start + c] / C;
    for (let c = 0; c < C; c++) variance += (x[start + c] - mean) ** 2 / C;
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < C; c++) out[start + c] = (x[start + c] - mean) * scale * weight[c] + bias[c];
  }
  return out;
}

/** GPT-2's activation, by its approximation with tanh; in place. x (1 + tanh z) / 2 is x / (1 + exp(-2 z)). */
export function gelu(x) {
  const root = Math.sqrt(2 / Math.PI);
  for (let i = 0; i < x.length; i++) {
    const z = root * (x[i] + 0.044715 * x[i] * x[i] * x[i]);
    x[i] /= 1 + Math.exp(-2 * z);
  }
  return x;
}

/** In place. */
export function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
}
