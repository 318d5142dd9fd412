"""Preallocate: every slot is there from the start and stays at its address; what doesn't fit is refused."""

from minigpt.cache.base import CacheFull
from minigpt.cache.shelves import Cache
from minigpt.config import GPTConfig


class StaticCache(Cache):
    """max_cache_len slots, allocated once (None: the model's context). More tokens raise CacheFull."""

    def __init__(
        self, config: GPTConfig, batch_size: int = 1, max_cache_len: int | None = None, dtype=None, device=None
    ):
        self.capacity = config.context if max_cache_len is None else max_cache_len
        if not isinstance(self.capacity, int) or self.capacity < 1:
            raise ValueError(f"max_cache_len must be a whole number, 1 or more, got {max_cache_len!r}")
        self.slots = self.capacity
        super().__init__(config, batch_size, dtype, device)

    def make_room(self, slots):
        if slots > self.capacity:
            raise CacheFull(f"needs {slots} slots, has {self.capacity}: raise max_cache_len")

    def store(self, k, v, layer):
        keys, values = self.keys[layer], self.values[layer]
        keys[:, self.length - self.chunk : self.length] = k
        values[:, self.length - self.chunk : self.length] = v
        return keys[:, : self.length], values[:, : self.length]
