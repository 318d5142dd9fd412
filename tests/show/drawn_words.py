"""What a reader sees of a figure: each line of text that is really drawn, where, how large."""

from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.transforms import Bbox


@dataclass
class Word:
    text: str
    box: Bbox
    points: float
    colour: tuple


def drawn_words(picture) -> list[Word]:
    """In pixels of the picture's own dpi, from below. Ticks beyond the axes and hidden labels are not drawn."""
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

    canvas = FigureCanvasAgg(picture)
    canvas.draw()  # lays it out
    picture.draw(Recorder(*canvas.get_width_height(), picture.dpi))
    return words


def without_words(picture) -> np.ndarray:
    """Its pixels, (height, width, 4), as they are behind the words."""

    class Mute(RendererAgg):
        def draw_text(self, *_, **__):
            pass

    renderer = Mute(*FigureCanvasAgg(picture).get_width_height(), picture.dpi)
    picture.draw(renderer)
    return np.asarray(renderer.buffer_rgba())
