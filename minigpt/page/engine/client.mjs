// The page's side: an engine in a worker of its own.

/** Starts a worker with the engine's source and the model's data, which lie in the page as text. */
export function connect() {
  const source = document.getElementById("worker").textContent;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return new Engine(new Worker(address), document.getElementById("model").textContent);
}

/** ready: a promise. generate(request): steps, as they are asked for. answer({what, ...}): one result. close(): ends. */
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

  ask(what, request) {
    const call = this.calls++;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.worker.postMessage({ call, what, request });
    });
  }

  async *generate(request) {
    await this.ask("begin", request);
    for (let next; !(next = await this.ask("next")).done; ) yield next.value;
  }

  answer({ what, ...request }) {
    return this.ask(what, request);
  }

  close() {
    this.worker.terminate();
  }
}
