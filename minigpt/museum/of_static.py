"""Bugs of the static cache."""

import torch

from minigpt.attention import NEVER
from minigpt.cache import CacheFull, StaticCache
from minigpt.museum.bugs import bug


@bug("static", "overflow moves the counter before it raises")
class CountsBeforeItChecks(StaticCache):
    def admit(self, positions, ids=None):
        try:
            super().admit(positions, ids)
        except CacheFull:
            self.become(text=self.text.append(positions, ids))
            raise


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
