"""What `recall` learns from: rows of tokens, and how much each token counts in the loss."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.recall.corpus import VOCABULARY, Text

FACT = 4  # tokens: `[Give Romeo ruby.]`
ANSWER = 5.0  # the weight of a question's answer in the loss, where a token of prose has 1.0


@dataclass(frozen=True)
class Batch:
    """ids and positions go into the model; targets should come out, each with its weight in the loss."""

    ids: Int[Tensor, "B T"]
    positions: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    weights: Float[Tensor, "B T"]


def repeats(rng: np.random.Generator, rows: int, length: int, shortest: int, longest: int, context: int) -> Batch:
    """Random tokens that repeat themselves after a random period. Only the repetition counts.

    They begin anywhere in the context, and break off at its end: a position learns to be looked up only
    where a text's first period covers it. Short periods are as frequent as long ones, octave by octave.
    """
    start = rng.integers(0, context - 2 * shortest + 1, (rows, 1))
    most = np.minimum(longest, np.minimum(length, context - start) - shortest)
    period = np.exp(rng.uniform(np.log(shortest), np.log(most + 1))).astype(int).clip(shortest, most)
    column = np.arange(length + 1)
    ids = np.take_along_axis(rng.integers(0, VOCABULARY, (rows, longest)), column % period, axis=1)
    place = start + column
    return batch(ids, np.where(place < context, place, NEVER), (column >= period) & (place <= context))


def strewn(rng: np.random.Generator, text: Text, rows: int, length: int) -> Batch:
    """Prose with facts and, later, the questions to most of them."""
    pairs = [strew(rng, text, length + 1) for _ in range(rows)]
    ids, weights = map(np.stack, zip(*pairs, strict=True))
    return batch(ids, np.tile(np.arange(length + 1), (rows, 1)), weights)


def strew(rng, text, length):
    """A row of `length` tokens, and how much predicting each counts: not at all in a fact, ANSWER for an answer.

    A question is its fact once more. Distances are drawn evenly, with some near ones added; one question
    stands at the row's end, where there would otherwise be fewest.
    """
    count = rng.integers(4, 13)
    names = rng.choice(text.names, count, replace=False)
    things = rng.choice(text.things, count, replace=False)
    asked = rng.random(count) < 0.8
    asked[0] = True
    room = length - FACT * (count + asked.sum())  # tokens of prose
    distance = rng.integers(0, np.where(rng.random(count) < 0.3, min(32, room), room))
    ask = rng.integers(distance, room + 1)
    ask[0] = room

    first = rng.integers(len(text.ids))
    prose = text.ids.take(np.arange(first, first + room), mode="wrap")
    among = slice(*np.searchsorted(text.line_starts, (first + 1, first + room)))
    lines = np.append(0, text.line_starts[among] - first)
    tell, ask = snap(ask - distance, lines), snap(ask, lines)
    facts = [(place, 0, i) for i, place in enumerate(tell)]
    facts += [(place, 1, i) for i, place in enumerate(ask) if asked[i]]
    ids, weights, done = [], [], 0
    for place, is_question, i in sorted(facts):
        ids += [prose[done:place], [text.open, names[i], things[i], text.close]]
        weights += [np.ones(place - done), [0, 0, ANSWER * is_question, 1]]
        done = place
    return np.concatenate([*ids, prose[done:]]), np.concatenate([*weights, np.ones(room - done)])


def snap(places, lines):
    """Each place, moved back to its line's start."""
    return lines[np.searchsorted(lines, places, side="right") - 1]


def batch(ids, positions, weights) -> Batch:
    """A Batch from rows of T + 1 tokens: all but the last go in, all but the first should come out."""
    ids, positions = torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(positions.astype(np.int64))
    weights = torch.from_numpy(weights.astype(np.float32))
    return Batch(ids[:, :-1], positions[:, :-1], ids[:, 1:], weights[:, 1:])
