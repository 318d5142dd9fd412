"""How much has room on a slide, reckoned before a browser has seen it."""

import math
import re
import textwrap
from dataclasses import dataclass

# A slide's room in its smallest type (deck.js), reckoned a little too small; the tests measure it in a browser.
COLUMNS = 76
LINES = 16
WIDTH, LINE = 1168, 32  # pixels of a slide's body, and of a line
FRAME, GAP = 1, 0.5  # lines that the label or the frame of a piece takes, and the space below it


@dataclass(frozen=True)
class Piece:
    """Something to be put on a slide.

    lines: about how many of the smallest type it takes. words: what a figure shows, for the speaker.
    """

    html: str
    lines: int
    words: str = ""


def parts(text: str) -> list[str]:
    """A text that is longer than a slide, in parts that are not: cut at empty lines, or else into equal pieces."""
    room = LINES - FRAME
    found: list[str] = []
    for paragraph in filter(str.strip, re.split(r"\n\s*\n", text.strip("\n"))):
        lines = paragraph.splitlines()
        size = math.ceil(len(lines) / math.ceil(rows(paragraph) / room))
        for at in range(0, len(lines), size):
            piece = "\n".join(lines[at : at + size])
            if found and rows(f"{found[-1]}\n\n{piece}") <= room:
                found[-1] += f"\n\n{piece}"
            else:
                found.append(piece)
    return found


def rows(text: str) -> int:
    """Lines of a text, those too long for the slide broken between words."""
    return sum(
        max(1, len(textwrap.wrap(line, COLUMNS, subsequent_indent=" " * (indent(line) + 4))))
        for line in text.strip("\n").splitlines()
    )


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())
