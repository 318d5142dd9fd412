"""The exercises of notebook 02."""

import torch

from minigpt.check import Exercise
from minigpt.measure.forms.sums import triangle


def pairs_of(lengths, fed):
    """Pairs of a query and a key that it sees: in texts of these lengths, and in one of `fed` tokens."""
    return sum(map(triangle, lengths)), triangle(fed)


def texts(prompt, new_tokens):
    """How long the text is at each step without a cache."""
    return range(prompt, prompt + new_tokens)


def moved(token, layers, step, length):
    """Tokens from this one on, `step` further for each of so many layers, to the end of the text."""
    return list(range(token, min(length, token + layers * step + 1)))


def shared(old, new):
    """Tokens that both rows begin with."""
    same = (old[: len(new)] == new[: len(old)]).tolist()
    return same.index(False) if False in same else len(same)


def each_row(old, new):
    return [shared(*rows) for rows in zip(old, new, strict=True)]


def by_chance(old, new):
    """How many places agree, before or after a change."""
    most = min(old.shape[1], new.shape[1])
    return int((old[:, :most] == new[:, :most]).sum(1).min())


pairs = Exercise(
    reference=lambda prompt, new_tokens: pairs_of(texts(prompt, new_tokens), prompt + new_tokens - 1),
    cases=[(1, 1), (3, 1), (7, 8), (20, 50)],
    mistakes={
        "the last new token is never fed: nothing is asked of it": lambda prompt, new_tokens: pairs_of(
            texts(prompt, new_tokens + 1), prompt + new_tokens
        ),
        "with a cache, the last new token is not fed either": lambda prompt, new_tokens: (
            pairs_of(texts(prompt, new_tokens), 0)[0],
            triangle(prompt + new_tokens),
        ),
        "these are rows: each takes as many pairs as it sees keys": lambda prompt, new_tokens: (
            sum(texts(prompt, new_tokens)),
            prompt + new_tokens - 1,
        ),
        "the number without a cache comes first": lambda prompt, new_tokens: pairs_of(
            texts(prompt, new_tokens), prompt + new_tokens - 1
        )[::-1],
        "these are squares: a token doesn't see those after it": lambda prompt, new_tokens: (
            sum(length**2 for length in texts(prompt, new_tokens)),
            prompt**2 + sum(texts(prompt + 1, new_tokens - 1)),
        ),
        "with a cache, the one query of a step still meets every key that is kept": lambda prompt, new_tokens: (
            pairs_of(texts(prompt, new_tokens), 0)[0],
            triangle(prompt) + new_tokens - 1,
        ),
        "without a cache, the old queries are computed and asked again too": lambda prompt, new_tokens: (
            triangle(prompt + new_tokens - 1),
            triangle(prompt + new_tokens - 1),
        ),
    },
)

reach = Exercise(
    reference=lambda token, layer, window, length: moved(token, layer, window - 1, length),
    cases=[(3, 2, 4, 20), (5, 0, 4, 20), (10, 2, 4, 12), (3, 2, 1, 8), (2, 3, 3, 20), (4, 1, 5, 20)],
    mistakes={
        "each layer adds as much as the one below it did: it does not double": lambda token, layer, window, length: (
            moved(token, 2**layer // 2, window - 1, length)
        ),
        "layer 0 has looked at nothing yet when its keys are made": lambda token, layer, window, length: moved(
            token, layer + 1, window - 1, length
        ),
        "a window counts the token itself: it reaches one less far": lambda token, layer, window, length: moved(
            token, layer, window, length
        ),
        "each layer looks through a window at what the layer below saw through its own": (
            lambda token, layer, window, length: moved(token, min(layer, 1), window - 1, length)
        ),
        "its own key changes too": lambda token, layer, window, length: moved(token, layer, window - 1, length)[1:],
        "one more changes: a token `window - 1` behind still sees it": lambda token, layer, window, length: list(
            range(token, min(length, token + max(1, layer * (window - 1))))
        ),
        "a token looks back, so a change moves on, to the tokens behind it": lambda token, layer, window, length: list(
            range(max(0, token - layer * (window - 1)), token + 1)
        ),
        "that would be so without a window": lambda token, layer, window, length: moved(
            token, min(layer, 1), length, length
        ),
        "the text ends before": lambda token, layer, window, length: list(
            range(token, token + layer * (window - 1) + 1)
        ),
    },
)

reusable = Exercise(
    reference=lambda old, new: min(*each_row(old, new), new.shape[1] - 1),
    cases=[
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 2, 3, 7], [4, 5, 6, 8]])),
        (torch.tensor([[4, 5, 6, 7], [1, 2, 3, 4]]), torch.tensor([[4, 9, 6, 9, 9], [1, 2, 3, 9, 9]])),
        (torch.tensor([[1, 2, 3, 4], [4, 5, 6, 7]]), torch.tensor([[1, 2, 3, 9, 9], [4, 9, 6, 9, 9]])),
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 2, 3], [4, 5, 6]])),
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 2], [4, 5]])),
        (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[9, 2, 3], [4, 5, 9]])),
    ],
    mistakes={
        "past the first change a token may be the same by chance, but its row is not": lambda old, new: min(
            by_chance(old, new), new.shape[1] - 1
        ),
        "the last token must be read all the same, or there are no logits": lambda old, new: min(each_row(old, new)),
        "only the first text was looked at": lambda old, new: min(each_row(old, new)[0], new.shape[1] - 1),
        "one text keeps fewer, and all are cropped alike": lambda old, new: min(
            max(each_row(old, new)), new.shape[1] - 1
        ),
    },
)
