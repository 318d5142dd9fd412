"""How every figure looks: letters that the last row can read, one colour and marker for each cache, light and dark."""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.typing import ColorType

SIZE = 10, 5.6  # inches; with letters of 14 points and more, a line of text is 1/29 of the height
SMALL, LARGE = 14, 18  # points: the smallest letters of any figure, and its title

SHAPE = {
    "svg.hashsalt": "minigpt",  # fixed, so that a redrawn figure is the same to the byte
    "svg.fonttype": "none",  # letters stay letters
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": SMALL,
    "axes.titlesize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "lines.linewidth": 2.5,
    "lines.markersize": 8,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Theme:
    """Colours by name: Okabe and Ito's, which the colour-blind can tell apart, in tones that suit the paper.

    muted: for words beside the point. faint: lines of a grid. empty: cells with nothing in them.
    """

    name: str
    paper: str
    ink: str
    muted: str
    faint: str
    empty: str
    blue: str
    vermillion: str = "#D55E00"
    green: str = "#009E73"
    purple: str = "#CC79A7"
    suffix: str = ""

    def look(self, cache: str) -> dict:
        """Colour, marker and dashes of a cache's line, the same in every figure. Its label is the cache's name."""
        colour, marker, dashes = LOOKS.get(cache, PLAIN)
        return {"color": getattr(self, colour), "marker": marker, "linestyle": dashes, "label": cache}

    def mix(self, colour: str, share: float) -> ColorType:
        """That share of a colour, the rest being the paper's."""
        over, under = (matplotlib.colors.to_rgb(each) for each in (getattr(self, colour, colour), self.paper))
        red, green, blue = (share * o + (1 - share) * u for o, u in zip(over, under, strict=True))
        return red, green, blue

    @property
    def settings(self) -> dict:
        inks = "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"
        papers = "figure.facecolor", "axes.facecolor", "savefig.facecolor"
        return SHAPE | dict.fromkeys(inks, self.ink) | dict.fromkeys(papers, self.paper) | {"grid.color": self.faint}


LIGHT = Theme("light", "#FFFFFF", "#1B1F24", "#59636E", "#E3E6E9", "#F1F3F5", blue="#0072B2")
DARK = Theme("dark", "#0D1117", "#F0F3F6", "#A3ADB8", "#2F3742", "#1A2029", blue="#56B4E9", suffix="-dark")
THEMES = LIGHT, DARK

# The offloaded caches wrap another: its colour, dashed.
LOOKS = {
    "none": ("vermillion", "X", "-"),
    "concat": ("muted", "P", "-"),
    "dynamic": ("blue", "o", "-"),
    "static": ("green", "s", "-"),
    "sliding_window": ("purple", "D", "-"),
    "quantized": ("ink", "^", "-"),
    "quantized_static": ("ink", "p", (0, (1, 1))),
    "offloaded": ("blue", "v", (0, (3, 1.5))),
    "offloaded_static": ("green", "<", (0, (3, 1.5))),
}
PLAIN = "muted", "*", ":"  # of a cache that has no line above


class Picture(Figure):
    """A figure that a notebook shows by itself. words: its finding. alt: what is to be seen, in one sentence."""

    def __init__(self, title: str, alt: str, theme: Theme, size: tuple[float, float] = SIZE):
        super().__init__(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        self.words, self.alt, self.theme = title.replace("\n", " "), alt, theme
        self.suptitle(title, x=0.015, ha="left", fontsize=LARGE, fontweight="bold", linespacing=1.25)

    def note(self, words: str) -> None:
        """A line at the foot, for the conventions of what is drawn."""
        self.supxlabel(words, x=0.015, ha="left", fontsize=SMALL, color=self.theme.muted, linespacing=1.25)

    def key(self, colours: dict) -> None:
        """At the foot: what each colour means, by its words."""
        patches = [
            Patch(facecolor=colour, edgecolor=self.theme.muted, label=words) for words, colour in colours.items()
        ]
        how = {
            "ncols": len(patches),
            "frameon": False,
            "borderpad": 0,
            "handlelength": 1,
            "handleheight": 1,
            "columnspacing": 1.4,
        }
        self.legend(handles=patches, loc="outside lower left", borderaxespad=0.7, **how)

    def panels(self, rows: int = 1, columns: int = 1, **how) -> list:
        return list(self.subplots(rows, columns, squeeze=False, **how).flat)

    def save(self, path: Path | io.BytesIO, kind: str) -> None:
        about: dict[str, dict] = {
            "svg": {"metadata": {"Title": self.alt, "Date": None}},
            "png": {"metadata": {"Description": self.alt, "Software": None}, "pil_kwargs": {"optimize": True}},
        }
        with matplotlib.rc_context(self.theme.settings):
            self.savefig(path, format=kind, dpi=128, **about[kind])

    def _repr_png_(self) -> bytes:
        self.save(png := io.BytesIO(), "png")
        return png.getvalue()


def drawn(draw: Callable) -> Callable:
    """Make a function of data and a theme (by default LIGHT) draw in that theme."""

    @functools.wraps(draw)
    def in_theme(*data, theme: Theme = LIGHT) -> Picture:
        with matplotlib.rc_context(theme.settings):
            picture = draw(*data, theme=theme)
            picture.draw_without_rendering()
            picture.set_layout_engine("none")  # it is laid out, and stays so however often it is saved
        return picture

    return in_theme
