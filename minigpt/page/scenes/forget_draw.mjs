// The picture: for each cache the whole text as a strip. Filled: what it still has; spikes: what the last token looks at.
import { el, svg } from "../shell/dom.mjs";
import { byToken, looks } from "./forget_prompt.mjs";

const STRIP_HIGH = 40;
const SPIKE = 1 / 160; // of a strip's width: a single token of a long text would be too thin to see
const SEEN = 0.01; // of the attention; less is not drawn

/** What is to be shown of an answer. The head is the one that looks at the fact most; if none can, the one of `exact`. */
export function shownOf({ result, options }, exact, prompt) {
  const [best] = looks(result.layers, prompt.fact);
  const { layer, head, share } = best.share < SEEN && exact ? { ...looks(exact.layers, prompt.fact)[0], share: best.share } : best;
  const { kept, looked } = byToken(result.layers[layer], head, prompt.ids.length, options);
  const count = (state) => kept.filter((each) => each === state).length;
  const unseen = kept.subarray(...prompt.fact).every((state) => state === 0);
  const counts = { gone: count(0), exact: count(1), rounded: count(2), roundedValues: roundedOf(result.layers[layer].valueState) };
  return { layer, head, share, kept, looked, unseen, right: result.id === prompt.answer, ...counts };
}

const roundedOf = (states) => states.filter((state) => state === 2).length;

export function strip({ kept, looked }, fact, colour, label) {
  const tokens = kept.length;
  const thin = Math.max(1, tokens * SPIKE);
  const spikes = [...looked].flatMap((share, at) => (share < SEEN ? [] : [[at, share]]));
  return svg(
    "svg",
    { class: "strip", viewBox: `0 0 ${tokens} ${STRIP_HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    runs(kept).map(([state, from, to]) =>
      svg("rect", { class: `state${state}`, x: from, width: to - from, y: 0, height: STRIP_HIGH, style: `fill: ${colour}` })),
    svg("rect", { class: "fact", x: fact[0], width: Math.max(thin, fact[1] - fact[0]), y: 0, height: STRIP_HIGH }),
    spikes.map(([at, share]) =>
      svg("rect", { class: "spike", x: at + 0.5 - thin / 2, width: thin, y: STRIP_HIGH * (1 - share), height: STRIP_HIGH * share })),
  );
}

/** Neighbours that are kept alike: [state, from, to]. */
function runs(kept) {
  const found = [];
  kept.forEach((state, at) => {
    if (found.at(-1)?.[0] === state) found.at(-1)[2] = at + 1;
    else found.push([state, at, at + 1]);
  });
  return found;
}

/** Above the strips: where the fact lies, and where the question stands. */
export function ruler({ t }, { fact, ids }) {
  const middle = (100 * (fact[0] + fact[1])) / 2 / ids.length;
  return el(
    "p",
    { class: "ruler quiet", "aria-hidden": "true" },
    el("span", { style: `left: ${middle}%` }, `▼ ${t("fact")}`),
    el("span", { style: "right: 0" }, `${t("asked")} ▼`),
  );
}
