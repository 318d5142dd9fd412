"""Memory questions: held-out prose with facts strewn through it, ending in a question about one of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.recall.corpus import Text, held_out
from minigpt.recall.lessons import FACT

BINS = [(edge - 49, edge) for edge in range(50, 401, 50)]  # tokens from a fact's value to the answer
FACTS = (4, 8)  # how many facts are in view: the asked one, and 3 to 7 others
QUESTION = 2  # tokens: `[Give Romeo`
LENGTH = 504  # tokens of a prompt, its question among them


@dataclass(frozen=True)
class Questions:
    """prompts: (N, T), the last QUESTION tokens ask. answers: (N,), the token that should come next.

    distances: (N,) tokens from the asked fact's value to the answer. facts: (N,) how many facts are in view.
    """

    prompts: Int[Tensor, "N T"]
    answers: Int[Tensor, " N"]
    distances: Int[Tensor, " N"]
    facts: Int[Tensor, " N"]

    @property
    def chance(self) -> float:
        """The share that a guess among the values in view gets right."""
        return float((1 / self.facts).mean())


def questions(
    seed: int, distance_bin: tuple[int, int], count: int = 200, text: Text | None = None, length: int = LENGTH
) -> Questions:
    """`count` prompts of `length` tokens, whose answer comes low to high tokens after the value that it repeats.

    All names and values of a prompt are different; the fact asked for is the first, the second, ... the last told
    equally often, so that its place gives nothing away. text: the prose (None: the held-out play).
    """
    text = held_out() if text is None else text
    rng = np.random.default_rng((seed, *distance_bin))
    starts = text.line_starts
    made = [make(rng, text, starts, distance_bin, length) for _ in range(count)]
    prompts, answers, distances, facts = map(np.array, zip(*made, strict=True))
    return Questions(*(torch.from_numpy(part.astype(np.int64)) for part in (prompts, answers, distances, facts)))


def make(rng, text, starts, distance_bin, length):
    """A prompt, its answer, the distance between the two values, and the number of facts."""
    low, high = distance_bin
    count = int(rng.integers(FACTS[0], FACTS[1] + 1))
    rank = int(rng.integers(count))  # of the asked fact, among all facts in the order of telling
    later = count - 1 - rank
    no_prose = FACT + FACT * later  # the distance with no prose between: `.]`, the later facts, `[Give Romeo`
    low = max(low, no_prose)
    if low > high or high + FACT * (rank + 1) > length:
        raise ValueError(f"distances {distance_bin} leave no room for {count} facts in {length} tokens")
    names = rng.choice(text.names, count, replace=False)
    things = rng.choice(text.things, count, replace=False)

    # Places in the prose: told at a line's start, asked at the one that comes nearest to the distance drawn.
    distance = int(rng.integers(low, high + 1))
    tell = int(rng.choice(starts))
    ask = starts[(starts >= tell + low - no_prose) & (starts <= tell + high - no_prose)]
    ask = int(ask[np.abs(ask - tell - distance + no_prose).argmin()]) if len(ask) else tell + distance - no_prose
    first = ask - (length - QUESTION - FACT * count)
    before, after = starts[(starts > first) & (starts <= tell)], starts[(starts >= tell) & (starts <= ask)]
    places = [*np.sort(pick(rng, before, first, tell, rank)), tell, *np.sort(pick(rng, after, tell, ask, later))]

    ids, done = [], first
    for place, name, thing in zip(places, names, things, strict=True):
        ids += [prose(text, done, place), [text.open, name, thing, text.close]]
        done = place
    ids += [prose(text, done, ask), [text.open, names[rank]]]
    return np.concatenate(ids), things[rank], ask - tell + no_prose, count


def pick(rng, lines, first, last, count):
    """Places for `count` facts: line starts where there are any, else anywhere."""
    return rng.choice(lines, count) if len(lines) else rng.integers(first, last + 1, count)


def prose(text, first, last):
    """Tokens first ... last - 1 of the prose, which goes round and round."""
    return text.ids.take(np.arange(first, last), mode="wrap")
