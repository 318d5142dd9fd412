"""How good a real model stays under each setting: how well it predicts a play, and what it remembers of it.

Each passage is read once under each setting, by which the settings are compared in pairs.
"""

import math
from dataclasses import dataclass

import torch

from minigpt.measure.forms.generation import kv_cost_of_decode
from minigpt.measure.quality.interval import bootstrap, clustered
from minigpt.measure.quality.settings import Setting
from minigpt.recall.plain_english import REST
from minigpt.recall.reading import Reading

KEPT = torch.bfloat16  # in the caches whose bytes are counted


@dataclass(frozen=True)
class RealScore:
    """nbytes: that the cache holds at the end of a passage, in 16 bits a number, fed one token at a time. edges: the
    bins' upper edges, in tokens. readings: one of each passage. exact: those of the exact cache."""

    setting: Setting
    nbytes: int
    edges: list[int]
    readings: list[Reading]
    exact: list[Reading]

    @property
    def bits_per_byte(self) -> float:
        return self.sum("bits") / self.sum("nbytes")

    @property
    def more_bits(self) -> float:
        """A byte, than the exact cache."""
        return math.fsum(self.differences) / self.sum("nbytes")

    @property
    def more_bits_interval(self) -> tuple[float, float]:
        """95%, had the prose had other segments."""
        return bootstrap(self.differences, [each for reading in self.readings for each in reading.nbytes])

    @property
    def differences(self) -> list[float]:
        """Of each segment, in bits."""
        pairs = zip(self.readings, self.exact, strict=True)
        return [a - b for mine, exact in pairs for a, b in zip(mine.bits, exact.bits, strict=True)]

    @property
    def recall(self) -> float:
        """The share of all tokens that are predicted in lines begun again."""
        return share_of(self.lines)

    @property
    def recall_interval(self) -> tuple[float, float]:
        """95%, had other lines been begun."""
        return clustered(self.lines, REST)

    @property
    def by_distance(self) -> dict[int, float]:
        """The share predicted in each bin of distance, by its upper edge."""
        return {edge: share_of(lines) for edge, lines in zip(self.edges, self.right, strict=True)}

    @property
    def intervals_by_distance(self) -> dict[int, tuple[float, float]]:
        return {edge: clustered(lines, REST) for edge, lines in zip(self.edges, self.right, strict=True)}

    @property
    def lines(self) -> list[int]:
        """Of each line, how many of REST tokens are predicted."""
        return [each for lines in self.right for each in lines]

    @property
    def right(self) -> list[list[int]]:
        """The same in each bin."""
        return in_bins([reading.right for reading in self.readings])

    def sum(self, name: str) -> float:
        return math.fsum(each for reading in self.readings for each in getattr(reading, name))


def in_bins(right: list[list[list[int]]]) -> list[list[int]]:
    """Of all passages together. right: of each, as a Reading has it."""
    return [[each for lines in passages for each in lines] for passages in zip(*right, strict=True)]


def share_of(lines: list[int]) -> float:
    return sum(lines) / (REST * len(lines))


def held_at_end(model, setting: Setting, tokens: int) -> int:
    """Bytes of keys and values that a cache of one row holds after so many, by its closed form; with one token more,
    which rounds the last of them."""
    sizes = {"chunk": 1} if setting.cache == "sliding_window" else {}
    config, options = setting.serve(model).config, sizes | setting.options
    return kv_cost_of_decode(setting.cache, config, tokens + 1, itemsize=KEPT.itemsize, **options).nbytes
