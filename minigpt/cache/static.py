"""Preallocate: all slots are there from the start, keep their addresses, and are always read; no more are taken."""

import itertools

from jaxtyping import Int
from torch import Tensor

from minigpt.cache import in_place
from minigpt.cache.base import Cache
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype


class StaticCache(Cache):
    """max_cache_len slots, allocated once (None: the model's context). More tokens raise CacheFull.

    Attention is given all slots at every step, at NEVER where they are empty, and new tokens are written by an index
    that is a tensor. So no shape ever changes, nor the address of a key or a value: what a compiled graph wants.
    """

    capacity: int
    slot_positions: Int[Tensor, "B slots"]
    at: Int[Tensor, " T"]  # where the newest tokens go
    moves = ""

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        max_cache_len: int | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        self.capacity = config.context if max_cache_len is None else whole_number("max_cache_len", max_cache_len, 1)
        super().__init__(config, batch_size, dtype, device)

    def slots(self, layer):
        return self.capacity

    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        self.become(slot_positions=self.text.in_slots(self.capacity), at=self.text.arrivals)

    def place(self, layer):
        return slice(None), self.at

    def store(self, k, v, layer):
        at, (keys, values) = self.place(layer), self.tensors(layer)
        keys[at], values[at] = k, v
        read = self.slot_positions.shape[1]  # all, except in a graph
        return keys[:, :read], values[:, :read], self.slot_positions

    def in_graph(self, typical):
        """Only the slots in use are read. One alone would be a graph of its own."""
        used = self.text.in_slots(self.capacity if typical else min(self.capacity, max(2, self.length)))
        return {"slot_positions": used}, [used, *itertools.chain(*self.kv)]

    def hides_nothing(self, layer, slots):
        return False  # not even when all slots are full: every step is like every other

    crop, reset = in_place.crop, in_place.reset

    def wipe(self, left):
        for shelf in itertools.chain(*self.kv):
            shelf[:, left:].zero_()
