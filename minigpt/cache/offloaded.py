"""One step down the memory ladder: the layer at work and the next are here, the others wait where room is cheap."""

import contextlib
from pathlib import Path

import torch
import torch.nn.functional as F

from minigpt.cache.base import CacheError
from minigpt.cache.dynamic import DynamicCache
from minigpt.cache.files import Folder, LayerFiles
from minigpt.cache.pinned import PinnedLayers
from minigpt.cache.shelves import Cache
from minigpt.cache.static import StaticCache
from minigpt.cache.storage import storage_errors
from minigpt.config import GPTConfig


class Offloaded(Cache):
    """Wraps a kind of cache that writes its shelves in place, and lends it the shelves of one layer at a time; those
    of the others are sizes without numbers. `class OffloadedRing(Offloaded, SlidingWindowCache)`.

    On CUDA the layers wait in pinned memory, else in files in `folder` (None: the system's temporary one; where that
    is itself memory, name one on a disk). Nothing is left there at the end. Each new row is written once.
    What can't be read or written raises CacheError, and the whole chunk is taken back.
    (Sheng et al., arXiv 2303.06865, section 4, walk the whole ladder.)
    """

    def __init__(self, config: GPTConfig, batch_size: int = 1, *, folder: str | Path | None, device=None, **options):
        device = torch.empty(0, device=device).device
        if device.type != "cuda":
            with storage_errors():
                self.storage = LayerFiles(config.n_layer, Folder(folder), device)
        elif folder is None:
            self.storage = PinnedLayers(config.n_layer, device)
        else:
            raise ValueError(f"on {device} the layers wait in pinned memory: leave out the folder {str(folder)!r}")
        super().__init__(config, batch_size, device=device, **options)

    keys = property(lambda self: self.storage.keys, lambda self, shelves: setattr(self.storage, "keys", shelves))
    values = property(lambda self: self.storage.values, lambda self, shelves: setattr(self.storage, "values", shelves))

    nbytes = property(lambda self: sum(shelf.nbytes for shelf in self.keys + self.values))
    resident_nbytes = property(lambda self: len(self.storage.near) * (self.keys[0].nbytes + self.values[0].nbytes))
    moved = property(lambda self: self.storage.moved)

    def here(self, layer):
        return [self.storage.near[layer].result()] if layer in self.storage.near else []

    def zeros(self, slots, *shape, dtype):
        if not shape:  # the book's
            return super().zeros(slots, dtype=dtype)
        return torch.empty(self.batch_size, slots, *shape, dtype=dtype, device="meta")

    def make_room(self, slots):
        with storage_errors():
            self.storage.check()
        before = self.keys
        super().make_room(slots)
        if self.keys is not before:  # they have grown, what is near has not
            self.storage.near.clear()

    def store(self, k, v, layer):
        if layer == 0:
            self.runs = self.runs_of_new_slots()
        try:
            with storage_errors():
                buffer = self.storage.fetch(layer)  # (slots, 2, B, K, D)
                self.storage.prefetch((layer + 1) % self.config.n_layer)
                with self.lent(layer, *buffer.transpose(0, 2).unbind(1)):  # (B, slots, K, D) each
                    k, v = super().store(k, v, layer)
                for first, end in self.runs:
                    self.storage.put(layer, first, buffer[first:end])
        except CacheError:
            self.storage.near.clear()
            self.crop(-self.chunk)
            raise
        return k, v

    def runs_of_new_slots(self) -> list[tuple[int, int]]:
        """The slots of the last chunk, first and end of each run. The wrapped cache shows them, by storing marks."""
        marks = torch.zeros(*self.keys[0].shape[:2], 1, 1, dtype=torch.bool, device=self.device)
        new = marks.new_ones(self.batch_size, self.chunk, 1, 1)
        with self.lent(0, marks, marks):
            super().store(new, new, 0)
        edges = F.pad(marks.any(0).flatten().int(), (1, 1)).diff().nonzero().flatten().tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))

    @contextlib.contextmanager
    def lent(self, layer, keys, values):
        sizes = self.keys[layer], self.values[layer]
        self.keys[layer], self.values[layer] = keys, values
        try:
            yield
        finally:
            self.keys[layer], self.values[layer] = sizes

    def select(self, rows):
        rows = self.check_rows(rows)
        with storage_errors():
            storage = self.storage.copy(rows)
        super().select(rows)
        self.storage = storage

    def reset(self):
        self.storage.clear()
        super().reset()


class OffloadedCache(Offloaded, DynamicCache):
    def __init__(self, config: GPTConfig, batch_size: int = 1, folder=None, dtype=None, device=None):
        super().__init__(config, batch_size, folder=folder, dtype=dtype, device=device)


class OffloadedStaticCache(Offloaded, StaticCache):
    def __init__(
        self, config: GPTConfig, batch_size: int = 1, max_cache_len=None, folder=None, dtype=None, device=None
    ):
        super().__init__(config, batch_size, folder=folder, max_cache_len=max_cache_len, dtype=dtype, device=device)
