"""Where the layers wait that are not at work, and which of them are here."""

import contextlib
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.cache.errors import CacheError


class Storage:
    """A buffer (slots, 2, B, K, D) for each layer: slot after slot, its keys and its values. So growing is appending.

    shape: of a slot, (2, B, K, D). slots: how many each layer's buffer has. written: how many of these have been
    written; those after are zeros.
    near: the layers that are here or on their way, and how to wait for them: `near[layer].result()`.
    moved: bytes that have come from here so far, and that have gone here. A copy goes on counting.
    """

    def __init__(
        self,
        slots: list[int],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        folder: Path | None,
    ):
        self.shape, self.dtype, self.device, self.folder = shape, dtype, device, folder
        self.slots, self.written = slots, [0] * len(slots)
        self.near: dict[int, Any] = {}
        self.moved = 0, 0

    def read(self, layer: int):
        """Begin to bring a layer here. Its result() waits, and gives a buffer of its own."""
        raise NotImplementedError

    def write(self, layer: int, first: int, rows: Tensor) -> None:
        """Keep rows (n, 2, B, K, D) in the slots from `first` on, and touch no others."""
        raise NotImplementedError

    def fetch(self, layer: int) -> Tensor:
        """The buffer of a layer, once it has come. All others leave, so that there is room for the next; so does this
        one if the layer has grown since."""
        stays = layer in self.near and len(self.near[layer].result()) == self.slots[layer]
        self.near = {layer: self.near[layer]} if stays else {}
        self.prefetch(layer)
        return self.near[layer].result()

    def prefetch(self, layer: int) -> None:
        if layer not in self.near:
            self.near[layer] = self.get(layer)

    def get(self, layer: int):
        """`read`, counted."""
        self.count(up=self.written[layer])
        return self.read(layer)

    def put(self, layer: int, first: int, rows: Tensor) -> None:
        """`write`, counted."""
        self.write(layer, first, rows)
        self.written[layer] = max(self.written[layer], first + len(rows))
        self.count(down=len(rows))

    def forget(self, slot: int) -> None:
        """The numbers in this slot and those after it: they are zeros again."""
        self.near = {}
        self.written = [min(written, slot) for written in self.written]

    def count(self, up: int = 0, down: int = 0) -> None:
        slot = math.prod(self.shape) * self.dtype.itemsize
        self.moved = self.moved[0] + up * slot, self.moved[1] + down * slot

    def copy(self, rows: Int[Tensor, " N"]) -> "Storage":
        """Another storage, holding these rows of the batch. One layer at a time is here for it."""
        self.near = {}
        two, _, *head = self.shape
        other = type(self)(self.slots, (two, len(rows), *head), self.dtype, self.device, self.folder)
        for layer, slots in enumerate(self.written):
            other.put(layer, 0, self.get(layer).result()[:slots, :, rows])
        other.moved = self.moved[0], self.moved[1] + other.moved[1]
        return other

    def __deepcopy__(self, memo):
        """Reached by the cache's own, which lets no other thread in."""
        with storage_errors():
            return self.copy(torch.arange(self.shape[1], device=self.device))


@contextlib.contextmanager
def storage_errors():
    try:
        yield
    except (OSError, EOFError) as error:
        raise CacheError(f"keys and values can't be kept or read: {error}; nothing has changed") from error
