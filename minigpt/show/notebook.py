"""How a notebook shows things: a figure with its alt text, a refusal, what changed between two pieces of code."""

import base64
import contextlib
import difflib
import html
import inspect
import io
import re
import textwrap

import torch
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.style import Style
from pygments.token import Comment, Keyword, Name, Number, Operator, String
from torch import Tensor

from minigpt.show.plots.style import SMALL

DPI = 90  # of the page; a figure has SHARP times as many dots, for screens that do
SHARP = 2
COLOURS = 64
WIDTH = 76  # columns of what is printed: as many as a slide has

# Backgrounds of a diff's lines, translucent, so that they suit a dark page too.
SHADES = {" ": "", "-": "background: rgba(213, 94, 0, .25)", "+": "background: rgba(0, 158, 115, .25)"}

UNBROKEN = "font-family: monospace; white-space: pre; overflow-x: auto"  # a long line is scrolled to, not broken


class Colours(Style):
    """Of code: of a middle brightness, which can be read on white and on a dark page."""

    styles = {  # noqa: RUF012 (as pygments wants it)
        Keyword: "bold #2377c9",
        Operator.Word: "bold #2377c9",
        Comment: "italic #767676",
        String: "#23853f",
        Number: "#a05bc4",
        Name.Decorator: "#b0603a",
    }


def show(figure: Figure, alt: str) -> None:
    """Put a figure on the page, with what it shows in words, for those who can't see it.

    As HTML, since JupyterLab and nbconvert drop the alt text of a plain PNG. With a palette: a chart has
    few colours, and takes a third of the bytes. On white, so that it can be read on a dark page too.
    """
    full, png = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=SHARP * DPI, facecolor="white")
    Image.open(full).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(png, format="png", optimize=True)
    width = round(figure.get_figwidth() * DPI)
    source = base64.b64encode(png.getvalue()).decode()
    image = f'<img alt="{html.escape(alt)}" width="{width}" src="data:image/png;base64,{source}">'
    display({"text/html": image, "text/plain": alt}, raw=True)


@contextlib.contextmanager
def refused(kind: type[Exception]):
    """Prints the error that the block must raise, in place of a traceback. Raises AssertionError if there is none."""
    try:
        yield
    except kind as error:
        print("\n".join(textwrap.wrap(f"{type(error).__name__}: {error}", width=WIDTH)))
    else:
        raise AssertionError(f"nothing was refused, but a {kind.__name__} was expected")


def code(thing) -> None:
    """Show the real source of a function or class, or the one that is given, without its docstring, which the
    notebook's prose replaces.

    As HTML with its own colours; and as Markdown, for pages that have colours of theirs.
    """
    source = without_docstring(thing)
    coloured = highlight(source, PythonLexer(), HtmlFormatter(style=Colours, noclasses=True, nowrap=True))
    shown = {"text/html": f'<pre style="{UNBROKEN}">{coloured}</pre>', "text/markdown": f"```python\n{source}\n```"}
    display(shown | {"text/plain": source}, raw=True)


def without_docstring(thing) -> str:
    """The source of a function or class, or the one that is given, without its docstring."""
    return re.sub(r'\n *""".*?"""', "", source_of(thing), count=1, flags=re.DOTALL)


def changed(before, after) -> list[str]:
    """Show what differs between two functions or classes, or their sources, line by line. Returns these lines."""
    one, other = source_of(before).splitlines(), source_of(after).splitlines()
    lines = [line for line in difflib.ndiff(one, other) if line[0] != "?"]
    marked = "\n".join(f'<span style="{SHADES[line[0]]}">{html.escape(line)}</span>' for line in lines)
    display({"text/html": f'<pre style="{UNBROKEN}">{marked}</pre>', "text/plain": "\n".join(lines)}, raw=True)
    return [line for line in lines if line[0] != " "]


def source_of(thing) -> str:
    source = thing if isinstance(thing, str) else inspect.getsource(thing)
    return textwrap.dedent(source).rstrip()


def grid(
    numbers: Float[Tensor, "R C"], rows: list[str], columns: list[str], title: str, digits: int | None = 2
) -> Figure:
    """A table of numbers as squares, the darker the larger. A NaN is left white. digits: None writes no numbers."""
    R, C = numbers.shape
    figure = Figure(figsize=(max(5, 0.75 * C + 1.9), 0.5 * R + 1.5), layout="constrained")
    panel = figure.subplots()
    low, high = 0, numbers.nan_to_num(0).amax().item() or 1
    panel.imshow(numbers.numpy(), cmap="Blues", vmin=low, vmax=1.4 * high, aspect="auto")
    if digits is not None:
        for row, column in torch.argwhere(~numbers.isnan()).tolist():
            ink = "white" if numbers[row, column] > 0.8 * high else "black"  # readable on any shade
            text = f"{numbers[row, column]:.{digits}f}"
            panel.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=ink)
    panel.set_xticks(range(C), columns)
    panel.set_yticks(range(R), rows)
    panel.xaxis.tick_top()
    panel.tick_params(length=0, labelsize=SMALL)
    panel.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=SMALL)
    return figure
