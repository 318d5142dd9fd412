"""What a reader sees of a figure: each line of text that is really drawn, with its place, size and background."""

from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Bbox


@dataclass
class Word:
    text: str
    box: Bbox
    points: float
    colour: tuple


def drawn_words(picture) -> list[Word]:
    return words_and_paper(picture)[0]


def words_and_paper(picture) -> tuple[list[Word], np.ndarray]:
    """The words, in pixels of the picture's own dpi, from below; and its pixels as they are behind them, (height,
    width, 4), from above. Ticks beyond the axes and hidden labels are not drawn."""
    words = []

    class Recorder(RendererAgg):
        def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
            width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
            y = self.height - y  # of the baseline, where the text begins
            if angle == 0:
                box = Bbox.from_bounds(x, y - descent, width, height)
            else:
                assert angle == 90, f"{s!r} stands at {angle} degrees, which no one reads"
                box = Bbox.from_bounds(x - height + descent, y, height, width)
            words.append(Word(s, box, prop.get_size_in_points(), gc.get_rgb()[:3]))

    renderer = Recorder(*picture.bbox.size, picture.dpi)
    picture.draw(renderer)
    return words, np.asarray(renderer.buffer_rgba())
