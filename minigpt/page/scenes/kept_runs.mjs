// Runs whose steps are kept, so that going back is instant: each is computed once, as fast as the engine can.

/** steps: those computed so far. prompt: its tokens, as the engine tells them. error: why there are no more steps. */
class KeptRun {
  steps = [];
  prompt = [];
  error = null;
  left = false;

  constructor(request) {
    this.request = request;
  }

  get complete() {
    return this.error !== null || this.steps.length === this.request.newTokens;
  }

  /** Computes all steps, and calls `changed` after each. Ends within a step once `left` is set. */
  async follow(engine, kind, changed) {
    try {
      this.prompt = await engine.answer({ what: "tokens", text: this.request.prompt });
      for await (const step of engine[kind](this.request)) {
        if (this.left) return;
        this.steps.push(step);
        changed(this);
      }
    } catch (error) {
      this.error = error.message;
      changed(this);
    }
  }
}

/** kind: "generate" or "compared", as the engine has them. changed: called with the run that has a step more. */
export class KeptRuns {
  runs = new Map();
  now = null;

  constructor(engine, kind, changed) {
    Object.assign(this, { engine, kind, changed });
  }

  /** The run of this request. If another is under way, it is given up. */
  of(request) {
    const name = JSON.stringify(request);
    if (this.now?.name === name) return this.now.run;
    if (this.now && !this.now.run.complete) this.giveUp();
    const run = this.runs.get(name) ?? this.begin(request);
    this.runs.set(name, run);
    this.now = { name, run };
    return run;
  }

  begin(request) {
    const run = new KeptRun(request);
    run.follow(this.engine, this.kind, this.changed);
    return run;
  }

  giveUp() {
    this.now.run.left = true;
    this.runs.delete(this.now.name);
  }
}
