"""Bugs of the quantized cache."""

from minigpt.cache import QuantizedCache
from minigpt.museum.bugs import bug


@bug("quantized", "select forgets the rounded keys")
class SelectsExact(QuantizedCache):
    def selected(self, rows):
        kv = [
            (keys[rows], values[rows], key_blocks[rows.sort().values], value_blocks[rows])
            for keys, values, key_blocks, value_blocks in self.kv
        ]
        return {"text": self.text.select(rows), "kv": kv}


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
