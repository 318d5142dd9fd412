"""Markdown, code and outputs as HTML."""

import html
import math
import re

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from minigpt.lecture.figures import figure, shape_of_png
from minigpt.lecture.room import COLUMNS, FRAME, Piece, indent, parts, rows

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
for link in ("link_open", "link_close"):  # to other notebooks, which are not on the page
    MARKDOWN.add_render_rule(link, lambda *_: "")


def blocks(markdown: str) -> list[str]:
    """Its paragraphs, lists, tables and fenced code, each by itself; but a list stays with the colon before it."""
    lines = markdown.splitlines()
    found: list[str] = []
    for token in MARKDOWN.parse(markdown):
        if token.level == 0 and token.nesting >= 0 and token.map:
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


def output(said: dict[str, str], code_too: bool) -> list[Piece]:
    """What a cell showed. code_too: also where that is code of the package."""
    if "text/markdown" in said:  # code, which is there as HTML too
        return source(said["text/plain"]) if code_too else []
    rich = said.get("text/html", "")
    if "<img" in rich:
        return [figure(rich, shape_of_png(rich), said["text/plain"])]
    if rich:
        signs = 2  # before each line, whether it comes or goes
        lines = re.sub(r'<span style="(.*?)">(.*?)</span>\n?', lambda line: changed(line[1], line[2], signs), rich)
        return [Piece(f'<div class="changed">{lines}</div>', FRAME + rows(said["text/plain"]))]
    return [lined(html.escape(part), part) for part in parts(said["text/plain"])]


def colours() -> str:
    """Of code: light, and dark on a dark page."""
    light, dark = HtmlFormatter(style="friendly"), HtmlFormatter(style="github-dark")
    return light.get_style_defs(".code") + "\n" + dark.get_style_defs(".dark .code")
