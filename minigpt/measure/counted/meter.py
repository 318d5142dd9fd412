"""A cache that wraps a cache and counts the K/V rows that pass through it. Light enough for timed runs."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import KVCache
from minigpt.config import Config
from minigpt.measure.counted.observer import Observer


class Meter(Observer):
    """Counts how often the keys and values of each position were computed, in each layer, over all rows of a batch.

    tokens: of the text, where it may be longer than the context (streaming).
    """

    def __init__(self, cache: KVCache, config: Config, tokens: int = 0):
        super().__init__(cache)
        self.fed: list[int] = []  # tokens of each pass
        self.times: Int[Tensor, "L P"] = torch.zeros(config.n_layer, max(config.context, tokens), dtype=torch.int64)

    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        self.fed.append(self.newest.shape[1])
        real = self.newest[self.newest != NEVER].cpu()
        self.admitted = torch.bincount(real, minlength=self.times.shape[1])

    def update(self, k, v, layer):
        self.times[layer] += self.admitted
        return super().update(k, v, layer)
