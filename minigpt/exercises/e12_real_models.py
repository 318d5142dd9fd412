"""The exercises of notebook 12."""

import math

import torch

from minigpt.check import Exercise
from minigpt.llama import turned


def turned_by(keys, places, frequencies):
    angles = places[:, None] * frequencies
    turn = angles.cos()[None, :, None], angles.sin()[None, :, None]
    return turned(keys[None, :, None], turn)[0, :, 0]


def neighbours_turned(keys, places, frequencies):
    order = [*range(0, keys.shape[1], 2), *range(1, keys.shape[1], 2)]
    apart = turned_by(keys[:, order], places, frequencies)
    return apart[:, torch.tensor(order).argsort()]


def steps(positions):
    return torch.arange(len(positions)) - positions


def keys_at(*positions):
    keys = torch.randn(len(positions), 8, generator=torch.Generator().manual_seed(sum(positions)), dtype=torch.float64)
    return keys, torch.tensor(positions), torch.tensor([1.0, 0.3, 0.1, 0.03], dtype=torch.float64)


close_ranks = Exercise(
    reference=lambda keys, positions, frequencies: turned_by(keys, steps(positions), frequencies),
    axes="S D",
    cases=[keys_at(0, 1, 7, 8, 10), keys_at(2, 30, 31, 40), keys_at(3, 4, 5)],
    mistakes={
        "a kept key is turned already: turn it on by its step alone, not by its whole new place": (
            lambda keys, positions, frequencies: turned_by(keys, torch.arange(len(positions)), frequencies)
        ),
        "the other way round: the step goes from the old place to the new one": (
            lambda keys, positions, frequencies: turned_by(keys, -steps(positions), frequencies)
        ),
        "a key is kept as it was turned: at another place it must be turned on": (
            lambda keys, positions, frequencies: keys
        ),
        "channels d and d + D / 2 are turned together, not neighbours": (
            lambda keys, positions, frequencies: neighbours_turned(keys, steps(positions), frequencies)
        ),
        "each row has a step of its own": lambda keys, positions, frequencies: turned_by(
            keys, steps(positions)[-1].expand(len(positions)), frequencies
        ),
        "the first row goes to place 0, wherever it was": lambda keys, positions, frequencies: turned_by(
            keys, steps(positions) + positions[0], frequencies
        ),
    },
)


def heads_needed(query_heads, kv_heads, cards):
    share, group = query_heads // cards, query_heads // kv_heads
    return [len({head // group for head in range(card * share, (card + 1) * share)}) for card in range(cards)]


heads_on_cards = Exercise(
    reference=heads_needed,
    cases=[(64, 8, 4), (64, 8, 16), (9, 3, 9), (12, 4, 6), (12, 1, 4), (18, 6, 9)],
    mistakes={
        "a head can't be kept in parts: a card with a single query head needs the whole key head": (
            lambda query_heads, kv_heads, cards: [kv_heads // cards] * cards
        ),
        "query heads that share a key head need it once": lambda query_heads, kv_heads, cards: (
            [query_heads // cards] * cards
        ),
        "a card needs the key heads of its own query heads, and no others": lambda query_heads, kv_heads, cards: (
            [kv_heads] * cards
        ),
        "where the cut goes through the query heads of one key head, the cards on both sides need it": (
            lambda query_heads, kv_heads, cards: [-(-kv_heads // cards)] * cards
        ),
    },
)


def outweighing(weights, batch, token, full, windowed, window):
    short = weights // (batch * token * (full + windowed)) + 1
    if short <= window or not windowed:
        return short
    return (weights - batch * token * windowed * window) // (batch * token * full) + 1 if full else None


outweighs = Exercise(
    reference=outweighing,
    cases=[
        (1000, 2, 10, 2, 3, 100),
        (1000, 2, 1, 2, 3, 10),
        (999, 1, 3, 4, 3, 20),
        (1000, 1, 1, 0, 3, 10),
        (100, 1, 1, 0, 5, 20),
        (99, 1, 1, 0, 5, 20),
        (1000, 1, 10, 5, 0, 1),
    ],
    mistakes={
        "as many bytes as the weights are not more": lambda weights, *others: outweighing(weights - 1, *others),
        "each text of the batch has a cache of its own": lambda weights, batch, *others: outweighing(
            weights, 1, *others
        ),
        "a layer with a window keeps no more than its window": lambda weights, batch, token, full, windowed, window: (
            outweighing(weights, batch, token, full + windowed, 0, window)
        ),
        "the layers with a window weigh something, too": lambda weights, batch, token, full, windowed, window: (
            outweighing(weights, batch, token, full, 0, window) if full else None
        ),
        "a text that is shorter than the window doesn't fill it": (
            lambda weights, batch, token, full, windowed, window: max(
                1, (weights - batch * token * windowed * window) // (batch * token * max(full, 1)) + 1
            )
        ),
        "where no layer grows, no text is long enough: return None": lambda *sizes: (
            math.inf if outweighing(*sizes) is None else outweighing(*sizes)
        ),
    },
)
