// What is refused at the door, in words that a page can show.

export function wholeNumber(name, given, least = 1) {
  if (!Number.isInteger(given) || given < least) {
    throw new RangeError(`${name} must be a whole number, ${least} or more, got ${given}`);
  }
}

/** A prompt, and how many tokens are to follow. The last one is never fed. */
export function fits(ids, newTokens, { context }) {
  if (!ids.length) throw new RangeError("the prompt is empty: type a word");
  wholeNumber("newTokens", newTokens);
  if (ids.length + newTokens - 1 > context) {
    const asked = `${ids.length} tokens and ${newTokens} new ones`;
    throw new RangeError(`${asked}: the model reads ${context} at most, shorten either`);
  }
}
