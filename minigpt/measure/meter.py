"""What a run really computed: a cache that wraps a cache, with the same verbs, and counts what passes."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import KVCache
from minigpt.config import GPTConfig


class Meter(KVCache):
    """Counts how often the keys and values of each position were computed, in each layer, over all rows of a batch."""

    def __init__(self, cache: KVCache, config: GPTConfig):
        self.cache = cache
        self.times: Int[Tensor, "L P"] = torch.zeros(config.n_layer, config.context, dtype=torch.int64)

    length = property(lambda self: self.cache.length)
    next_position = property(lambda self: self.cache.next_position)
    capacity = property(lambda self: self.cache.capacity)
    nbytes = property(lambda self: self.cache.nbytes)
    keeps = property(lambda self: self.cache.keeps)
    largest_chunk = property(lambda self: self.cache.largest_chunk)
    needs_window = property(lambda self: self.cache.needs_window)
    lossy = property(lambda self: self.cache.lossy)

    def serve(self, model, batch_size):
        self.cache.serve(model, batch_size)

    def admit(self, positions, ids=None):
        k_pos = self.cache.admit(positions, ids)
        real = positions[positions != NEVER].cpu()
        self.admitted = torch.bincount(real, minlength=self.times.shape[1])
        return k_pos

    def update(self, k, v, layer):
        self.times[layer] += self.admitted
        return self.cache.update(k, v, layer)

    def crop(self, count):
        self.cache.crop(count)

    def select(self, rows):
        self.cache.select(rows)

    def reset(self):
        self.cache.reset()
