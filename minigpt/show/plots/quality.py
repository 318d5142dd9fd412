"""How good the model stays under each setting, against the bytes that its cache holds."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.scores import Score
from minigpt.show.plots.recorded import as_large, bits, rounded, smallest_good, windows
from minigpt.show.plots.style import Picture, Theme, drawn

LEAST = 1e-4  # bits a byte; below, the axis is linear, so that 0 is on it
TICKS = 50, 100, 200, 400, 800  # kilobytes


@drawn
def quality_against_bytes(recording: Recording, theme: Theme) -> Picture:
    """All settings by the bytes held, once against recall, once against bits per byte. Lines join the windows with
    sinks, and the numbers of bits under one way to group. The cache of no bytes has no place on a log axis."""
    scores = [score for score in recording.scores if score.nbytes]
    exact = next(score for score in scores if score.setting.cache == "concat")
    good, window = smallest_good(scores), as_large(scores)
    share, most, other = (nbytes / exact.nbytes for nbytes in (good.nbytes, good.most_nbytes, window.nbytes))
    singly = recording.checked_scores[1]
    kept = f"kept in {recording.kept}, fed one token at a time"
    picture = Picture(
        f"{bits(good)}, in {share:.0%} of {recording.kept}'s bytes: {good.recall:.0%} of questions right;\n"
        f"a window of {window.setting.window}, in {other:.0%}: {window.recall:.0%}",
        f"Points of {len(scores)} settings by kilobytes held ({kept}; log axis), and by recall and by bits a byte more "
        f"than exact (read in chunks of {recording.chunk}; log axis, linear below {LEAST:g}): {bits(good)} answer "
        f"{good.recall:.0%} in {share:.0%} of the bytes (on the way {most:.0%}), a window of {window.setting.window} "
        f"and {window.setting.sinks} sinks {window.recall:.0%} in {other:.0%}; read one token at a time, too, "
        f"{bits(singly)} cost {singly.more_bits:.2g} bits a byte.",
        theme,
        size=(10.0, 5.8),
    )
    panels = picture.panels(1, 2)
    heights = (lambda score: 100 * score.recall, "top"), (lambda score: score.more_bits, "bottom")
    for panel, (height, side) in zip(panels, heights, strict=True):
        for score in scores:
            look = theme.look(score.setting.cache) | {"linestyle": "none"}
            panel.plot(score.nbytes / 1e3, height(score), alpha=0.5, **look)
        for score in rounded(scores):
            reach = score.nbytes / 1e3, score.most_nbytes / 1e3
            panel.plot(reach, [height(score)] * 2, markevery=[1], **most_look(theme))
        # The narrower windows stand among the marks of 1 bit, where there is no room for names.
        widths = [str(each.setting.window) if each.nbytes >= window.nbytes else "" for each in windows(scores)]
        *fewer, last = map(bits, rounded(scores))
        join(panel, windows(scores), height, widths, side, theme)
        join(panel, rounded(scores), height, [*(name.split()[0] for name in fewer), last], side, theme)
        join(panel, [exact], height, ["exact"], side, theme)
        for score in recording.checked_scores:
            look = theme.look(score.setting.cache) | {"linestyle": "none", "markerfacecolor": "none"}
            panel.plot(score.nbytes / 1e3, height(score), **look)
        panel.set(xscale="log", xlim=(36, 1250))
        panel.set(xlabel=f"kilobytes held, in {recording.kept},\nfed one token at a time (log scale)")
        panel.set_xticks(TICKS, TICKS)
        panel.minorticks_off()
        panel.grid(axis="y")
    panels[0].set(ylabel="questions answered right, %", ylim=(-12, 106))
    panels[1].set_yscale("symlog", linthresh=LEAST)
    panels[1].set(ylabel=f"bits a byte more than exact\n(log scale, linear below {LEAST:g})", ylim=(-LEAST / 2, 5))
    panels[1].annotate(
        f"{bits(singly)}, one by one\n(others {recording.chunk} at once)",
        (singly.nbytes / 1e3, singly.more_bits),
        (0.51, 0.5),
        textcoords="axes fraction",
        va="center",
        arrowprops={"arrowstyle": "-", "color": theme.ink, "linewidth": 0.8, "shrinkB": 5, "relpos": (0, 0.5)},
    )
    panels[1].set_yticks([0, *(LEAST * 10**power for power in range(5))])
    panels[1].yaxis.set_major_formatter("{x:g}")
    picture.legend(handles=key(scores, theme), loc="outside lower center", ncols=3, frameon=False)
    return picture


def join(panel: Axes, scores: list[Score], height: Callable, names: list[str], side: str, theme: Theme) -> None:
    """A line through the settings, each with its name. side: the edge of the name that is next to its mark."""
    look = theme.look(scores[0].setting.cache)
    places = [(score.nbytes / 1e3, height(score)) for score in scores]
    panel.plot(*zip(*places, strict=True), **look)
    for name, place in zip(names, places, strict=True):
        offset = 5, -6 if side == "top" else 6
        panel.annotate(name, place, offset, textcoords="offset points", va=side, color=look["color"])


def most_look(theme: Theme) -> dict:
    """A thin line from the bytes held at the end to the most on the way."""
    return {"color": theme.ink, "linewidth": 1, "marker": "|", "label": "up to the peak on the way"}


def key(scores: list[Score], theme: Theme) -> list[Line2D]:
    """What the marks are, the faint ones too."""
    faint = {"linestyle": "none", "alpha": 0.5}
    narrowest, *_, widest = (score.setting.window for score in windows(scores))
    looks = [
        theme.look("quantized") | {"label": "keys by channel, values by token"},
        theme.look("quantized") | {"label": "rounded otherwise"} | faint,
        most_look(theme),
        theme.look("sliding_window") | {"label": f"windows {narrowest} to {widest}"},
        theme.look("sliding_window") | {"label": "without sinks"} | faint,
        *(theme.look(cache) | faint for cache in ("dynamic", "static", "offloaded", "offloaded_static")),
    ]
    return [Line2D([], [], **look) for look in looks]
