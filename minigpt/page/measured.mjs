// Measures an engine under Node: node measured.mjs FOLDER/load.mjs < {data, requests} > answers
import { readFileSync } from "node:fs";

const from = (name) => import(new URL(name, process.argv[2]));
const { load } = await from("load.mjs");
const { generate } = await from("generate.mjs");
const { makeCache } = await from("caches.mjs");

const { data, requests } = JSON.parse(readFileSync(0, "utf8"));
const { model, tokenizer } = load(data);

const KINDS = {
  /** Behind each prompt, which is given as ids. */
  logits: ({ prompts }) => prompts.map((ids) => Array.from(model.forward(ids, makeCache("none", model.config)))),

  /** Milliseconds of each decoded token. The first run makes V8 compile. */
  decoded: ({ request }) => {
    const milliseconds = () => Array.from(generate(model, tokenizer, request), ({ ms }) => ms).slice(1);
    milliseconds();
    return milliseconds();
  },
};

process.stdout.write(JSON.stringify(requests.map(({ kind, ...request }) => KINDS[kind](request))));
