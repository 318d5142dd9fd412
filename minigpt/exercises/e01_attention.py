"""The exercises of notebook 01."""

import math

import torch

from minigpt.attention import attend, sees
from minigpt.check import Exercise


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def positions(*bounds):
    return torch.arange(*bounds)


def causal_mask(q_pos, k_pos):
    return sees(q_pos[None], k_pos[None])[0, 0]


def one_head(q, k, v, mask):
    return attend(q[None, :, None], k[None, :, None], v[None, :, None], mask[None, None])[0, :, 0]


def scores(q, k):
    return q @ k.T / math.sqrt(q.shape[-1])


def last_three_only(q, k, v):
    """What the notebook's broken function does."""
    return one_head(q, k, v, sees(positions(len(q))[None], positions(len(q))[None], window=3)[0, 0])


softmax = Exercise(
    reference=lambda scores: torch.tensor(scores, dtype=torch.float64).softmax(0).tolist(),
    cases=[([0.0, 1.0, 2.0],), ([1000.0, 1001.0],), ([-3000.0, -3000.0],), ([5.0],), ([0.0, 1000.0],)],
    mistakes={
        "the powers are not divided by their sum": lambda scores: [math.exp(x - max(scores)) for x in scores],
        "each score is divided by their sum, without exp": lambda scores: [x / sum(scores) for x in scores],
    },
)

causal = Exercise(
    reference=causal_mask,
    cases=[
        (positions(3), positions(3)),
        (positions(3, 4), positions(4)),
        (positions(3, 5), positions(5)),
        (torch.tensor([2]), torch.tensor([5, 0, 2])),
    ],
    axes="query key",
    mistakes={
        "the mask comes from the numbers of rows and columns: it must come from the positions": lambda q, k: torch.ones(
            len(q), len(k), dtype=torch.bool
        ).tril(),
        "a token must see itself": lambda q, k: k < q[:, None],
        "queries are rows, keys are columns": lambda q, k: causal_mask(k, q).T,
        "every query sees as far as the last one: the rows differ": lambda q, k: (k <= q.max()).expand(len(q), len(k)),
    },
)

attention = Exercise(
    reference=one_head,
    cases=[
        (*numbers(3, 5, 4), causal_mask(positions(5), positions(5))),
        (numbers(1, 4), *numbers(2, 5, 4), causal_mask(positions(4, 5), positions(5))),
    ],
    axes="token channel",
    mistakes={
        "the scores are not divided by the square root of D": lambda q, k, v, mask: (
            (q @ k.T).masked_fill(~mask, -math.inf).softmax(-1) @ v
        ),
        "the scores are divided by D, not by its square root": lambda q, k, v, mask: (
            (q @ k.T / q.shape[-1]).masked_fill(~mask, -math.inf).softmax(-1) @ v
        ),
        "the mask is not used, so tokens look ahead": lambda q, k, v, mask: scores(q, k).softmax(-1) @ v,
        "hidden scores are set to 0: exp(0) is 1, and only exp(-inf) is 0": lambda q, k, v, mask: (
            (scores(q, k) * mask).softmax(-1) @ v
        ),
        "what is hidden is taken out after the softmax, so that a row no longer adds up to 1": lambda q, k, v, mask: (
            (scores(q, k).softmax(-1) * mask) @ v
        ),
        "the softmax goes down the columns: it is each query's row that must add up to 1": lambda q, k, v, mask: (
            scores(q, k).masked_fill(~mask, -math.inf).softmax(0) @ v
        ),
    },
)

mended = Exercise(
    reference=lambda q, k, v: one_head(q, k, v, causal_mask(positions(len(q)), positions(len(q)))),
    cases=[tuple(numbers(3, 3, 4)), tuple(numbers(3, 9, 4))],
    axes="token channel",
    mistakes={
        "this still does what the broken one does": last_three_only,
        "now every token sees all tokens, also those that come later": lambda q, k, v: scores(q, k).softmax(-1) @ v,
    },
)
