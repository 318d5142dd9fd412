"""What each cache keeps of the model's quality: against bytes, and by distance."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes

from minigpt.measure.recording import Recording
from minigpt.measure.sweep import ENOUGH, Score
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn

RECORDED = Path(__file__).parents[3] / "figures" / "data" / "quality.json"


def recorded_scores() -> list[Score]:
    """What `python -m minigpt quality` wrote down of the bundled model."""
    return Recording.load(RECORDED).scores


@drawn
def quality_against_bytes(scores: list[Score], theme: Theme) -> Picture:
    """All settings on one plane, twice: recall, and bits per byte. Lines join windows with sinks, and the numbers of
    bits of one way to group."""
    exact = next(score for score in scores if score.setting.cache == "concat")
    good = smallest_good(scores)
    larger = [score for score in windows(scores) if score.nbytes >= good.nbytes]
    window = min(larger, key=lambda score: score.nbytes)
    picture = Picture(
        f"{bits(good)}, in {good.nbytes / exact.nbytes:.0%} of the bytes: {good.recall:.0%} of questions right;\n"
        f"a window of {window.setting.window}, in {window.nbytes / exact.nbytes:.0%}: {window.recall:.0%}",
        f"Points of all {len(scores)} settings by kilobytes held, and by recall and by bits a byte more than exact: "
        f"{bits(good)} answer {good.recall:.0%} in {good.nbytes / exact.nbytes:.0%} of the bytes, a window of "
        f"{window.setting.window} {window.recall:.0%} in {window.nbytes / exact.nbytes:.0%}.",
        theme,
    )
    panels = picture.panels(1, 2)
    heights = (lambda score: 100 * score.recall, "top"), (lambda score: score.more_bits, "bottom")
    for panel, (height, side) in zip(panels, heights, strict=True):
        for score in scores:
            if score.setting.cache != "none":
                look = theme.look(score.setting.cache) | {"linestyle": "none"}
                panel.plot(score.nbytes / 1e3, height(score), alpha=0.5, **look)
        narrowest, *wider = (str(score.setting.window) for score in windows(scores))
        *fewer, most = map(bits, rounded(scores))
        join(panel, windows(scores), height, [f"window {narrowest}", *wider], side, theme)
        join(panel, rounded(scores), height, [*(name.split()[0] for name in fewer), most], side, theme)
        join(panel, [exact], height, ["exact"], side, theme)
        panel.set(xscale="log", xlabel="kilobytes held")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.margins(x=0.12)
        panel.minorticks_off()
        panel.grid(axis="y")
    panels[0].set(ylabel="questions answered right, %", ylim=(-12, 106))
    panels[1].set(ylabel="bits a byte more than exact")
    return picture


def join(panel: Axes, scores: list[Score], height: Callable, names: list[str], side: str, theme: Theme) -> None:
    """A line through the settings, each with its name above or below (side: of the words that touches it)."""
    look = theme.look(scores[0].setting.cache)
    places = [(score.nbytes / 1e3, height(score)) for score in scores]
    panel.plot(*zip(*places, strict=True), **look)
    for name, place in zip(names, places, strict=True):
        offset = 5, -6 if side == "top" else 6
        panel.annotate(name, place, offset, textcoords="offset points", va=side, color=look["color"])


def windows(scores: list[Score]) -> list[Score]:
    """Those with sinks, the narrowest first."""
    return sorted((score for score in scores if score.setting.sinks), key=lambda score: score.setting.window)


def rounded(scores: list[Score]) -> list[Score]:
    """Those that group as KIVI does, keys by channel and values by token, the fewest bits first."""
    groups = {"backend": "quanto", "group_key": "channel", "group_value": "token"}
    found = [score for score in scores if groups.items() <= score.setting.options.items()]
    return sorted(found, key=lambda score: score.setting.options["nbits"])


def smallest_good(scores: list[Score]) -> Score:
    """The fewest bits that keep the recall."""
    return min((score for score in rounded(scores) if score.recall >= ENOUGH), key=lambda score: score.nbytes)


def bits(score: Score) -> str:
    count = score.setting.options["nbits"]
    return f"{count} bit{'s' * (count > 1)}"


@drawn
def recall_by_distance(scores: list[Score], theme: Theme) -> Picture:
    """A line for each: the exact cache, the best of each number of bits, the windows; whiskers are 95% intervals."""
    (exact,) = (score for score in scores if score.setting.cache == "dynamic")
    shown = [(exact, "exact"), *((score, bits(score)) for score in reversed(rounded(scores)))]
    shown += [(score, f"window {score.setting.window}") for score in windows(scores)[1:3]]
    good = smallest_good(scores)
    far, near = max(exact.by_distance), min(exact.by_distance)
    window = shown[-1][0]
    picture = Picture(
        f"A window of {window.setting.window} remembers {window.by_distance[near]:.0%} at {near} tokens' distance and\n"
        f"{window.by_distance[far]:.0%} at {far}; {bits(good)} in fewer bytes {good.by_distance[far]:.0%} at {far}",
        f"Lines of questions answered right against the distance of the fact asked for: at {far} tokens "
        + ", ".join(f"{name} {score.by_distance[far]:.0%}" for score, name in shown)
        + ".",
        theme,
    )
    (panel,), ends = picture.panels(), []
    for number, (score, name) in enumerate(shown):
        look, shift = (
            theme.look(score.setting.cache),
            2 * (number - len(shown) // 2),
        )  # so that no whisker hides another
        x = [high + shift for high in score.by_distance]
        y = [100 * share for share in score.by_distance.values()]
        low, high = zip(*score.intervals_by_distance.values(), strict=True)
        down = [max(0.0, here - 100 * end) for here, end in zip(y, low, strict=True)]
        up = [max(0.0, 100 * end - here) for here, end in zip(y, high, strict=True)]
        panel.errorbar(x, y, [down, up], elinewidth=1.2, **look)
        ends.append((x[-1], y[-1], name, look["color"]))
    panel.set(xlabel="tokens from the fact to the answer, at most", ylabel="questions answered right, %")
    panel.set(xlim=(near - 12, far + 12), ylim=(-3, 103), xticks=list(exact.by_distance))
    panel.grid(axis="y")
    label_ends(panel, ends)
    return picture
