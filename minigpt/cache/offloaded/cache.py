"""A cache of which two layers are here, the one at work and the next."""

import os
from pathlib import Path

import torch
from torch import Tensor

from minigpt.cache.base import Cache
from minigpt.cache.dynamic import DynamicCache
from minigpt.cache.errors import CacheError
from minigpt.cache.offloaded.files import LayerFiles
from minigpt.cache.offloaded.pinned import PinnedLayers
from minigpt.cache.offloaded.storage import Storage, storage_errors
from minigpt.cache.state import alone, lasting
from minigpt.cache.static import StaticCache
from minigpt.config import Config
from minigpt.places import Device, Dtype


class Offloaded(Cache):
    """Wraps a kind of cache that writes into its tensors, and lends it those of the layer at work. In `kv`, keys and
    values are only shapes. `class OffloadedRing(Offloaded, SlidingWindowCache)`, where every layer has a window.

    On CUDA the layers wait in pinned memory, else in files in `folder` (None: the system's temporary one; where that
    is itself memory, name one on a disk). Nothing is left there at the end. Each new row is written once.
    What can't be read or written raises CacheError, and the whole chunk is taken back.
    (Sheng et al., arXiv 2303.06865, section 4, go on to a third kind of memory.)
    """

    storage: Storage
    moves = "has its layers come and go between two memories"

    def __init__(self, config: Config, batch_size: int = 1, *, folder: str | Path | None, **options):
        self.folder, self.process = None if folder is None else Path(folder).resolve(), os.getpid()
        super().__init__(config, batch_size, **options)

    moved = property(lambda self: self.storage.moved)
    nbytes = property(lambda self: sum(self.layer_nbytes(layer) for layer in range(len(self.kv))))
    resident_nbytes = property(lambda self: sum(self.layer_nbytes(layer) for layer in self.storage.near))

    def layer_nbytes(self, layer: int) -> int:
        keys, values, *_ = self.kv[layer]
        return keys.nbytes + values.nbytes

    def here(self, layer):
        return [self.storage.near[layer].result()] if layer in self.storage.near else []

    def shelf(self, rows, layer):
        """A shape without numbers."""
        shape = rows, self.slots(layer), self.config.n_kv_head, self.config.head_size
        return torch.empty(shape, dtype=self.dtype, device="meta")

    def tensors(self, layer):
        with storage_errors():
            buffer = self.storage.fetch(layer)  # (slots, 2, B, K, D)
        return *buffer.transpose(0, 2).unbind(1), *self.kv[layer][2:]  # (B, slots, K, D) twice

    def store(self, k, v, layer):
        if layer == 0:  # make room in all layers, since the next is asked for before its turn
            self.runs = [runs(self.place(each)[1]) for each in range(self.config.n_layer)]
            self.storage.slots = [keys.shape[1] for keys, *_ in self.kv]
        try:
            kept = super().store(k, v, layer)
            with storage_errors():
                self.storage.prefetch((layer + 1) % self.config.n_layer)
                for first, end in self.runs[layer]:
                    self.storage.put(layer, first, self.storage.near[layer].result()[first:end])
        except CacheError:
            self.storage.near = {}
            self.take_back()
            raise
        return kept

    def wipe(self, left):
        pass  # what is taken back stays where it was written

    @alone
    @lasting
    def reset(self):
        """In a new storage: no old numbers are left."""
        new = self.empty(self.batch_size)
        new["storage"].moved = self.moved
        self.become(**new)

    def selected(self, rows):
        with storage_errors():
            return super().selected(rows) | {"storage": self.storage.copy(rows)}

    def empty(self, rows):
        slots = [self.slots(layer) for layer in range(self.config.n_layer)]
        shape = 2, rows, self.config.n_kv_head, self.config.head_size
        kind: type[Storage] = PinnedLayers if self.device.type == "cuda" else LayerFiles
        with storage_errors():
            storage = kind(slots, shape, self.dtype, self.device, self.folder)
        return super().empty(rows) | {"storage": storage}


def runs(slots: slice | Tensor) -> list[tuple[int, int]]:
    """The first and the end of each run of slots that lie side by side."""
    if isinstance(slots, slice):
        return [(slots.start, slots.stop)]
    numbers = {*slots.flatten().tolist()}
    firsts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number + 1 for number in numbers if number + 1 not in numbers)
    return list(zip(firsts, ends, strict=True))


class OffloadedCache(Offloaded, DynamicCache):
    """DynamicCache, of which only the layer at work and the next are here: the others wait in `folder`."""

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        folder: str | Path | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        super().__init__(config, batch_size, folder=folder, dtype=dtype, device=device)


class OffloadedStaticCache(Offloaded, StaticCache):
    """StaticCache, of which only the layer at work and the next are here: the others wait in `folder`."""

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        max_cache_len: int | None = None,
        folder: str | Path | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        super().__init__(config, batch_size, folder=folder, max_cache_len=max_cache_len, dtype=dtype, device=device)

    def wipe(self, left):
        self.storage.forget(left)
