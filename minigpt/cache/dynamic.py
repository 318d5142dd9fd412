"""Remember everything, and grow: the ten-line form, then one that copies little."""

import torch

from minigpt.cache.book import grow
from minigpt.cache.shelves import Cache


class ConcatCache(Cache):
    """The ten-line form: each step copies all that is kept into a tensor one token longer, O(T) a token."""

    def make_room(self, slots):
        pass  # torch.cat makes it

    def store(self, k, v, layer):
        old = self.length - self.chunk
        self.keys[layer] = torch.cat([self.keys[layer][:, :old], k], dim=1)
        self.values[layer] = torch.cat([self.values[layer][:, :old], v], dim=1)
        return self.keys[layer], self.values[layer]


class DynamicCache(Cache):
    """Grows by doubling: a step writes its tokens in place, and all the copying is O(T) in total."""

    def make_room(self, slots):
        if slots <= self.keys[0].shape[1]:
            return
        self.keys = [grow(shelf, self.length, slots) for shelf in self.keys]
        self.values = [grow(shelf, self.length, slots) for shelf in self.values]

    def store(self, k, v, layer):
        keys, values = self.keys[layer], self.values[layer]
        keys[:, self.length - self.chunk : self.length] = k
        values[:, self.length - self.chunk : self.length] = v
        return keys[:, : self.length], values[:, : self.length]
