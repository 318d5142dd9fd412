// Scene: one token a key press, and each layer's rows as they are computed, kept, overwritten or rounded.
import { el } from "../shell/dom.mjs";
import { growParts } from "./grow_controls.mjs";
import { growDetails } from "./grow_details.mjs";
import { growLegend, growPicture } from "./grow_draw.mjs";
import { growView, nextSlot } from "./grow_facts.mjs";
import { growFinding, growRule, growTable } from "./grow_said.mjs";
import { growKeys, growRequest, growState, slotOf } from "./grow_state.mjs";
import { growWords } from "./grow_words.mjs";
import { KeptRuns } from "./kept_runs.mjs";
import { oneLine } from "./sets.mjs";
import { pressed } from "./stepping.mjs";

export const grow = {
  name: "grow",
  words: growWords,
  read: (params, { config }) => growState(params, config),
  mount: (root, page) => new Growing(root, page),
};

/** view: the step that is drawn. chosen: the row that is looked at. */
class Growing {
  constructor(root, page) {
    this.page = page;
    this.engine = page.connect();
    this.runs = new KeptRuns(this.engine, "generate", (run) => this.computed(run));
    this.parts = growParts(page, (key) => this.key({ key }), (patch) => this.go(patch));
    root.replaceChildren(...this.parts.all);
    this.watch(this.parts.picture);
    this.show(page.params);
  }

  watch(picture) {
    const rowAt = ({ target }, then) => {
      const row = target.closest("button");
      if (row) then({ slot: Number(row.dataset.slot), layer: Number(row.dataset.layer) });
    };
    const choose = ({ slot, layer }) => this.go({ token: this.view.slots[slot].position, layer });
    picture.addEventListener("click", (event) => rowAt(event, choose));
    picture.addEventListener("pointerover", (event) => rowAt(event, (row) => this.detail({ ...this.chosen, ...row })));
    picture.addEventListener("pointerleave", () => this.view && this.detail(this.chosen));
  }

  show(params) {
    this.state = growState(params, this.page.data.config);
    this.run = this.runs.of(growRequest(this.state));
    this.draw();
  }

  go(patch) {
    this.page.set(patch);
    this.show({ ...this.state, ...patch });
  }

  key({ key }) {
    return pressed(key, growKeys(this.state, this.page.data.config, this.view), this);
  }

  leave() {
    this.engine.close();
  }

  computed(run) {
    if (run !== this.run) return;
    if (run.error !== null) this.clear();
    if (run.error !== null || run.steps.length <= this.state.step + 1) this.draw();
  }

  clear() {
    for (const place of ["picture", "text", "details", "legend"]) this.parts[place].replaceChildren();
    this.page.finding("");
    this.page.aside(null);
    this.page.table(null);
    this.view = null;
  }

  draw() {
    const { run, state, page, parts } = this, { t } = page;
    parts.show(state, run);
    const at = Math.min(state.step, run.steps.length - 1);
    if (at < 0) return;
    const { sinks } = run.request.options;
    const view = (this.view = growView(run, at));
    this.chosen = { ...state, slot: slotOf(view, state.token) };
    this.fill(growPicture(t, run, view, this.chosen, sinks === undefined ? null : nextSlot(view, sinks)));
    parts.legend.replaceChildren(...growLegend(t, run.request, view, parts.picture.scrollWidth > parts.picture.clientWidth));
    parts.text.replaceChildren(el("span", null, oneLine(view.text), el("mark", null, oneLine(view.next))));
    this.detail(this.chosen);
    const rule = growRule(t, run.request);
    page.aside(rule && el("p", null, rule));
    this.tell(growFinding(t, run, view));
    page.table(...growTable(t, run, view, this.chosen));
  }

  /** The focus stays on the row that is chosen. It is in sight, and so are the newest columns, if there is room. */
  fill(columns) {
    const { picture } = this.parts;
    const focused = picture.contains(document.activeElement);
    picture.classList.toggle("grow-ring", this.state.cache === "sliding_window");
    picture.replaceChildren(...columns);
    picture.scrollLeft = picture.scrollWidth;
    const row = picture.querySelector("[tabindex='0']");
    const left = row.closest(".grow-column").getBoundingClientRect().left - picture.getBoundingClientRect().left;
    picture.scrollLeft += Math.min(0, left);
    if (focused) row.focus({ preventScroll: true });
  }

  /** Aloud, too: what was found, or, when that is known, the row that was chosen. */
  tell(finding) {
    const { page, parts } = this;
    if (finding === this.told) page.say(Array.from(parts.details.children, ({ innerText }) => innerText).join(". "));
    else page.finding((this.told = finding));
  }

  detail(at) {
    this.parts.details.replaceChildren(...growDetails(this.page.t, this.run, this.view, at));
  }
}
