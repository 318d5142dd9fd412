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


def first_moved(order, length):
    """How many slots, from the next one to be written on, still hold what they held."""
    turn = [(length + step) % len(order) for step in range(len(order))]
    return next(step for step, slot in enumerate(turn) if order[slot] != slot)


def starts(length, window, sinks, first, last, end=2):
    """Where a fact may start if its tokens first ... last must all be seen at the end of the text, and it must stop
    short of the last `end` tokens."""
    seen = {*range(sinks), *range(length - window, length)}
    return [start for start in range(length - end - 3) if seen.issuperset(range(start + first, start + last + 1))]


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

right_tokens = Exercise(
    reference=first_moved,
    cases=[([0, 1, 3, 2, 4], 14), ([0, 1, 3, 2, 4], 8), ([1, 0, 2], 5), ([3, 1, 2, 0], 5)],
    mistakes={
        "attention does not mind the order, but each new token is written over what stands in its slot": (
            lambda order, length: len(order)
        ),
        "a slot that has changed does no harm until its turn comes to be written over": lambda order, length: 0,
        "the next slot to be written is that of the next token, not the first": lambda order, length: first_moved(
            order, 0
        ),
        "one too many: the token that is written over a wrong one is itself the first that misses something": (
            lambda order, length: first_moved(order, length) + 1
        ),
    },
)

remembered_starts = Exercise(
    reference=lambda length, window, sinks: starts(length, window, sinks, 2, 2),
    cases=[(20, 8, 4), (30, 10, 0), (40, 12, 6), (14, 9, 8), (10, 16, 0)],
    mistakes={
        "the whole fact need not be seen: the value's row has seen the name": lambda length, window, sinks: starts(
            length, window, sinks, 0, 3
        ),
        "a window of 8 is a token and the 7 before it": lambda length, window, sinks: starts(
            length, window + 1, sinks, 2, 2
        ),
        "the value is the third token of the fact": lambda length, window, sinks: starts(length, window, sinks, 1, 1),
        "what stands in the sinks is seen, too": lambda length, window, sinks: starts(length, window, 0, 2, 2),
        "the fact must end before the question: this one begins so late that they overlap": (
            lambda length, window, sinks: starts(length, window, sinks, 2, 2, end=1)
        ),
        "each place counts once, where sinks and window overlap, too; and none is before the text": (
            lambda length, window, sinks: [*range(sinks - 2), *range(length - window - 2, length - 5)]
        ),
    },
)

first_failure = Exercise(
    reference=lambda window, chunk: shortest(window, chunk, window + chunk - 2),
    cases=[(4, 3), (4, 1), (8, 3), (8, 4), (9, 4), (2, 5)],
    mistakes={
        "a text of that length still fits into the ring": lambda window, chunk: window + chunk - 2,
        "only full chunks are fed: round up to a multiple of `chunk`": lambda window, chunk: window + chunk - 1,
        "the first chunk that begins after the window is not the first that shows it": lambda window, chunk: (
            shortest(window, chunk, window + chunk - 2) + chunk
        ),
        "the tokens before that chunk are not enough: it must be fed, too": lambda window, chunk: (
            shortest(window, chunk, window + chunk - 2) - chunk
        ),
    },
)
