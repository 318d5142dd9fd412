// A race as it goes: a pane for each lane, and beside them the time that each token took.

const time = (t, ms) => (ms < 999.5 ? t("ms", { n: Math.round(ms) }) : t("s", { n: ms / 1000 }));
const factor = (times) => (times < 10 ? times : Math.round(times));

/** Both lanes side by side, the one without a cache first. */
export function boardOf(page, { asked, kept, lanes }) {
  const { t } = page;
  const wanted = asked.tokens;
  const names = [t("without"), t("with", { cache: t(`cache_${asked.cache}`) })];
  const colours = ["var(--none)", `var(--${kept.request.cache})`];
  const panes = lanes.map((_, at) => paneOf(page, names[at], colours[at]));
  const { node: plot, draw: drawPlot } = page.plot({
    x: t("new_tokens"),
    y: t("ms_a_token"),
    lines: [],
    across: [0, wanted],
  });
  const node = page.el("div", { class: "race-board" }, panes.map((pane) => pane.node), plot);
  return { node, draw };

  function draw({ lanes, overtaken }) {
    panes.forEach((pane, at) => pane.draw(lanes[at]));
    const lines = lanes.map(({ steps }, at) => ({
      name: names[at],
      colour: colours[at],
      points: steps.map(({ ms }, step) => [step + 1, ms]),
    }));
    const marks = overtaken === null ? [] : [{ x: overtaken, text: t("overtaken_mark") }];
    drawPlot(lines, marks);
    if (overtaken === null) return;
    panes[0].flag(t("overtaken", { made: overtaken }));
    panes[1].flag(t("done", { time: time(t, lanes[1].ms) }));
  }
}

// A lane's name, what it cost so far, and its text.
function paneOf({ el, t }, name, colour) {
  const rows = el("b", { class: "big" }, "0");
  const cost = el("p", { class: "race-cost" });
  const prompt = el("span", { class: "race-prompt" });
  const text = document.createTextNode("");
  const box = el("div", { class: "race-text", tabindex: 0, role: "region", "aria-label": name }, prompt, text);
  const flag = el("p", { class: "race-flag" });
  const node = el(
    "section",
    { class: "pane", style: `border-color: ${colour}`, "aria-label": name },
    el("h2", null, name),
    el("p", null, rows, ` ${t("rows")}`),
    cost,
    box,
    flag,
  );
  return { node, draw, flag: (words) => flag.replaceChildren(words) };

  function draw({ request, steps, last, ms, text: written }) {
    rows.textContent = t("number", { n: last.rows });
    cost.textContent = t("cost", { made: steps.length, last: last.ms, time: time(t, ms) });
    prompt.textContent = request.prompt;
    text.data = written;
    const line = parseFloat(getComputedStyle(box).lineHeight); // below the text, there is room for one more
    box.scrollTop = line * Math.ceil((box.scrollHeight - line - box.clientHeight) / line); // whole lines
  }
}

/** What came out: in two sentences, or how far it came. */
export function findingOf(t, { without, kept, parting, rounds, stopped }) {
  if (stopped) return t("stopped", { without: without.steps.length, kept: kept.steps.length });
  const same = parting < 0 ? t("same") : t(rounds ? "parted_by_rounding" : "parted", { n: parting + 1 });
  const rows = { kept: kept.last.rows, without: without.last.rows };
  const times = { times: factor(rows.without / rows.kept), longer: factor(without.ms / kept.ms) };
  return `${same} ${t("finding", { ...rows, ...times })}`;
}

/** Where a cache gains nothing: at the first new token, which needs the prompt's rows in any case. */
export function gainlessOf(t, { without, kept }) {
  const [one, other] = [without.steps[0], kept.steps[0]];
  return t("gainless", { rows: other.rows, rows_without: one.rows, kept: time(t, other.ms), without: time(t, one.ms) });
}

/** Every token of both: caption, head and rows of a table. */
export function tableOf(t, { without, kept }) {
  const head = ["token", "text", "ms_without", "ms_with", "rows_without", "rows_with"].map((name) => t(name));
  const rows = without.steps.map((step, at) => {
    const other = kept.steps[at];
    const names = step.id === other.id ? [step.name] : [step.name, other.name];
    return [at + 1, names.map((each) => JSON.stringify(each)).join(" / "), step.ms.toFixed(2), other.ms.toFixed(2), step.rows, other.rows];
  });
  return [t("caption"), head, rows];
}
