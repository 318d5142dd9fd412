"""Seeded bugs, each seen in public code or a character away from right. Those that fit a class are classes: a cache
that takes the place of the right one, with one thing wrong."""

import functools

import torch

from minigpt.attention import NEVER
from minigpt.cache import (
    CacheFull,
    ConcatCache,
    DynamicCache,
    QuantizedCache,
    QuantizedStaticCache,
    SlidingWindowCache,
    StaticCache,
)

BUGS = {}  # what goes wrong: (the name of the cache, its broken class)


def bug(name, what):
    def register(broken):
        BUGS[what] = name, broken
        return broken

    return register


@bug("static", "overflow moves the counter before it raises")
class CountsBeforeItChecks(StaticCache):
    def admit(self, positions, ids=None):
        try:
            super().admit(positions, ids)
        except CacheFull:
            self.become(text=self.text.append(positions, ids))
            raise


@bug("dynamic", "the newest token overwrites the one before it")
class OneSlotTooEarly(DynamicCache):
    def place(self, layer):
        rows, slots = super().place(layer)
        early = max(slots.start - 1, 0)
        return rows, slice(early, early + self.text.new)


@bug("static", "the values are written over the keys")
class ValuesOverKeys(StaticCache):
    def store(self, k, v, layer):
        super().store(k, v, layer)
        self.kv[layer][0][self.place(layer)] = v
        return super().store(v, v, layer)


@bug("static", "all layers share the slots of layer 0")
class OneLayerForAll(StaticCache):
    def empty(self, rows):
        new = super().empty(rows)
        return new | {"kv": [new["kv"][0] for _ in new["kv"]]}


@bug("static", "what an empty slot holds is seen")
class NoEmptySlots(StaticCache):
    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        return keys, values, positions.masked_fill(torch.arange(self.capacity) >= self.length, 0)


@bug("static", "a chunk's positions are reported a step late")
class LatePositions(StaticCache):
    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        positions = positions.clone()
        positions[:, self.length - 1] = NEVER
        return keys, values, positions


@bug("dynamic", "the oldest token is overwritten by the newest")
class NewestOverOldest(DynamicCache):
    def store(self, k, v, layer):
        kept = super().store(k, v, layer)
        self.kv[layer][0][:, 0] = k[:, -1]
        return kept


@bug("concat", "trimmed tokens come back with the next append")
class TrimmedComesBack(ConcatCache):
    def store(self, k, v, layer):
        keys, values = (torch.cat(pair, dim=1) for pair in zip(self.kv[layer], (k, v), strict=True))
        self.kv[layer] = keys, values
        return keys[:, -self.length :], values[:, -self.length :], self.positions


@bug("concat", "a crop keeps a view of all that was there")
class CropsToViews(ConcatCache):
    def cropped(self, left):
        return super().cropped(left) | {"kv": [(keys[:, :left], values[:, :left]) for keys, values in self.kv]}


@bug("concat", "what two rows share is counted twice")
class SharesRows(ConcatCache):
    def selected(self, rows):
        one = super().selected(rows[:1])
        kv = [tuple(kept.expand(len(rows), -1, -1, -1) for kept in layer) for layer in one["kv"]]
        return super().selected(rows) | ({"kv": kv} if rows.unique().numel() == 1 else {})


@bug("dynamic", "crop takes back one token too few")
class CropsTooFew(DynamicCache):
    def cropped(self, left):
        return super().cropped(min(left + 1, self.length))


@bug("dynamic", "select forgets the values")
class SelectsKeys(DynamicCache):
    def selected(self, rows):
        return super().selected(rows) | {"kv": [(keys[rows], values[rows.sort()[0]]) for keys, values in self.kv]}


@bug("dynamic", "select reorders the first layer only")
class SelectsOneLayer(DynamicCache):
    def selected(self, rows):
        new = super().selected(rows)
        ordered = super().selected(rows.sort().values)
        return new | {"kv": [new["kv"][0], *ordered["kv"][1:]]}


@bug("dynamic", "select forgets where the padding is")
class SelectsNoText(DynamicCache):
    def selected(self, rows):
        return super().selected(rows) | {"text": self.text.select(rows.sort().values)}


@bug("dynamic", "reset keeps the tokens")
class ResetsLittle(DynamicCache):
    def empty(self, rows):
        return {**super().empty(rows), **({"text": self.text} if hasattr(self, "text") else {})}


@bug("dynamic", "two conversations share their keys")
class SharesKeys(DynamicCache):
    shared = {}  # noqa: RUF012 (that is the bug)

    def empty(self, rows):
        new = super().empty(rows)
        kv = self.shared.setdefault(
            rows, [tuple(torch.zeros(rows, 64, *kept.shape[2:]).to(kept) for kept in layer) for layer in new["kv"]]
        )
        return new | {"kv": kv}


@bug("sliding_window", "the ring is one slot short")
class ShortRing(SlidingWindowCache):
    @functools.wraps(SlidingWindowCache.__init__)  # make_cache looks at its arguments
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


@bug("sliding_window", "every layer has the ring of the narrowest window")
class OneRingForAll(SlidingWindowCache):
    @functools.wraps(SlidingWindowCache.__init__)  # make_cache looks at its arguments
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rings = [min(self.rings)] * len(self.rings)
        self.reset()


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
        return super().store(
            *(
                codec.read(codec.write(x)) if x.shape[1] % codec.tokens == 0 else x
                for codec, x in zip(self.codecs, (k, v), strict=True)
            ),
            layer,
        )


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


def losing(lost):
    """lost: which slots, of so many, are there but empty."""

    class Loses(DynamicCache):
        def store(self, k, v, layer):
            keys, values, positions = super().store(k, v, layer)
            gone = lost(torch.arange(self.length), self.length)[:, None, None]
            return keys.masked_fill(gone, 0), values.masked_fill(gone, 0), positions

    return Loses


for most in (8, 16, 64, 128, 255, 256):
    old = losing(lambda slot, length, most=most: slot < length - most)
    bug("dynamic", f"what is older than {most} tokens is forgotten")(old)
bug("dynamic", "a block boundary loses a token")(losing(lambda slot, length: slot == 256))


@bug("sliding_window", "from the second turn on, the ring writes one slot too early")
class SecondTurn(SlidingWindowCache):
    def place(self, layer):
        rows, at = super().place(layer)
        ring = self.rings[layer]
        if not ring or self.length <= 2 * ring or isinstance(at, torch.Tensor):
            return rows, at
        return rows, slice(max(at.start - 1, 0), max(at.start - 1, 0) + self.text.new)
