// What a scene shows, as the page's address says it.

/** fields: of each name, the values that it may have, and which it starts with. A number goes to the nearest value. */
export function stateOf(params, fields) {
  const pick = ([name, { values, start }]) => [name, name in params ? nearest(values, params[name]) ?? start : start];
  return Object.fromEntries(Object.entries(fields).map(pick));
}

function nearest(values, said) {
  if (typeof values[0] !== "number") return values.find((value) => value === said);
  const distance = (value) => Math.abs(value - Number(said));
  if (said === null || said === "" || Number.isNaN(Number(said))) return undefined;
  return values.reduce((best, value) => (distance(value) < distance(best) ? value : best));
}

/** The neighbour of a value, so many places on; at an end it stays. */
export function moved(values, value, by) {
  const at = values.indexOf(value) + by;
  return values[Math.max(0, Math.min(values.length - 1, at))];
}

/** The next value; after the last, the first. */
export const following = (values, value) => values[(values.indexOf(value) + 1) % values.length];

/** Calls that come faster than this are one, the last: for what is slow, or would be read out again and again. */
export function debounced(call, ms) {
  let timer;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), ms);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
