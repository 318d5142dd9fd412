// What the scene `forget` asks, and what each cache answers: see node.py.
import { readFileSync } from "node:fs";

const from = (name) => import(new URL(name, process.argv[2]));
const { load } = await from("load.mjs");
const { recall } = await from("recall.mjs");
const { answering, byToken, looks, promptOf } = await from("../scenes/forget_prompt.mjs");

const { data, requests } = JSON.parse(readFileSync(0, "utf8"));
const { model, tokenizer } = load(data);

const told = ({ scene, caches, ...asked }) => {
  const prompt = promptOf(scene, asked);
  const answers = answering(asked.window).filter(({ name }) => caches.includes(name)).map(({ name, cache, options }) => {
    const { id, nbytes, used, layers } = recall(model, tokenizer, { ...prompt, cache, options });
    const [{ layer, head, share }] = looks(layers, prompt.fact);
    const { kept, looked } = byToken(layers[layer], head, prompt.ids.length, options);
    return { name, cache, options, id, nbytes, used, layer, head, share, kept: [...kept], looked: [...looked] };
  });
  return { ...prompt, answers };
};
console.log(JSON.stringify(requests.map(told)));
