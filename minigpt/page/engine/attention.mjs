// Who sees whom, and attention itself, as in minigpt/attention.py.

// The position of a token that is not there: an empty or a forgotten slot. It lies in the future of every query.
export const NEVER = 2 ** 31 - 1;

/** The one rule: a token sees itself and all before it; with a window only the last `window` of these, and the sinks. */
export function sees(query, key, window, sinks) {
  return key <= query && (window === null || key > query - window || key < sinks);
}

/**
 * softmax(Q K^T / sqrt(D) + mask) V of each head: (T, H D), from queries (T, H D) and S slots of keys and values (S, H D).
 * weights: null, or a Float32Array (H, S) that takes those of the last query.
 */
export function attend(q, k, v, qPositions, kPositions, { n_head, n_embd, window, sinks }, weights) {
  const T = qPositions.length, S = kPositions.length, D = n_embd / n_head;
  const out = new Float32Array(T * n_embd);
  const seen = new Int32Array(S), scores = new Float64Array(S);
  for (let t = 0; t < T; t++) {
    let n = 0; // slots that this query sees
    for (let s = 0; s < S; s++) if (sees(qPositions[t], kPositions[s], window, sinks)) seen[n++] = s;
    for (let h = 0; h < n_head; h++) {
      const at = t * n_embd + h * D;
      let highest = -Infinity; // taken off before exp, which would overflow otherwise
      for (let i = 0; i < n; i++) {
        const key = seen[i] * n_embd + h * D;
        let dot = 0;
        for (let d = 0; d < D; d++) dot += q[at + d] * k[key + d];
        scores[i] = dot / Math.sqrt(D);
        highest = Math.max(highest, scores[i]);
      }
      let total = 0;
      for (let i = 0; i < n; i++) total += scores[i] = Math.exp(scores[i] - highest);
      const mixed = new Float64Array(D);
      for (let i = 0; i < n; i++) {
        const value = seen[i] * n_embd + h * D, weight = scores[i] / total;
        for (let d = 0; d < D; d++) mixed[d] += weight * v[value + d];
        if (weights && t === T - 1) weights[h * S + seen[i]] = weight;
      }
      out.set(mixed, at);
    }
  }
  return out;
}
