"""How a notebook shows things: a figure with its alt text, a refusal, what changed between two pieces of code."""

import base64
import contextlib
import difflib
import html
import inspect
import io
import textwrap

import torch
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

DPI = 90


def show(figure: Figure, alt: str) -> None:
    """Put a figure on the page, with what it shows in words, for those who can't see it.

    As HTML, since JupyterLab and nbconvert drop the alt text of a plain PNG.
    """
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    width = round(figure.get_figwidth() * DPI)
    source = base64.b64encode(png.getvalue()).decode()
    image = f'<img alt="{html.escape(alt)}" width="{width}" src="data:image/png;base64,{source}">'
    display({"text/html": image, "text/plain": alt}, raw=True)


@contextlib.contextmanager
def refused(kind: type[Exception]):
    """Prints the error that the block must raise, in place of a traceback. AssertionError where there is none."""
    try:
        yield
    except kind as error:
        print("\n".join(textwrap.wrap(f"{type(error).__name__}: {error}", width=100)))
    else:
        raise AssertionError(f"nothing was refused, but a {kind.__name__} was expected")


def changed(before, after) -> None:
    """The lines that differ between two functions or classes, from their real source, as a diff."""
    one, other = (textwrap.dedent(inspect.getsource(code)).splitlines() for code in (before, after))
    lines = [*difflib.unified_diff(one, other, before.__qualname__, after.__qualname__, lineterm="", n=99)]
    text = "\n".join([*lines[:2], *lines[3:]])
    display({"text/markdown": f"```diff\n{text}\n```", "text/plain": text}, raw=True)


def code(thing) -> None:
    """The real source of a function or class."""
    text = textwrap.dedent(inspect.getsource(thing)).rstrip()
    display({"text/markdown": f"```python\n{text}\n```", "text/plain": text}, raw=True)


def grid(
    numbers: Float[Tensor, "R C"], rows: list[str], columns: list[str], title: str, digits: int | None = 2
) -> Figure:
    """A table of numbers as squares, the darker the larger. A NaN is left white. digits: None writes no numbers."""
    R, C = numbers.shape
    figure = Figure(figsize=(max(3.5, 0.62 * C + 1.6), 0.42 * R + 1.3), layout="constrained")
    panel = figure.subplots()
    low, high = 0, numbers.nan_to_num(0).amax().item() or 1
    panel.imshow(numbers.numpy(), cmap="Blues", vmin=low, vmax=1.4 * high, aspect="auto")  # ink stays readable
    if digits is not None:
        for row, column in torch.argwhere(~numbers.isnan()).tolist():
            panel.text(column, row, f"{numbers[row, column]:.{digits}f}", ha="center", va="center", fontsize=9)
    panel.set_xticks(range(C), columns)
    panel.set_yticks(range(R), rows)
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set_title(title)
    return figure
