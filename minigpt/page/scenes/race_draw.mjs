// A race as it goes: a pane for each lane, and beside them the time that each token took.
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
    panes[1].flag(t("done", { s: lanes[1].seconds }));
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

  function draw({ request, steps, last, seconds, text: written }) {
    rows.textContent = t("number", { n: last.rows });
    cost.textContent = t("cost", { made: steps.length, ms: last.ms, s: seconds });
    prompt.textContent = request.prompt;
    text.data = written;
    box.scrollTop = box.scrollHeight;
  }
}

/** What came out, in two sentences. */
export function findingOf(t, { without, kept, parting, rounds }) {
  const times = without.last.rows / kept.last.rows;
  const same = parting < 0 ? t("same") : t(rounds ? "parted_by_rounding" : "parted", { n: parting + 1 });
  const rows = { kept: kept.last.rows, without: without.last.rows, times: times < 10 ? times : Math.round(times) };
  return `${same} ${t("finding", rows)}`;
}

/** Every token of both: caption, head and rows of a table. */
export function tableOf(t, { without, kept }) {
  const head = ["token", "text", "ms_without", "ms_with", "rows_without", "rows_with"].map((name) => t(name));
  const rows = without.steps.map((step, at) => {
    const other = kept.steps[at];
    const text = step.id === other.id ? [step.text] : [step.text, other.text];
    return [at + 1, text.map((each) => JSON.stringify(each)).join(" / "), step.ms.toFixed(2), other.ms.toFixed(2), step.rows, other.rows];
  });
  return [t("caption"), head, rows];
}
