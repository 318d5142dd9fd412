// Where a run with a bug parts from the right one, as far as the text is shown.

/**
 * first: the first row that differs, as the engine tells it, and the new token `at` which it does; null if none does.
 * wrong: the first new token that differs; null. Tokens are counted from 1.
 */
export function breakFacts(run, length) {
  const shown = run.steps.slice(0, length);
  const found = shown.find(({ first }) => first)?.first ?? null;
  const parted = shown.findIndex(({ id, right }) => id !== right.id);
  const facts = { first: found && { ...found, at: found.step + 1 }, wrong: parted < 0 ? null : parted + 1 };
  return { ...facts, tokens: shown.map((step, at) => ({ ...step, at: at + 1, kind: kindOfToken(facts, at + 1) })) };
}

/** right: all rows are right so far. unseen: a row is wrong, and all tokens are right. wrong: the text has parted. */
function kindOfToken({ first, wrong }, at) {
  if (wrong !== null && at >= wrong) return "wrong";
  return first && at >= first.at ? "unseen" : "right";
}

/** Of the finding: which sentence, and its numbers. */
export function breakFinding({ first, wrong, tokens }) {
  const numbers = { n: tokens.length, since: first?.at, wrong };
  if (!first && wrong === null) return ["nothing", numbers];
  if (wrong === null) return ["unseen_yet", numbers];
  return [first && first.at < wrong ? "later" : "at_once", numbers];
}
