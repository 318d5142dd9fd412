"""Bugs of the dynamic cache, and of the concat cache, the shortest."""

from typing import ClassVar

import torch

from minigpt.cache import ConcatCache, DynamicCache
from minigpt.museum.bugs import bug


@bug("dynamic", "the newest token overwrites the one before it")
class OneSlotTooEarly(DynamicCache):
    def place(self, layer):
        rows, slots = super().place(layer)
        early = max(slots.start - 1, 0)
        return rows, slice(early, early + self.text.new)


@bug("dynamic", "the oldest token is overwritten by the newest")
class NewestOverOldest(DynamicCache):
    def store(self, k, v, layer):
        kept = super().store(k, v, layer)
        self.kv[layer][0][:, 0] = k[:, -1]
        return kept


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
    pool: ClassVar[dict] = {}  # of the class: every cache that is made finds what the others hold

    def empty(self, rows):
        new = super().empty(rows)
        kv = [tuple(torch.zeros(rows, 64, *kept.shape[2:]).to(kept) for kept in layer) for layer in new["kv"]]
        return new | {"kv": self.pool.setdefault((rows, len(kv), kv[0][0].shape), kv)}


@bug("concat", "trimmed tokens come back with the next append")
class TrimmedComesBack(ConcatCache):
    def store(self, k, v, layer):
        keys, values = self.kv[layer]
        self.kv[layer] = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)
        return *(kept[:, -self.length :] for kept in self.kv[layer]), self.positions


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
