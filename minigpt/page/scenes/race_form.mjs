// What a race is asked for, in the address and in the fields above it.
import { RACERS } from "./race_run.mjs";
import { following, stateOf } from "./state.mjs";

const CHOICES = {
  cache: Object.keys(RACERS),
  tokens: [32, 64, 128, 192, 256, 400],
  temperature: [0, 0.5, 0.8, 1],
  seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
};
export const FEWEST = CHOICES.tokens[0];
const DEFAULTS = { prompt: "HAMLET.\nTo be", cache: "dynamic", tokens: 192, temperature: 0.8, seed: 0 };

const FIELDS = Object.fromEntries(Object.entries(CHOICES).map(([name, values]) => [name, { values, start: DEFAULTS[name] }]));

/** The race that an address asks for. */
export const askedIn = (params) => ({ prompt: params.prompt ?? DEFAULTS.prompt, ...stateOf(params, FIELDS) });

/** The value after this one; after the last, the first. */
export const next = (name, value) => following(CHOICES[name], value);

/** change(patch): called as a field changes. begin(): at Ctrl Enter in the prompt. Returns the fields, those for the curious apart, and the prompt's label. */
export function formOf({ el, t, choice }, asked, change, begin) {
  const onkeydown = ({ key, ctrlKey, metaKey }) => {
    if (key !== "Enter" || !(ctrlKey || metaKey)) return;
    prompt.blur();
    begin();
  };
  const oninput = () => change({ prompt: prompt.value });
  const prompt = el("textarea", { rows: 2, spellcheck: "false", oninput, onkeydown }, asked.prompt);
  const label = el("span", null, t("prompt"));
  const field = (name, textOf) =>
    choice({
      label: t(name),
      name,
      options: CHOICES[name].map((value) => [value, textOf(value)]),
      value: asked[name],
      onchange: (text) => change({ [name]: CHOICES[name].find((value) => String(value) === text) }),
    });
  return {
    prompt,
    label,
    fields: [el("label", { class: "choice race-ask" }, label, prompt), field("cache", (name) => t(`cache_${name}`)), field("tokens", String)],
    apart: el(
      "details",
      null,
      el("summary", null, t("drawing")),
      el("div", { class: "controls" }, field("temperature", (value) => (value ? String(value) : t("greedy"))), field("seed", String)),
    ),
  };
}
