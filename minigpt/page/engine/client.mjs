// The page's side: an engine in a worker of its own.

/** Starts a worker with the engine's source and the model's data, which lie in the page as text. */
export function connect() {
  const source = document.getElementById("worker").textContent;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return new Engine(new Worker(address), document.getElementById("model").textContent);
}

/** ready: a promise. Several runs may be read in turn; each computes its next step when it is asked for. */
export class Engine {
  calls = 0;
  waiting = new Map();

  constructor(worker, data) {
    this.worker = worker;
    worker.onmessage = ({ data: { call, result, error } }) => {
      const { resolve, reject } = this.waiting.get(call);
      this.waiting.delete(call);
      error === undefined ? resolve(result) : reject(new Error(error));
    };
    this.ready = this.ask("load", data);
  }

  /** For the steps of `generate`, and for those of `compared`: `for await (const step of engine.generate(request))`. */
  generate(request) {
    return this.steps("generate", request);
  }

  compared(request) {
    return this.steps("compared", request);
  }

  /** One result: {what: "tokens", text}, {what: "changedLine", bug}. */
  answer({ what, ...request }) {
    return this.ask(what, request);
  }

  /** Ends the worker. */
  close() {
    this.worker.terminate();
  }

  async *steps(kind, request) {
    const run = this.calls;
    await this.ask("begin", { kind, run, request });
    try {
      for (let next; !(next = await this.ask("next", { run })).done; ) yield next.value;
    } finally {
      this.ask("end", { run });
    }
  }

  ask(what, request) {
    const call = this.calls++;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.worker.postMessage({ call, what, request });
    });
  }
}
