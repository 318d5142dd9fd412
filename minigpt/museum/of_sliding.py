"""Bugs of the sliding window."""

import functools

import torch

from minigpt.attention import NEVER
from minigpt.cache import SlidingWindowCache
from minigpt.museum.bugs import bug


@bug("sliding_window", "the ring is one slot short")
class ShortRing(SlidingWindowCache):
    @functools.wraps(SlidingWindowCache.__init__)  # type: ignore[misc]  # make_cache looks at it
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rings = [max(1, ring - 1) for ring in self.rings]
        self.reset()


@bug("sliding_window", "a sink is seen only by the token that decodes")
class SinksForOne(SlidingWindowCache):
    def store(self, k, v, layer):
        keys, values, held = super().store(k, v, layer)
        return keys, values, held if self.text.new == 1 else held.masked_fill(held < self.config.sinks, NEVER)


@bug("sliding_window", "a sink stands in the ring as well")
class SinksTwice(SlidingWindowCache):
    def store(self, k, v, layer):
        kept = super().store(k, v, layer)
        at = self.config.sinks + self.text.arrivals % self.rings[layer]
        for shelf, new in zip(kept, (k, v, self.positions[:, -self.text.new :]), strict=True):
            shelf[:, at] = new
        return kept


@bug("sliding_window", "what was taken back is still reported")
class ReportsCropped(SlidingWindowCache):
    def cropped(self, left):
        return super().cropped(left) | {"kv": self.kv}


@bug("sliding_window", "a crop forgets what the ring has overwritten")
class ForgetsTheOldest(SlidingWindowCache):
    def store(self, k, v, layer):
        kept = super().store(k, v, layer)
        self.oldest[layer] = 0
        return kept


@bug("sliding_window", "from the second turn on, the ring writes one slot too early")
class SecondTurn(SlidingWindowCache):
    def place(self, layer):
        rows, at = super().place(layer)
        ring = self.rings[layer]
        if not ring or self.length <= 2 * ring or isinstance(at, torch.Tensor):
            return rows, at
        return rows, slice(max(at.start - 1, 0), max(at.start - 1, 0) + self.text.new)
