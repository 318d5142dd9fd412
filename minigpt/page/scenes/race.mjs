// The prompt that was typed, continued twice at the same time: with a cache and without.
import { boardOf, findingOf, gainlessOf, tableOf } from "./race_draw.mjs";
import { askedIn, FEWEST, formOf, next } from "./race_form.mjs";
import { Race } from "./race_run.mjs";
import { raceWords } from "./race_words.mjs";
import { whyRefused } from "./refusal.mjs";

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const PAUSE = 80; // milliseconds between pictures: the lanes, not the drawing, are to have the time
let last = null; // the race that was run last, to its end or not: shown again when one comes back to it

export const race = { name: "race", words: raceWords, read: ({ run, ...params }) => ({ run, ...askedIn(params) }), mount };

function mount(root, page) {
  const { el, t } = page;
  const engines = [page.connect(), page.connect()];
  const start = page.button("", "Enter", toggle, { class: "main" });
  const refusal = el("p", { class: "refused", role: "alert", hidden: true });
  const place = el("div");
  let form, board, now;
  show(page.params);
  return { key, show, leave };

  function show(params) {
    const asked = askedIn(params);
    form = formOf(page, asked, (patch) => {
      page.set(patch);
      setUp({ ...now.asked, ...patch });
    }, begin);
    root.replaceChildren(el("div", { class: "controls" }, form.fields, start), refusal, place);
    setUp(asked);
    if (same(last?.asked, asked)) present(last);
    else if (params.run) begin();
  }

  // A race that has not begun.
  function setUp(asked) {
    now?.stop();
    now = new Race(asked);
    board = boardOf(page, now);
    place.replaceChildren(board.node);
    aside();
    refuse(null);
    page.finding("");
    page.table(null);
    draw();
    countTokens();
  }

  function aside(...more) {
    const { window, sinks } = now.without.request.options;
    const words = [t("a_row"), ...(window ? [t("seen", { window, sinks })] : []), t("why_same"), ...more];
    page.aside(...words.map((text) => el("p", null, text)), form.apart);
  }

  function draw() {
    board.draw(now);
    place.setAttribute("aria-busy", now.running);
    start.firstChild.textContent = t(now.running ? "stop" : "start");
  }

  function toggle() {
    if (!now.running) return begin();
    now.stop();
    present(now);
  }

  async function begin() {
    page.set({ run: null }); // of a link: it starts the race once
    setUp(now.asked);
    const mine = now;
    start.firstChild.textContent = t("loading");
    const reason = await reasonAgainst(mine.asked);
    if (mine !== now) return;
    if (reason) return draw(), refuse(reason);
    const end = mine.run(engines);
    follow(mine);
    await end;
    if (mine.done) present(mine);
  }

  // Draws what has come, as long as more is coming.
  function follow(mine) {
    if (mine !== now) return;
    draw();
    if (mine.running) setTimeout(() => requestAnimationFrame(() => follow(mine)), calm.matches ? 500 : PAUSE);
  }

  // A race that came to its end, or was stopped.
  function present(race) {
    now = last = race;
    draw();
    page.finding(findingOf(t, race));
    if (!race.done) return;
    aside(gainlessOf(t, race));
    page.table(...tableOf(t, race));
  }

  async function countOf(text) {
    return (await engines[1].answer({ what: "tokens", text })).length;
  }

  async function reasonAgainst({ prompt, tokens }) {
    const { context } = page.data.config;
    const count = await countOf(prompt);
    const reason = whyRefused(t, count, tokens, context);
    const fewer = context + 1 - count;
    return reason && count && fewer >= FEWEST ? reason + t("or_fewer", { fewer }) : reason;
  }

  function refuse(reason) {
    refusal.hidden = !reason;
    refusal.textContent = reason ?? "";
  }

  async function countTokens() {
    const { prompt } = now.asked;
    const n = await countOf(prompt);
    if (prompt === now.asked.prompt) form.label.textContent = t("prompt_of", { n });
  }

  function key({ key }) {
    const keys = { enter: toggle, p: () => form.prompt.select(), c: () => turn("cache"), n: () => turn("tokens") };
    const act = keys[key.toLowerCase()];
    act?.();
    return Boolean(act);
  }

  // The next choice.
  function turn(name) {
    page.set({ [name]: next(name, now.asked[name]) });
    show({ ...now.asked, [name]: next(name, now.asked[name]) });
  }

  function leave() {
    if (now.running) last = now;
    now.stop();
    engines.forEach((engine) => engine.close());
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
