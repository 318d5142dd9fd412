// Scene: one token a key press, and each layer's rows as they are computed, kept, overwritten or rounded.
import { el } from "../shell/dom.mjs";
import { growParts } from "./grow_controls.mjs";
import { growDetails } from "./grow_details.mjs";
import { growLegend, growPicture, oneLine } from "./grow_draw.mjs";
import { growView, nextSlot } from "./grow_facts.mjs";
import { growRequest, KeptRun } from "./grow_run.mjs";
import { growFinding, growTable } from "./grow_said.mjs";
import { growKey, growState, slotOf } from "./grow_state.mjs";
import { growWords } from "./grow_words.mjs";

export const grow = { name: "grow", words: growWords, mount: (root, page) => new Growing(root, page) };

class Growing {
  runs = new Map();
  turn = Promise.resolve(); // the engine has one run at a time

  constructor(root, page) {
    this.page = page;
    this.engine = page.connect();
    this.parts = growParts(page, (patch) => this.go(patch));
    root.replaceChildren(...this.parts.all);
    this.parts.picture.addEventListener("click", ({ target }) => this.choose(target));
    this.parts.picture.addEventListener("pointerover", ({ target }) => this.point(target));
    this.parts.picture.addEventListener("pointerleave", () => this.view && this.detail(this.chosen));
    this.show(page.params);
  }

  show(params) {
    this.state = growState(params);
    this.start();
    this.draw();
  }

  go(patch) {
    this.page.set(patch);
    this.show({ ...this.state, ...patch });
  }

  key(event) {
    const patch = growKey(event.key, this.state, this.view);
    if (event.key.toLowerCase() === "p") this.parts.prompt.focus();
    else if (patch) this.go(patch);
    else return false;
    return true;
  }

  leave() {
    this.engine.close();
  }

  /** The run of this state: a kept one, or a new one, for which the one under way makes room. */
  start() {
    const request = growRequest(this.state), name = JSON.stringify(request);
    if (this.run && this.run === this.runs.get(name)) return;
    if (this.run && !this.run.complete) this.drop();
    this.run = this.runs.get(name);
    if (this.run) return;
    const run = (this.run = new KeptRun(request));
    this.runs.set(name, run);
    this.turn = this.turn.then(() => run.follow(this.engine, () => run === this.run && this.computed()));
  }

  drop() {
    this.run.left = true;
    this.runs.delete(JSON.stringify(this.run.request));
  }

  computed() {
    if (this.run.error !== null || this.run.steps.length === this.state.step + 1) this.draw();
  }

  draw() {
    const { run, state, page, parts } = this;
    parts.show(state, run);
    const at = Math.min(state.step, run.steps.length - 1);
    if (at < 0) return;
    const { t } = page, sinks = run.request.options.sinks;
    const view = (this.view = growView(run, at));
    const chosen = (this.chosen = { ...state, slot: slotOf(view, state.token) });
    parts.picture.classList.toggle("grow-ring", view.cache === "sliding_window");
    const focused = parts.picture.contains(document.activeElement);
    parts.picture.replaceChildren(...growPicture(t, run, view, chosen, sinks === undefined ? null : nextSlot(view, sinks)));
    if (focused) parts.picture.querySelector("[tabindex='0']").focus();
    parts.legend.replaceChildren(...growLegend(t, run.request, view));
    parts.text.replaceChildren(el("span", null, oneLine(view.text), el("mark", null, oneLine(view.next))));
    this.detail(chosen);
    this.tell(growFinding(t, run, view));
    page.table(...growTable(t, run, view, chosen));
  }

  /** Aloud, too: what was found, or, when that is known, the row that was chosen. */
  tell(finding) {
    const { page, parts } = this;
    if (finding === this.told) page.say(Array.from(parts.details.children, ({ innerText }) => innerText).join(". "));
    else page.finding((this.told = finding));
  }

  choose(target) {
    const row = target.closest("button");
    if (row) this.go({ token: this.view.slots[row.dataset.slot].position, layer: Number(row.dataset.layer) });
  }

  point(target) {
    const row = target.closest("button");
    if (!row) return;
    const at = { ...this.chosen, slot: Number(row.dataset.slot), layer: Number(row.dataset.layer) };
    this.detail(at);
  }

  detail(at) {
    this.parts.details.replaceChildren(...growDetails(this.page.t, this.run, this.view, at));
  }
}
