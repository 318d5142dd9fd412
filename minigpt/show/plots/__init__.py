"""Every figure, drawn from a run. The same run draws the same bytes.

Each is a function of plain data and a theme (LIGHT unless told) that returns a `Picture`, which a notebook shows by
itself. Beside it in its file stands the function that makes its data.
"""

from minigpt.show.plots.all import FIGURES, draw_all
from minigpt.show.plots.groups import scales
from minigpt.show.plots.held import bytes_held
from minigpt.show.plots.moves import ladder
from minigpt.show.plots.repeats import sameness
from minigpt.show.plots.rows import redundancy
from minigpt.show.plots.style import DARK, LIGHT, THEMES, Picture, Theme
from minigpt.show.plots.triangles import growth
from minigpt.show.plots.turns import ring

__all__ = [
    "DARK",
    "FIGURES",
    "LIGHT",
    "THEMES",
    "Picture",
    "Theme",
    "bytes_held",
    "draw_all",
    "growth",
    "ladder",
    "redundancy",
    "ring",
    "sameness",
    "scales",
]
