// Two runs of one model on one prompt, at the same time, each in a worker of its own.

/** What can race: the cache and its options; seen: which tokens the model sees, with this cache and without any. */
export const RACERS = {
  dynamic: { cache: "dynamic" },
  sliding_window: { cache: "sliding_window", seen: { window: 64, sinks: 4 } },
  int8: { cache: "quantized", options: { nbits: 8 }, rounds: true },
  int4: { cache: "quantized", options: { nbits: 4 }, rounds: true },
  int2: { cache: "quantized", options: { nbits: 2 }, rounds: true },
};

/** asked: {prompt, cache (of RACERS), tokens, temperature, seed}. */
export class Race {
  running = false;
  stopped = false;
  overtaken = null; // how many tokens there were without a cache when all were there with it

  constructor(asked) {
    const { cache, seen = {}, options = {}, rounds = false } = RACERS[asked.cache];
    const { prompt, tokens: newTokens, temperature, seed } = asked;
    const request = { prompt, newTokens, temperature, topK: 50, seed };
    this.asked = asked;
    this.rounds = rounds;
    this.without = new Lane({ ...request, cache: "none", options: seen });
    this.kept = new Lane({ ...request, cache, options: { ...seen, ...options } });
  }

  get lanes() {
    return [this.without, this.kept];
  }

  get done() {
    return this.lanes.every(({ done }) => done);
  }

  async run([one, other]) {
    this.running = true;
    const arrived = () => (this.overtaken = this.kept.done ? this.without.steps.length : null);
    try {
      await Promise.all([one.ready, other.ready]);
      const start = performance.now(); // one clock for both
      await Promise.all([this.without.run(one, start), this.kept.run(other, start).then(arrived)]);
    } finally {
      this.running = false;
    }
  }

  stop() {
    this.running = false;
    this.stopped = !this.done;
    for (const lane of this.lanes) lane.stopped = true;
  }

  /** The first new token that differs, from 0; -1 where the texts are the same. */
  get parting() {
    return this.without.steps.findIndex(({ id }, at) => id !== this.kept.steps[at].id);
  }
}

// One run, and what it came to so far. ms: from the start of both to its newest token; of a step, its computing alone.
class Lane {
  steps = [];
  text = "";
  ms = 0;
  stopped = false;

  constructor(request) {
    this.request = request;
  }

  async run(engine, start) {
    for await (const step of engine.generate(this.request)) {
      if (this.stopped) return;
      this.steps.push(step);
      this.text += step.text;
      this.ms = performance.now() - start;
    }
  }

  get done() {
    return this.steps.length === this.request.newTokens;
  }

  get last() {
    return this.steps.at(-1) ?? { rows: 0, ms: 0 };
  }
}
