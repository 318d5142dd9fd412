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

TOKENS, HEAD, OTHER = 3, 1, 0


def growing_weights() -> list[Tensor]:
    """The attention weights of the first token, of the first two, of the first three: in the first layer's second head
    of the bundled model, each computed anew, by products of one shape: other tokens stand where later ones will."""
    model = GPT.from_pretrained("recall", dtype=torch.float64)
    texts = [prompt()[:, :TOKENS].index_fill(1, torch.arange(count, TOKENS), OTHER) for count in range(1, TOKENS + 1)]
    return [weights(model, text)[:count, :count] for count, text in enumerate(texts, start=1)]


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
        f"A new token adds one row to attention; the rows before it\n{said}, in matrix products of one shape",
        f"Triangles of attention weights for tokens 1 to {len(steps)}, each with one new row at the bottom, the sum of "
        f"values that this row is, and above it the rows of the triangle before, which, computed anew in matrix "
        f"products of one shape, {said}.",
        theme,
    )
    colours = {"the new row": theme.blue, "recomputed, unchanged": theme.mix("vermillion", 0.25)}
    picture.key(colours)
    new, before = colours.values()
    (panel,) = picture.panels()
    left, bottom = 0.0, len(steps) + 0.55
    for number, weights in enumerate(steps, start=1):
        panel.text(left, -0.2, f"token {number}", va="bottom", fontsize=16)
        for row, column in weights.tril().nonzero().tolist():
            fill, ink = (new, theme.paper) if row == number - 1 else (before, theme.ink)
            panel.add_patch(Rectangle((left + column, row), 0.96, 0.96, facecolor=fill, linewidth=0))
            cell = f"q{subscript(row)}k{subscript(column)}\n{weights[row, column]:.2f}"
            panel.text(left + column + 0.48, row + 0.48, cell, color=ink, ha="center", va="center", fontsize=LARGE)
        total = " + ".join(f"{share:.2f} v{subscript(column)}" for column, share in enumerate(weights[-1].tolist()))
        panel.text(left, number + 0.3, f"= {total}", color=theme.blue, va="center", fontsize=16)
        left += max(number, 2) + 0.5
    words = "cells: softmax of qk, each\nrecomputed, with other\ntokens in place of later ones"
    panel.text(0, len(steps) + 0.4, words, color=theme.muted, va="bottom")
    panel.set(xlim=(0, left), ylim=(bottom, -0.7), aspect="equal")
    panel.axis("off")
    return picture
