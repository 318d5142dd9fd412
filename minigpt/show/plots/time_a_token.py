"""Time a token against context: measured, and the least that the closed forms and the machine allow."""

from minigpt.measure.timed.time_per_token import TimePerToken
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.recorded import DATA
from minigpt.show.plots.style import Picture, Theme, drawn

RECORDED = DATA / "time.json"


def recorded_times() -> TimePerToken:
    """The times that `python -m minigpt figures --measure` recorded."""
    return TimePerToken.load(RECORDED)


@drawn
def time_a_token(times: TimePerToken, theme: Theme) -> Picture:
    """Marks for the fastest round, whiskers up to the slowest, and a line for the least time."""
    rounds = {name: {int(tokens): took for tokens, took in of.items()} for name, of in times.seconds.items()}
    fastest = {name: {tokens: min(took) for tokens, took in of.items()} for name, of in rounds.items()}
    tokens = list(rounds["none"])
    slow, fast = (fastest[name][tokens[-1]] for name in ("none", "dynamic"))
    least = times.least("none", tokens[-1]) / times.least("dynamic", tokens[-1])
    threads = times.machine["threads"]
    where = f"{times.machine['processor']}, {threads} thread{'s' * (threads > 1)}, torch {times.machine['torch']}"
    picture = Picture(
        f"After {tokens[-1]:,} tokens one more takes {slow:.1f} s without a cache,\n"
        f"{fast:.3f} s with one: {slow / fast:.0f} times less (by the closed forms, {least:.0f})",
        f"Seconds for one more token of GPT-2 against tokens so far, on log axes: after {tokens[-1]} tokens {slow:.2f} "
        f"measured without a cache and {fast:.3f} with one, above lines of the least time that {where} allows.",
        theme,
    )
    (panel,), ends = picture.panels(), []
    for name, of in fastest.items():
        look, lines = theme.look(name), [times.least(name, each) for each in tokens]
        up = [max(rounds[name][each]) - of[each] for each in tokens]
        panel.plot(tokens, lines, color=look["color"])
        panel.errorbar(
            tokens, list(of.values()), [[0] * len(up), up], **look | {"linestyle": "none", "elinewidth": 1.5}
        )
        ends.append((tokens[-1], of[tokens[-1]], f"{name} {of[tokens[-1]]:.2g}", look["color"]))
        ends.append((tokens[-1], lines[-1], f"at least {lines[-1]:.2g}", theme.muted))
    panel.set(xscale="log", yscale="log", xlabel=f"tokens so far ({where})", ylabel="seconds for one more")
    panel.set_xticks(tokens, [f"{each:,}" for each in tokens])
    panel.minorticks_off()
    panel.yaxis.set_major_formatter("{x:g}")
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
