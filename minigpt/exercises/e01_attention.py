"""The exercises of notebook 01."""

import math

import torch

from minigpt.check import Exercise


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def repeated(weights, at):
    return weights[: at + 1] + weights[at:]


def scaled(weights):
    """The same, so that they add up to 1."""
    return [weight / sum(weights) for weight in weights]


def softmaxed(scores):
    return scaled([math.exp(score) for score in scores])


def half_each(weights, at):
    return repeated([*weights[:at], weights[at] / 2, *weights[at + 1 :]], at)


def ancestors(parents):
    """For each token those that it sees: itself, its parent, the parent's parent, ..."""
    mask = torch.zeros(len(parents), len(parents), dtype=torch.bool)
    for token in range(len(parents)):
        seen = token
        while seen >= 0:
            mask[token, seen], seen = True, parents[seen]
    return mask


def parents_only(parents):
    mask = torch.eye(len(parents), dtype=torch.bool)
    for token, parent in enumerate(parents):
        if parent >= 0:
            mask[token, parent] = True
    return mask


def last_as_parent(parents):
    mask = torch.eye(len(parents), dtype=torch.bool)
    for token, parent in enumerate(parents):
        mask[token] |= mask[parent]
    return mask


def half(q, k, v):
    """What attention over these keys gives, and the logarithm of the sum of exp(score), for each query."""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def halves(cut, size=1.0):
    """Attention over the first `cut` of 7 keys, and over the others. size: of the scores, about."""
    q, (k, v) = size * numbers(3, 4), numbers(2, 7, 4)
    return *half(q, k[:cut], v[:cut]), *half(q, k[cut:], v[cut:])


def in_shares(first, share, second):
    return share[:, None] * first + (1 - share)[:, None] * second


doubled = Exercise(
    reference=lambda weights, at: softmaxed(repeated([math.log(weight) for weight in weights], at)),
    cases=[([0.2, 0.3, 0.5], 1), ([0.5, 0.5], 0), ([1.0], 0), ([0.1, 0.1, 0.7, 0.1], 3)],
    mistakes={
        "the two copies were given half of the weight each: both have the whole score": half_each,
        "these no longer add up to 1": repeated,
        "the copy has a place of its own: the row is one number longer": lambda weights, at: scaled(
            [weight * (1 + (key == at)) for key, weight in enumerate(weights)]
        ),
        "the second copy stands right behind the first": lambda weights, at: scaled([*weights, weights[at]]),
        "the weights are not scores: they went through exp already": lambda weights, at: softmaxed(
            repeated(weights, at)
        ),
    },
)

tree = Exercise(
    reference=ancestors,
    cases=[([-1, 0, 1, 2],), ([-1, 0, 0, 1],), ([-1, -1, 0, 1, 1, 4],), ([*range(-1, 9)],)],
    axes="query key",
    mistakes={
        "a token sees those of another branch, only because they stand before it": lambda parents: torch.ones(
            len(parents), len(parents), dtype=torch.bool
        ).tril(),
        "a token sees its parent, but not the parent's parent": parents_only,
        "a path back to the first token may be as long as the text: go on until there is no parent": lambda parents: (
            torch.linalg.matrix_power(parents_only(parents).float(), 4) > 0
        ),
        "-1 is no parent, but as an index it is the last token": last_as_parent,
        "a token must see itself": lambda parents: ancestors(parents) & ~torch.eye(len(parents), dtype=torch.bool),
        "queries are rows, keys are columns": lambda parents: ancestors(parents).T,
    },
)

joined = Exercise(
    reference=lambda one, log_one, other, log_other: in_shares(one, torch.sigmoid(log_one - log_other), other),
    cases=[halves(3), halves(1), halves(4, size=2000.0)],
    axes="token channel",
    mistakes={
        "both halves count the same: the one with the higher scores must count more": lambda one, p, other, r: (
            (one + other) / 2
        ),
        "each half is a mean already: the whole lies between them, it is not their sum": lambda one, p, other, r: (
            one + other
        ),
        "the shares were made of the logarithms: they must be made of their exp": lambda one, p, other, r: in_shares(
            one, p / (p + r), other
        ),
        "the two are not divided by the sum of both sums": lambda one, p, other, r: (
            p.exp()[:, None] * one + r.exp()[:, None] * other
        ),
        "each half was given the other's share": lambda one, p, other, r: in_shares(one, torch.sigmoid(r - p), other),
        "exp of a large number overflows: take the larger logarithm off both first": lambda one, p, other, r: in_shares(
            one, p.exp() / (p.exp() + r.exp()), other
        ),
        "exp overflows, and inf / inf is NaN: take the larger logarithm off both first": lambda one, p, other, r: (
            (p.exp()[:, None] * one + r.exp()[:, None] * other) / (p.exp() + r.exp())[:, None]
        ),
    },
)

mended = Exercise(
    reference=lambda x, heads: torch.stack(x.chunk(heads, dim=1)),
    cases=[(numbers(3, 4), 1), (numbers(3, 4), 2), (numbers(5, 6), 3)],
    axes="head token channel",
    mistakes={
        "this still does what the broken one does": lambda x, heads: x.view(heads, len(x), -1),
        "the heads must be the first axis": lambda x, heads: x.view(len(x), heads, -1),
        "the channels are dealt out like cards: the first head must get the first of them": lambda x, heads: x.view(
            len(x), -1, heads
        ).permute(2, 0, 1),
    },
)
