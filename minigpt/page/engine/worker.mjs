// The worker's side: it computes a step when it is asked for one, so a run that nobody reads stops within a step.
import { changedLine } from "./bugs.mjs";
import { compared } from "./compared.mjs";
import { generate } from "./generate.mjs";
import { load } from "./load.mjs";
import { recall } from "./recall.mjs";

/** What it can be asked for: what -> function of the request. It keeps the model, and the runs under way by number. */
export function makeAnswers() {
  const kinds = { generate, compared }, runs = new Map();
  let model, tokenizer;
  return {
    load: (text) => void ({ model, tokenizer } = load(JSON.parse(text))),
    begin: ({ kind, run, request }) => void runs.set(run, kinds[kind](model, tokenizer, request)),
    next: ({ run }) => runs.get(run).next(),
    end: ({ run }) => void runs.delete(run),
    tokens: ({ text }) => tokenizer.tokensOf(text),
    recall: (request) => recall(model, tokenizer, request),
    changedLine: ({ bug }) => changedLine(bug),
  };
}

if (typeof WorkerGlobalScope !== "undefined") {
  const answers = makeAnswers();
  onmessage = ({ data: { call, what, request } }) => {
    try {
      postMessage({ call, result: answers[what](request) });
    } catch (error) {
      postMessage({ call, error: error.message });
    }
  };
}
