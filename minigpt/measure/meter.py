"""What a run really computed: a cache that wraps a cache, and counts the rows that pass. Light, for timed runs."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import KVCache
from minigpt.config import GPTConfig
from minigpt.measure.observer import Observer


class Meter(Observer):
    """Counts how often the keys and values of each position were computed, in each layer, over all rows of a batch."""

    def __init__(self, cache: KVCache, config: GPTConfig):
        super().__init__(cache)
        self.times: Int[Tensor, "L P"] = torch.zeros(config.n_layer, config.context, dtype=torch.int64)

    def admit(self, positions, ids=None):
        k_pos = super().admit(positions, ids)
        real = positions[positions != NEVER].cpu()
        self.admitted = torch.bincount(real, minlength=self.times.shape[1])
        return k_pos

    def update(self, k, v, layer):
        self.times[layer] += self.admitted
        return super().update(k, v, layer)
