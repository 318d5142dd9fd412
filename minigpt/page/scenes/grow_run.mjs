// A run whose steps are kept, so that going back is instant; and what is asked of the engine for it.

export const GROW_CACHES = ["none", "dynamic", "sliding_window", "quantized"];
export const GROW_BITS = [8, 4, 2];
export const GROW_GROUPS = ["channel", "token"];
export const GROW_LAST = 17; // the last step: with the usual prompt, its rows fill two columns

/** Small numbers, so that a ring turns, and tokens leave the residual, within a few steps. */
export function growRequest({ prompt, cache, bits, group }) {
  const options = {
    none: {},
    dynamic: {},
    sliding_window: { window: 8, sinks: 2, chunk: 1 }, // fed one by one, the ring needs just the window's slots
    quantized: {
      nbits: bits,
      group_key: group,
      group_value: group,
      q_group_size: group === "channel" ? 4 : 64, // 4 tokens leave together; or one by one, its 64 numbers a head
      residual_length: 4,
    },
  };
  return { prompt, cache, options: options[cache], newTokens: GROW_LAST + 1, watch: true };
}

/** steps: those computed so far. texts: of each position, the prompt's and the new ones. error: why there are no more. */
export class KeptRun {
  steps = [];
  texts = [];
  error = null;
  left = false;

  constructor(request) {
    this.request = request;
  }

  get complete() {
    return this.error !== null || this.steps.length === this.request.newTokens;
  }

  /** Computes all steps, and calls `changed` after each. It ends within a step once `left` is set. */
  async follow(engine, changed) {
    if (this.left) return;
    try {
      const prompt = await engine.answer({ what: "tokens", text: this.request.prompt });
      this.texts = prompt.map(({ text }) => text);
      for await (const step of engine.generate(this.request)) {
        if (this.left) return;
        this.steps.push(step);
        this.texts.push(step.text);
        changed();
      }
    } catch (error) {
      this.error = error.message;
      changed();
    }
  }
}
