"""How good the model stays under each setting, against the bytes that its cache holds."""

from collections.abc import Callable

from matplotlib.axes import Axes

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.scores import Score
from minigpt.show.plots.recorded import bits, rounded, smallest_good, windows
from minigpt.show.plots.style import Picture, Theme, drawn

LEAST = 1e-4  # bits a byte; below, the axis is linear, so that 0 is on it


@drawn
def quality_against_bytes(recording: Recording, theme: Theme) -> Picture:
    """All settings by the bytes held, once against recall, once against bits per byte. Lines join the windows with
    sinks, and the numbers of bits under one way to group."""
    scores = recording.scores
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
            if score.nbytes:
                look = theme.look(score.setting.cache) | {"linestyle": "none"}
                panel.plot(score.nbytes / 1e3, height(score), alpha=0.5, **look)
        join(panel, windows(scores), height, [str(score.setting.window) for score in windows(scores)], side, theme)
        *fewer, most = map(bits, rounded(scores))
        join(panel, rounded(scores), height, [*(name.split()[0] for name in fewer), most], side, theme)
        join(panel, [exact], height, ["exact"], side, theme)
        panel.set(xscale="log", xlabel=f"kilobytes held (exact: {recording.dtype})")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.margins(x=0.12)
        panel.minorticks_off()
        panel.grid(axis="y")
    panels[0].set(ylabel="questions answered right, %", ylim=(-12, 106))
    panels[0].text(0.97, 0.3, "windows", transform=panels[0].transAxes, ha="right", color=theme.purple)
    panels[1].set_yscale("symlog", linthresh=LEAST)
    panels[1].set(ylabel="bits a byte more than exact", ylim=(-LEAST / 2, 5))
    panels[1].set_yticks([0, *(LEAST * 10**power for power in range(5))])
    panels[1].yaxis.set_major_formatter("{x:g}")
    return picture


def join(panel: Axes, scores: list[Score], height: Callable, names: list[str], side: str, theme: Theme) -> None:
    """A line through the settings, each with its name. side: the edge of the name that is next to its mark."""
    look = theme.look(scores[0].setting.cache)
    places = [(score.nbytes / 1e3, height(score)) for score in scores]
    panel.plot(*zip(*places, strict=True), **look)
    for name, place in zip(names, places, strict=True):
        offset = 5, -6 if side == "top" else 6
        panel.annotate(name, place, offset, textcoords="offset points", va=side, color=look["color"])
