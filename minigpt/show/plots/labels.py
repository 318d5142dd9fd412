"""Words beside what they name: at a line's end, never over each other; and at the marks of a logarithmic axis."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator


def label_ends(panel: Axes, ends: list[tuple], gap: float = 1.25) -> None:
    """Write (x, y, words, colour) to the right of a panel, at the height of y or as near as there is room.

    gap: between the middles of two words, in lines of text. Call it last: the panel's limits must be set.
    """
    figure: Any = panel.figure
    figure.get_layout_engine().set(rect=(0, 0, 0.985, 1))  # so that words keep off the edge
    figure.get_layout_engine().execute(figure)
    height = panel.get_window_extent().height
    size = float(panel.xaxis.label.get_fontsize()) * figure.dpi / 72 * gap / height
    ends = sorted(ends, key=lambda end: end[1])
    wanted = [panel.transAxes.inverted().transform(panel.transData.transform(end[:2]))[1] for end in ends]
    for (x, y, words, colour), place in zip(ends, spread(wanted, size), strict=True):
        panel.annotate(
            words,
            (x, y),
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            color=colour,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.8,
                "shrinkA": 2,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def log_heights(panel: Axes, words: str) -> None:
    """Make heights logarithmic, which marks at 1, 2, 5, 10, ..., unevenly apart, and the axis's words show."""
    panel.set(yscale="log", ylabel=f"{words} (log scale)")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=99))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.grid(axis="y")


def seconds_by_tokens(panel: Axes, tokens: list[int], where: str, ends: list[tuple]) -> None:
    """Axes and words of a panel that shows seconds for one more token against tokens so far, both logarithmic.

    where: on which machine. ends: see `label_ends`.
    """
    panel.set(xscale="log", xlabel=f"tokens so far (log scale), {where}")
    log_heights(panel, "seconds per token")
    panel.set_xticks(tokens, [f"{each:,}" for each in tokens])
    panel.minorticks_off()
    label_ends(panel, ends)


def spread(wanted: list[float], gap: float) -> list[float]:
    """Places at least a gap apart, in the order of those wanted (rising) and as near to them as can be.

    Words that would touch are stacked, around the middle of the places that they wanted.
    """
    piles: list[list[float]] = []
    for place in wanted:
        piles.append([place])
        while len(piles) > 1 and middle(piles[-1]) - middle(piles[-2]) < gap * (len(piles[-1]) + len(piles[-2])) / 2:
            piles[-2:] = [piles[-2] + piles[-1]]
    return [middle(pile) + (number - (len(pile) - 1) / 2) * gap for pile in piles for number, _ in enumerate(pile)]


def middle(pile: list[float]) -> float:
    return sum(pile) / len(pile)
