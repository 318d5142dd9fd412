// Scene: a line of code is wrong; from which token on are rows wrong, and from which on the text?
import { el } from "../shell/dom.mjs";
import { bandCells, bandLegend, bothTexts, breakTable, codeLines, firstRow, toldBefore } from "./break_it_draw.mjs";
import { breakFacts, breakFinding } from "./break_it_facts.mjs";
import { breakKeys, breakRequest, breakState, BROKEN_BY, LENGTHS } from "./break_it_state.mjs";
import { breakWords } from "./break_it_words.mjs";
import { KeptRuns } from "./kept_runs.mjs";
import { whyRefused } from "./refusal.mjs";
import { buttonSet, promptLine } from "./sets.mjs";
import { slider } from "./slider.mjs";
import { pressed } from "./stepping.mjs";

export const breakIt = { name: "break_it", words: breakWords, read: breakState, mount: (root, page) => new Breaking(root, page) };

class Breaking {
  constructor(root, page) {
    this.page = page;
    this.engine = page.connect();
    this.runs = new KeptRuns(this.engine, "compared", (run) => this.computed(run));
    this.parts = breakParts(page, (key) => this.key({ key }), (patch) => this.go(patch));
    root.replaceChildren(...this.parts.all);
    this.show(page.params);
  }

  show(params) {
    this.state = breakState(params);
    this.run = this.runs.of(breakRequest(this.state));
    this.showLine(this.state.bug);
    this.draw();
  }

  async showLine(bug) {
    if (bug === this.lineOf) return;
    this.lineOf = bug;
    const line = await this.engine.answer({ what: "changedLine", bug });
    if (bug !== this.lineOf) return;
    this.parts.code.replaceChildren(...codeLines(this.page.t, line));
    this.parts.before.replaceChildren(toldBefore(this.page.t, line));
  }

  go(patch) {
    this.page.set(patch);
    this.show({ ...this.state, ...patch });
  }

  key({ key }) {
    return pressed(key, breakKeys(this.state), this);
  }

  leave() {
    this.engine.close();
  }

  computed(run) {
    if (run === this.run && (run.error !== null || run.steps.length <= this.state.length)) this.draw();
  }

  draw() {
    const { run, state, page, parts } = this, { t } = page;
    parts.show(state, run);
    const facts = breakFacts(run, run.error === null ? state.length : 0);
    parts.band.replaceChildren(...bandCells(t, facts));
    parts.texts.replaceChildren(...bothTexts(t, state, facts));
    if (facts.tokens.length < state.length) return this.wait();
    const number = new Intl.NumberFormat(page.language, { maximumSignificantDigits: 2 });
    parts.first.replaceChildren(firstRow(t, facts.first, (value) => number.format(value)));
    page.finding(t(...breakFinding(facts)));
    page.table(...breakTable(t, state.bug, facts));
  }

  /** Nothing is said of a text before it is there. */
  wait() {
    this.parts.first.replaceChildren();
    this.page.finding("");
    this.page.table(null);
  }
}

/** The buttons, which press a key or go to a state; the places that each step fills; and all of it. */
function breakParts({ t, button, data }, press, go) {
  const bugs = buttonSet({ label: t("choose_bug"), key: "B", values: BROKEN_BY, shown: t, onchoose: (bug) => go({ bug, length: 1 }) });
  const prompt = promptLine({ label: t("prompt"), title: t("prompt_keys"), onchange: (text) => go({ prompt: text, length: 1 }) });
  const length = slider({ name: "length", label: t("length"), values: LENGTHS, text: String, onvalue: (value) => go({ length: value }) });
  const less = button(t("less"), "←", () => press("ArrowLeft"));
  const more = button(t("more"), "→", () => press("ArrowRight"), { class: "main" });
  const refused = el("p", { class: "refused", role: "alert", hidden: true });
  const code = el("div", { class: "break-code" });
  const why = el("p");
  const before = el("p");
  const band = el("div", { class: "break-band", "aria-hidden": "true" });
  const texts = el("div", { class: "panes" });
  const first = el("p", { class: "quiet" });

  function show(state, run) {
    bugs.show(state.bug);
    prompt.show(state.prompt);
    length.show(state.length);
    less.disabled = state.length === 1;
    more.disabled = state.length === LENGTHS.length;
    why.textContent = t(`why_${state.bug}`);
    texts.setAttribute("aria-busy", String(run.error === null && run.steps.length < state.length));
    refused.hidden = run.error === null;
    refused.textContent = run.error && (whyRefused(t, run.prompt.length, run.request.newTokens, data.config.context) ?? run.error);
  }

  const all = [
    el("div", { class: "bar" }, bugs.node),
    el("div", { class: "break-line" }, code, el("div", { class: "quiet" }, el("b", null, t("why")), why, before)),
    el("div", { class: "bar" }, prompt.node, length.node, less, more),
    refused,
    band,
    el("ul", { class: "break-legend quiet" }, bandLegend(t)),
    texts,
    first,
  ];
  return { all, show, prompt: prompt.node, code, before, band, texts, first };
}
