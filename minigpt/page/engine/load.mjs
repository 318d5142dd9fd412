// The data block of the page -> the model and its tokenizer.
import { Model } from "./model.mjs";
import { floats, transposed } from "./tensor.mjs";
import { Tokenizer } from "./tokenizer.mjs";

/** data: {config, safetensors (base64 of the file), tokenizer (tokenizer.json)}. Returns {model, tokenizer}. */
export function load({ config, safetensors, tokenizer }) {
  return { model: new Model(config, weightsOf(bytesOf(safetensors))), tokenizer: new Tokenizer(tokenizer) };
}

function bytesOf(base64) {
  const characters = atob(base64), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** The format: 8 bytes with the length of the header, the header, which says where each tensor lies, the tensors. */
function weightsOf(file) {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const tensors = file.slice(8 + length);
  const weights = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "F16") throw new TypeError(`${name} is ${dtype}, and the page reads F16`);
    const numbers = floats(tensors.subarray(...data_offsets));
    const short = name.replace("transformer.", "");
    // GPT-2's files have the weights of a product as (inputs, outputs).
    weights[short] = /c_\w+\.weight$/.test(short) ? transposed(numbers, ...shape) : numbers;
  }
  return weights;
}
