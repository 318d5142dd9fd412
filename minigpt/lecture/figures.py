"""Figures on a slide."""

import base64
import html
import math
import re
import struct
from pathlib import Path

from minigpt.lecture.room import LINE, LINES, WIDTH, Piece
from minigpt.show.program import program


def figure(image: str, shape: float, words: str) -> Piece:
    """shape: its width over its height. It is as wide as the slide; one too high for that has a slide to itself."""
    lines = min(LINES, math.ceil(WIDTH / shape / LINE))
    return Piece(f'<figure style="--shape: {shape:.3f}">{image}</figure>', lines, words)


def shape_of_png(image: str) -> float:
    """Its first bytes say it."""
    head = base64.b64decode(image.partition("base64,")[2][:32])
    width, height = struct.unpack(">II", head[16:24])
    return width / height


def drawing(file: Path) -> Piece:
    """One of the project's figures, an SVG."""
    try:
        svg = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}: draw it by {program()} figures, or say --figures") from error
    text = svg.decode()
    title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    box = re.search(r'viewBox="0 0 (\S+) (\S+)"', text)
    if not title or not box:
        raise ValueError(f"{file} has no title or no viewBox: draw it by {program()} figures, or say --figures")
    words, (width, height) = html.unescape(title[1]), map(float, box.groups())
    image = f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
    return figure(image, width / height, words)
