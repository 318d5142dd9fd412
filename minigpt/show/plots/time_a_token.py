"""Time a token against context: measured, and the least that the closed forms and the machine allow."""

from statistics import median

from minigpt.measure.recorded import DATA
from minigpt.measure.timed.time_per_token import TimePerToken
from minigpt.show.plots.labels import seconds_by_tokens
from minigpt.show.plots.style import Picture, Theme, drawn

RECORDED = DATA / "time.json"


def recorded_times() -> TimePerToken:
    """The times that `python -m minigpt figures --measure FILE` recorded on one machine."""
    return TimePerToken.load(RECORDED)


@drawn
def time_a_token(times: TimePerToken, theme: Theme) -> Picture:
    """Marks for the medians, whiskers from the fastest round to the slowest, and a line for the least time."""
    rounds = {name: {int(tokens): took for tokens, took in of.items()} for name, of in times.seconds.items()}
    medians = {name: {tokens: median(took) for tokens, took in of.items()} for name, of in rounds.items()}
    tokens = list(rounds["none"])
    slow, fast = (medians[name][tokens[-1]] for name in ("none", "dynamic"))
    floors = [times.least(name, tokens[-1]) for name in ("none", "dynamic")]
    threads = times.machine["threads"]
    where = f"{times.machine['processor']}, {threads} thread{'s' * (threads > 1)}, torch {times.machine['torch']}"
    count = len(rounds["none"][tokens[-1]])
    speed, reading = f"{times.flops_per_second / 1e9:.0f} GFLOP/s", f"{times.bytes_per_second / 1e9:.0f} GB/s"
    picture = Picture(
        f"After {tokens[-1]:,} tokens one more takes {slow:.2f} s without a cache,\n"
        f"{fast:.3f} s with one: {slow / fast:.0f} times less",
        f"Seconds for one more token of GPT-2 in float32 against tokens so far, on log axes, medians of {count} rounds "
        f"on {where}: after {tokens[-1]} tokens {slow:.2f} without a cache and {fast:.3f} with one, above lines of the "
        f"least that the closed forms allow at {speed} and {reading}, {floors[0]:.2f} and {floors[1]:.3f}.",
        theme,
    )
    picture.note(
        f"GPT-2 in float32; medians of {count} rounds, whiskers from the fastest to the slowest\n"
        f"floor: FLOPs (causal half, last logits) at {speed} or bytes at {reading}, whichever takes longer"
    )
    (panel,), ends = picture.panels(), []
    for name, of in medians.items():
        look, lines = theme.look(name), [times.least(name, each) for each in tokens]
        reach = [(of[each] - min(rounds[name][each]), max(rounds[name][each]) - of[each]) for each in tokens]
        panel.plot(tokens, lines, color=look["color"])
        marks = look | {"linestyle": "none", "elinewidth": 1.5}
        panel.errorbar(tokens, list(of.values()), list(zip(*reach, strict=True)), **marks)
        ends.append((tokens[-1], of[tokens[-1]], f"{name} {of[tokens[-1]]:.2g}", look["color"]))
        ends.append((tokens[-1], lines[-1], f"floor {lines[-1]:.2g}", theme.muted))
    seconds_by_tokens(panel, tokens, where, ends)
    return picture
