"""Bugs of the quantized cache."""

from minigpt.cache import QuantizedCache
from minigpt.museum.bugs import bug


@bug("quantized", "select forgets the rounded keys")
class SelectsExact(QuantizedCache):
    def selected(self, rows):
        new = super().selected(rows)
        kv = [
            (k, v, old[2][rows.sort().values], values)
            for (k, v, _, values), old in zip(new["kv"], self.kv, strict=True)
        ]
        return new | {"kv": kv}


@bug("quantized", "a crop forgets the rounded part")
class CropsExact(QuantizedCache):
    def cropped(self, left):
        return super().cropped(left) | {"kv": self.kv}


@bug("quantized", "the chunk is rounded before it attends")
class RoundsTheNewest(QuantizedCache):
    def store(self, k, v, layer):
        k, v = (
            codec.read(codec.write(x)) if x.shape[1] % codec.tokens == 0 else x
            for codec, x in zip(self.codecs, (k, v), strict=True)
        )
        return super().store(k, v, layer)
