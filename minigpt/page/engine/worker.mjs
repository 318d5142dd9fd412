// The worker's side: it computes a step when it is asked for one, so a run that nobody reads stops within a step.
import { generate } from "./generate.mjs";
import { load } from "./load.mjs";

/** What it can be asked for: what -> function of the request. State: the model, and the run under way. */
export function engineOf() {
  let model, tokenizer, run;
  return {
    load: (text) => void ({ model, tokenizer } = load(JSON.parse(text))),
    begin: (request) => void (run = generate(model, tokenizer, request)),
    next: () => run.next(),
    tokens: ({ text }) => tokenizer.encode(text).map((id) => ({ id, text: tokenizer.decode([id]) })),
  };
}

if (typeof WorkerGlobalScope !== "undefined") {
  const engine = engineOf();
  onmessage = ({ data: { call, what, request } }) => {
    try {
      postMessage({ call, result: engine[what](request) });
    } catch (error) {
      postMessage({ call, error: error.message });
    }
  };
}
