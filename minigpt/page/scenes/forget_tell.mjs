// What was found, in words: the sentence, the table, and the text that was read.
import { inBytes } from "./memory_facts.mjs";

/** A token as it can be read aloud. */
export const readable = (t, text) => text.trim() || t("newline");

export function verdict({ t, language }, answers, { window, distance }) {
  const by = Object.fromEntries(answers.map((answer) => [answer.name, answer]));
  if (!by.dynamic.right) return t("exact_wrong", { said: readable(t, by.dynamic.text) });
  const near = distance < window;
  const first = t(by.sliding_window.right ? (near ? "window_near" : "window_still") : "window_forgot", { window, distance });
  const rounded = answers.filter(({ bits }) => bits);
  const fewest = rounded.filter(({ right }) => right).sort((a, b) => a.bits - b.bits || a.nbytes - b.nbytes)[0];
  if (!fewest) return t("both", { first, second: t("bits_wrong") });
  const bytes = (n) => inBytes(language, n);
  const told = { bits: t(`int${fewest.bits}`), few: bytes(fewest.nbytes), many: bytes(by.dynamic.nbytes) };
  return t("both", { first, second: t(fewest.bits === 2 ? "bits_right_but" : "bits_right", told) });
}

export const headOfAnswers = (t) =>
  ["cache", "said", "right", "share", "where", "exact", "rounded", "gone", "bytes"].map((name) => t(`head_${name}`));

export function rowOfAnswer({ t, language }, { name, text, right, share, layer, head, exact, rounded, gone, nbytes }, window) {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const where = `${layer + 1}, ${head + 1}`;
  const counts = [exact, rounded, gone, nbytes].map(number.format);
  return [t(name, { window }), readable(t, text), t(right ? "yes" : "no"), `${number.format(100 * share)}%`, where, ...counts];
}

/** All that the model read. */
export function readText(data, facts, { asked, story }) {
  const told = facts.map(({ person, thing }) => `[Give ${person} ${thing}.]\n`).join("");
  return `${data.before}${told}${data.texts.slice(0, story).join("")}[Give ${facts[asked].person}`;
}
