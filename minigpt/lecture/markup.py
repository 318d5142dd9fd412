"""Markdown, code and outputs as HTML."""

import base64
import html
import math
import re
import struct
import textwrap
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

# A slide's room in its smallest type (deck.js), reckoned a little too small; the tests measure it in a browser.
COLUMNS = 76
LINES = 16
WIDTH, LINE = 1168, 32  # pixels of a slide's body, and of a line
FRAME, GAP = 1, 0.5  # lines that the label or the frame of a piece takes, and the space below it

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
for link in ("link_open", "link_close"):  # to other notebooks, which are not on the page
    MARKDOWN.add_render_rule(link, lambda *_: "")


@dataclass(frozen=True)
class Piece:
    """Something to be put on a slide.

    lines: about how many of the smallest type it takes. words: what a figure shows, for the speaker.
    """

    html: str
    lines: int
    words: str = ""


def blocks(markdown: str) -> list[str]:
    """Its paragraphs, lists, tables and fenced code, each by itself; but a list stays with the colon before it."""
    lines, found = markdown.splitlines(), []
    for token in MARKDOWN.parse(markdown):
        if token.level == 0 and token.nesting >= 0:
            block = "\n".join(lines[token.map[0] : token.map[1]]).strip("\n")
            if found and found[-1].endswith(":") and token.type.endswith("list_open"):
                found[-1] += f"\n\n{block}"
            else:
                found.append(block)
    return found


def prose(markdown: str) -> str:
    return MARKDOWN.render(markdown)


def inline(markdown: str) -> str:
    return MARKDOWN.renderInline(markdown)


def sentence(markdown: str, label: str) -> Piece:
    """An answer, say, under its label."""
    items = re.split(r"\n\n|\n(?=- |\d+\. )", markdown)
    lines = sum(math.ceil(len(item) / COLUMNS) for item in items)
    return Piece(f'<div class="{label}">{prose(markdown)}</div>', FRAME + lines)


def source(code: str) -> list[Piece]:
    coloured = HtmlFormatter(nowrap=True)
    return [lined(highlight(part, PythonLexer(stripnl=False), coloured), part) for part in parts(code)]


def lined(text_html: str, text: str) -> Piece:
    """Lines that are kept as they are: one that is too long goes on indented."""
    both = zip(text_html.splitlines(), text.splitlines(), strict=True)
    lines = "".join(f'<span class="line" style="{indented(plain)}">{line or " "}</span>' for line, plain in both)
    return Piece(f'<pre class="code">{lines}</pre>', FRAME + rows(text))


def changed(style: str, line: str, signs: int) -> str:
    return f'<span style="{style};{indented(html.unescape(line), signs)}">{line}</span>'


def indented(line: str, signs: int = 0) -> str:
    """By how much, for deck.css."""
    return f"--indent: {indent(line[signs:]) + signs}ch"


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def output(said: dict[str, str], code_too: bool) -> list[Piece]:
    """What a cell showed. code_too: also where that is code of the package."""
    if "text/markdown" in said:  # code, which is there as HTML too
        return source(said["text/plain"]) if code_too else []
    rich = said.get("text/html", "")
    if "<img" in rich:
        return [figure(rich, shape_of_png(rich), said["text/plain"])]
    if rich:
        signs = 2  # before each line, whether it comes or goes
        lines = re.sub(r'<span style="(.*?)">(.*?)</span>\n?', lambda line: changed(*line.groups(), signs), rich)
        return [Piece(f'<div class="changed">{lines}</div>', FRAME + rows(said["text/plain"]))]
    return [lined(html.escape(part), part) for part in parts(said["text/plain"])]


def figure(image: str, shape: float, words: str) -> Piece:
    """shape: its width over its height. It is as wide as the slide; one too high for that has a slide to itself."""
    lines = min(LINES, math.ceil(WIDTH / shape / LINE))
    return Piece(f'<figure style="--shape: {shape:.3f}">{image}</figure>', lines, words)


def shape_of_png(image: str) -> float:
    """Its first bytes say it."""
    head = base64.b64decode(re.search(r"base64,(.{32})", image)[1])
    width, height = struct.unpack(">II", head[16:24])
    return width / height


def parts(text: str) -> list[str]:
    """A text that is longer than a slide, in parts that are not: cut at empty lines, or else into equal pieces."""
    room, found = LINES - FRAME, []
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


def drawing(file: Path) -> Piece:
    """One of the project's figures, an SVG."""
    try:
        svg = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}: draw it by python -m minigpt figures, or say --figures") from error
    text = svg.decode()
    words = html.unescape(re.search(r"<title>(.*?)</title>", text, re.DOTALL)[1])
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', text).groups())
    image = f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
    return figure(image, width / height, words)


def colours() -> str:
    """Of code: light, and dark on a dark page."""
    light, dark = HtmlFormatter(style="friendly"), HtmlFormatter(style="github-dark")
    return light.get_style_defs(".code") + "\n" + dark.get_style_defs(".dark .code")
