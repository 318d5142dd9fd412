"""The exercises of notebook 05."""

import torch

from minigpt.attention import sees
from minigpt.check import Exercise


def shortest(window, chunk, ring):
    """Tokens after which a query first misses a key, when whole chunks go round a ring of so many slots."""
    start = 0
    while max(0, start - window + 1) >= start + chunk - ring:  # the first query's oldest key is still there
        start += chunk
    return start + chunk


def mask(count, window, sinks):
    return sees(torch.arange(count)[None], torch.arange(count)[None], window, sinks)[0, 0]


window_mask = Exercise(
    reference=lambda count, window, sinks: mask(count, window, sinks),
    cases=[(6, 3, 0), (3, 5, 0), (7, 1, 0), (8, 3, 2)],
    axes="query key",
    mistakes={
        "the window is one too wide: the token itself counts": lambda count, window, sinks: mask(
            count, window + 1, sinks
        ),
        "the window is there, but the sinks are not": lambda count, window, sinks: mask(count, window, 0),
        "nothing is forgotten: this is the causal mask": lambda count, window, sinks: mask(count, None, 0),
        "sinks too are seen only by those that come after them": lambda count, window, sinks: (
            mask(count, window, 0) | (torch.arange(count) < sinks)
        ),
    },
)

slots_needed = Exercise(
    reference=lambda window, chunk, sinks: window + chunk - 1 + sinks,
    cases=[(8, 1, 0), (8, 4, 0), (1, 1, 0), (5, 4, 2)],
    mistakes={
        "that is enough for one token at a time: the first query of a chunk looks back furthest": lambda w, c, s: w + s,
        "one slot more than is needed: the first query sees itself, too": lambda w, c, s: w + c + s,
        "one slot short: what the first query sees is overwritten by the last key": lambda w, c, s: w + c - 2 + s,
        "a sink has a slot of its own": lambda w, c, s: w + c - 1,
    },
)

first_failure = Exercise(
    reference=lambda window, chunk: shortest(window, chunk, window + chunk - 2),
    cases=[(4, 3), (4, 1), (8, 3), (8, 4), (9, 4), (2, 5)],
    mistakes={
        "a text of that length still fits into the ring": lambda window, chunk: window + chunk - 2,
        "the first chunk that begins after the window is not the first that shows it": lambda window, chunk: (
            shortest(window, chunk, window + chunk - 2) + chunk
        ),
        "the tokens before that chunk are not enough: it must be fed, too": lambda window, chunk: (
            shortest(window, chunk, window + chunk - 2) - chunk
        ),
    },
)
