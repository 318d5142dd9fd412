"""How well a real model predicts prose under each setting, against the bytes that its cache holds."""

import itertools

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minigpt.measure.forms.quantized import BITS, RESIDUAL
from minigpt.measure.quality.real import RealScore
from minigpt.measure.quality.real_recording import RealRecording
from minigpt.show.plots.recorded_real import KIVI, groups, in_words, rounded_to, window_as_large, windows
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

LEAST = 1e-3  # bits a byte; below, the axis is linear, so that 0 is on it
TICKS = 5, 10, 20, 50, 100  # megabytes


@drawn
def prose_against_bytes(recording: RealRecording, theme: Theme) -> Picture:
    """A mark for each setting, whiskers for the 95% interval of its difference to the exact cache. Lines join what
    differs in bits or in width alone."""
    scores, exact = recording.scores, recording.scores[0]
    two = rounded_to(2, scores)
    others = [f"{groups(*each)} {two[each].more_bits:.2f}" for each in (("token", "token"), ("channel", "channel"))]
    picture = Picture(
        f"{recording.model}, 2 bits, {two[KIVI].nbytes / exact.nbytes:.0%} of the bytes: {groups(*KIVI)}\n"
        f"cost {two[KIVI].more_bits:.2f} bits a byte, {', '.join(others)}",
        listed(
            f"Marks of {len(scores)} settings by megabytes held, and by bits a byte on a play more than the exact "
            f"cache's {exact.bits_per_byte:.3f} (both axes logarithmic, linear below {LEAST:g}); with 95% intervals:",
            (
                f"{in_words(each)} {bits(each.more_bits)} ({' to '.join(map(bits, each.more_bits_interval))})"
                for each in told(scores)
            ),
        ),
        theme,
        size=(10.0, 5.8),
    )
    picture.note(
        f"{exact.sum('nbytes') / 1e3:.0f} kB of a play, read {recording.chunk} tokens at once; bytes after "
        f"{recording.edges[-1]:,} tokens, in {recording.kept}\nwhiskers: 95% intervals of the difference to exact"
    )
    (panel,) = picture.panels()
    panel.axhline(0, color=theme.look("dynamic")["color"], linewidth=1.5)
    draw(panel, [exact], theme.look("dynamic"))
    for members, look in itertools.chain(*looks(scores, theme)):
        draw(panel, members, look)
    *coarser, fine = [rounded_to(bits, scores)[KIVI] for bits in sorted(BITS)]
    for score in (*coarser, *windows(scores)):
        name_mark(panel, score, "right", (-7, -9))
    name_mark(panel, fine, "left", (9, 11))  # clear of the whiskers beside it
    name_mark(panel, exact, "center", (0, 12))
    panel.set(xscale="log", xlim=(4.6, 150), xlabel="megabytes held (log scale)")
    panel.set_xticks(TICKS, TICKS)
    panel.set_yscale("symlog", linthresh=LEAST)
    panel.set(ylabel=f"bits a byte more than exact\n(log scale, linear below {LEAST:g})", ylim=(-2 * LEAST, 8))
    panel.set_yticks([0, *(LEAST * 10**power for power in range(4))])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.grid(axis="y")
    rounding, seen = ([Line2D([], [], **look) for _, look in each] for each in looks(scores, theme))
    over_grid = {"facecolor": theme.paper, "edgecolor": "none", "framealpha": 1}
    how = {"borderaxespad": 0, "labelspacing": 0.25}
    panel.add_artist(panel.legend(handles=rounding, loc="upper right", **over_grid, **how))
    panel.legend(handles=seen, loc="lower left", frameon=False, **how)
    return picture


def told(scores: list[RealScore]) -> list[RealScore]:
    """Those whose numbers are in the words that stand for the figure."""
    two, four, hqq = rounded_to(2, scores), rounded_to(4, scores), rounded_to(2, scores, backend="hqq")
    width = window_as_large(scores).setting.window
    as_wide = [each for each in scores if each.setting.window == width]
    return [
        *two.values(),
        *rounded_to(2, scores, residual_length=RESIDUAL).values(),
        *hqq.values(),
        four[KIVI],
        *as_wide,
    ]


def bits(more: float) -> str:
    """A byte: small ones with a digit more."""
    return f"{more:.3f}" if abs(more) >= 0.01 else f"{more:.4f}"


def looks(scores: list[RealScore], theme: Theme) -> tuple[list, list]:
    """What is drawn alike, and how: ways to round, and windows."""
    ink, purple = theme.look("quantized"), theme.look("sliding_window")
    alone, hollow, faint = {"linestyle": "none"}, {"markerfacecolor": theme.paper}, {"alpha": 0.4}
    by = {way: [rounded_to(bits, scores)[way] for bits in BITS] for way in rounded_to(2, scores)}
    otherwise = [*by["channel", "channel"], *by["token", "channel"]]
    newest = rounded_to(2, scores, residual_length=RESIDUAL)
    open_mark = ink | alone | hollow
    return [
        (by[KIVI], ink | {"label": groups(*KIVI)}),
        ([newest[KIVI]], open_mark | {"label": f"the same, newest {RESIDUAL} exact"}),
        (by["token", "token"], ink | {"label": "all by token", "marker": "v", "linestyle": "--"}),
        ([newest["token", "token"]], open_mark | {"label": f"the same, newest {RESIDUAL} exact", "marker": "v"}),
        (otherwise, ink | {"label": "grouped otherwise"} | alone | faint),
        (family(scores, "hqq"), ink | {"label": "hqq, all by token", "marker": "h", "linestyle": ":"}),
        (family(scores, "fp8"), ink | {"label": "fp8", "marker": "*"} | alone),
    ], [
        (windows(scores), purple | {"label": "windows with 4 sinks"}),
        (windows(scores, streaming=True), purple | {"label": "the same, streaming"} | alone | hollow),
        (windows(scores, sinks=0), purple | {"label": "without sinks"} | alone | faint),
    ]


def name_mark(panel: Axes, score: RealScore, side: str, offset: tuple[int, int]) -> None:
    """By a window's width, by its bits, or as exact. side: of the words that is at the mark; offset: in points."""
    name = score.setting.window or in_words(score).split(",")[0]
    place = score.nbytes / 1e6, score.more_bits
    panel.annotate(str(name), place, offset, textcoords="offset points", ha=side, va="center")


def family(scores: list[RealScore], name: str) -> list[RealScore]:
    return [score for score in scores if score.setting.family == name]


def draw(panel: Axes, scores: list[RealScore], look: dict) -> None:
    reach = [score.more_bits_interval for score in scores]
    whiskers = [
        [score.more_bits - low for score, (low, _) in zip(scores, reach, strict=True)],
        [high - score.more_bits for score, (_, high) in zip(scores, reach, strict=True)],
    ]
    places = [score.nbytes / 1e6 for score in scores], [score.more_bits for score in scores]
    panel.errorbar(*places, whiskers, elinewidth=1.2, capsize=4, **look)
