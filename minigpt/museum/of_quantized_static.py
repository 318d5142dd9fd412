"""Bugs of the quantized cache with fixed shapes."""

import torch

from minigpt.cache import QuantizedStaticCache
from minigpt.museum.bugs import bug


@bug("quantized_static", "a token that comes overwrites one that is still exact")
class ShortExactRing(QuantizedStaticCache):
    def slots(self, layer):
        return max(1, super().slots(layer) - 1)


@bug("quantized_static", "what was rounded is read from the ring")
class ReadsTheRing(QuantizedStaticCache):
    def tables(self, slots):
        new = super().tables(slots)
        return new | {"exact": torch.arange(slots).expand(2, -1) >= min(self.rounded)}


@bug("quantized_static", "the last group that was rounded is rounded again when its tokens are long gone")
class RoundsAgain(QuantizedStaticCache):
    def round(self):
        before = self.rounded
        self.become(rounded=tuple(max(0, n - codec.tokens) for n, codec in zip(before, self.codecs, strict=True)))
        super().round()


@bug("quantized_static", "only the first layer is rounded")
class RoundsOneLayer(QuantizedStaticCache):
    def leave(self, which, tokens):
        kept = [[each.clone() for each in layer] for layer in self.kv[1:]]
        super().leave(which, tokens)
        for layer, old in zip(self.kv[1:], kept, strict=True):
            for plane, before in zip(layer, old, strict=True):
                plane.copy_(before)


@bug("quantized_static", "a crop leaves what it took back rounded")
class CropsNothingRounded(QuantizedStaticCache):
    def cropped(self, left):
        return super().cropped(left) | {"rounded": self.rounded}
