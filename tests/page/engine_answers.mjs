// Answers about an engine: node engine_answers.mjs FOLDER/load.mjs < {data, requests} > answers
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const from = (name) => import(new URL(name, process.argv[2]));
const { load } = await from("load.mjs");
const { generate, nextLogits } = await from("generate.mjs");
const { makeCache } = await from("caches.mjs");
const { Meter } = await from("meter.mjs");
const { Codec } = await from("codec.mjs");
const { random, sampler } = await from("sampling.mjs");
const { compared } = await from("compared.mjs");
const { BUGS, changedLine, sourceOf } = await from("bugs.mjs");
const { makeAnswers } = await from("worker.mjs");
const { Engine } = await from("client.mjs");

const { data, requests } = JSON.parse(readFileSync(0, "utf8"));
const { model, tokenizer } = load(data);
const given = { encode: (ids) => [...ids], decode: String, nameOf: String, stream: () => String }; // whose text is its ids

const KINDS = {
  weights: () =>
    Object.fromEntries(
      Object.entries(model.weights).map(([name, { buffer }]) => [name, createHash("sha256").update(new Uint8Array(buffer)).digest("hex")]),
    ),
  encoded: ({ texts }) => texts.map((text) => tokenizer.encode(text)),
  tokens: ({ texts }) => texts.map((text) => tokenizer.tokensOf(text)),
  named: ({ ids }) => ids.map((id) => tokenizer.nameOf(id)),
  decoded: ({ texts }) => texts.map((ids) => tokenizer.decode(ids)),
  streamed: ({ texts }) => texts.map((ids) => [...ids, null].map(tokenizer.stream())),

  /** Steps without layers; prompt: ids. */
  generated: ({ requests }) => requests.map((request) => [...generate(model, given, request)].map(({ layers, ...step }) => step)),
  watched: ({ request }) => [...generate(model, given, { ...request, watch: true })].map(plain),

  /** The logits behind the first `prompt` tokens of a text, then behind each further one. */
  followed: ({ text, prompt, cache, options: { window = null, sinks = 0, ...options } }) => {
    const served = model.withWindow(window, sinks), meter = new Meter(makeCache(cache, served.config, options));
    const ends = Array.from({ length: text.length - prompt + 1 }, (_, i) => prompt + i);
    return ends.map((end) => Array.from(nextLogits(served, text.slice(0, end), meter)));
  },

  coded: ({ bits, group, size, numbers }) => {
    const codec = new Codec(bits, group, size, model.config), x = Float32Array.from(numbers);
    const blocks = Array.from({ length: x.length / codec.numbers }, (_, i) =>
      codec.write(x.subarray(i * codec.numbers, (i + 1) * codec.numbers)),
    );
    const read = (block) => {
      const out = new Float32Array(codec.numbers);
      codec.read(block, out);
      return Array.from(out);
    };
    return { blocks: blocks.map((block) => Array.from(block)), read: blocks.flatMap(read) };
  },

  drawn: ({ logits, temperature, topK, seed, count }) => {
    const draw = sampler(temperature, topK, seed), counts = logits.map(() => 0);
    for (let i = 0; i < count; i++) counts[draw(Float32Array.from(logits))]++;
    return counts;
  },
  random: ({ seed, count }) => Array.from({ length: count }, random(seed)),

  compared: ({ request }) => {
    const steps = [...compared(model, tokenizer, request)];
    return { first: steps.at(-1).first, at: steps.findIndex(({ first }) => first), texts: [0, 1].map((right) => textOf(steps, right)) };
  },
  bugs: () =>
    Object.entries(BUGS).map(([name, { Bug }]) => {
      const { where, before, after } = changedLine(name), Right = Object.getPrototypeOf(Bug), method = where.split(".")[1];
      return { name, before, after, right: sourceOf(Right.prototype, method), wrong: sourceOf(Bug.prototype, method) };
    }),

  refused: ({ request }) => {
    try {
      return [...generate(model, tokenizer, request)].length;
    } catch (error) {
      return error.message;
    }
  },

  /** Through client and worker, which is stopped after `read` steps. */
  served: async ({ request, read }) => {
    const answers = makeAnswers(), asked = [];
    const worker = {
      postMessage({ call, what, request }) {
        asked.push(what);
        const message = { call };
        try {
          message.result = structuredClone(answers[what](request));
        } catch (error) {
          message.error = error.message;
        }
        setTimeout(() => worker.onmessage({ data: message }), 0);
      },
    };
    const engine = new Engine(worker, JSON.stringify(data)), steps = [];
    await engine.ready;
    try {
      for await (const { layers, ms, ...step } of engine.generate(request)) if (steps.push(step) === read) break;
    } catch (error) {
      return { error: error.message, asked };
    }
    return { steps, asked, tokens: await engine.answer({ what: "tokens", text: request.prompt }) };
  },
};

function textOf(steps, right) {
  return steps.map((step) => (right ? step.right : step).text).join("");
}

/** Typed arrays as lists. */
function plain({ layers, ...step }) {
  const lists = (layer) => Object.fromEntries(Object.entries(layer).map(([name, numbers]) => [name, Array.from(numbers)]));
  return { ...step, layers: layers.map(lists) };
}

const answers = [];
for (const { kind, ...request } of requests) answers.push(await KINDS[kind](request));
process.stdout.write(JSON.stringify(answers));
