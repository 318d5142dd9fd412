"""Attention grows by one row a token, and the rows before it stay."""

import itertools

import torch
from jaxtyping import Float
from matplotlib.patches import Rectangle
from torch import Tensor

from minigpt.attention import attend_as_matrices, sees
from minigpt.model import GPT
from minigpt.show.plots.prompt import prompt
from minigpt.show.plots.style import LARGE, Picture, Theme, drawn
from minigpt.show.words import bound, subscript

TOKENS, HEAD = 3, 1


def growing_weights() -> list[Tensor]:
    """The attention weights of the first token, of the first two, of the first three: in the first layer's second head
    of the bundled model, each computed anew."""
    model = GPT.from_pretrained("recall", dtype=torch.float64)
    return [weights(model, prompt()[:, :count]) for count in range(1, TOKENS + 1)]


@torch.no_grad()
def weights(model: GPT, ids: Tensor) -> Float[Tensor, "T T"]:
    """The softmax of q k / sqrt(D), row by row: what attention returns if each value is 1 in a channel of its own."""
    block, T = model.h[0], ids.shape[1]
    positions = torch.arange(T)[None]
    q, k, _ = block.attn.qkv(block.ln_1(model.embed(ids, positions)))
    marks = torch.eye(T, k.shape[-1], dtype=q.dtype)[None, :, None].expand_as(k)
    return attend_as_matrices(q, k, marks, sees(positions, positions))[0, :, HEAD, :T]


@drawn
def growth(steps: list[Tensor], theme: Theme) -> Picture:
    """A triangle of weights for each token, (1, 1), (2, 2), ..., its new row blue, and the sum of values that it is."""
    changed = max(float((old - new[:-1, :-1]).abs().max()) for old, new in itertools.pairwise(steps))
    said = "stay what they were, to " + (f"less than {bound(changed)}" if changed else "the bit")
    picture = Picture(
        f"A new token adds one row to attention;\nthe rows before it {said}",
        f"Triangles of attention weights for tokens 1 to {len(steps)}, each with one new row at the bottom, the sum of "
        f"values that this row is, and above it the rows of the triangle before, which {said}.",
        theme,
    )
    (panel,) = picture.panels()
    left, bottom = 0.0, len(steps) + 0.55
    for number, weights in enumerate(steps, start=1):
        panel.text(left, -0.2, f"token {number}", va="bottom", fontsize=16)
        for row, column in weights.tril().nonzero().tolist():
            new = row == number - 1
            fill, ink = (theme.blue, theme.paper) if new else (theme.mix("vermillion", 0.25), theme.ink)
            panel.add_patch(Rectangle((left + column, row), 0.96, 0.96, facecolor=fill, linewidth=0))
            cell = f"q{subscript(row)}k{subscript(column)}\n{weights[row, column]:.2f}"
            panel.text(left + column + 0.48, row + 0.48, cell, color=ink, ha="center", va="center", fontsize=LARGE)
        total = " + ".join(f"{share:.2f} v{subscript(column)}" for column, share in enumerate(weights[-1].tolist()))
        panel.text(left, number + 0.3, f"= {total}", color=theme.blue, va="center", fontsize=16)
        left += max(number, 2) + 0.5
    panel.text(0, len(steps) - 0.5, "the new row", color=theme.blue, va="center", fontsize=16)
    panel.text(0, len(steps) - 0.15, "as before", color=theme.vermillion, va="center", fontsize=16)
    panel.text(0, len(steps) + 0.2, "cells: softmax of qk", color=theme.muted, va="center", fontsize=16)
    panel.set(xlim=(0, left), ylim=(bottom, -0.7), aspect="equal")
    panel.axis("off")
    return picture
