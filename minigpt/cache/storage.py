"""Where the layers wait that are not at work, and which of them are here."""

import contextlib
import math

import torch
from torch import Tensor

from minigpt.cache.base import CacheError


class Storage:
    """A buffer (slots, 2, B, K, D) for each layer: slot after slot, its keys and its values. So growing is appending.

    keys, values: the sizes of each layer's shelves, tensors without numbers (on torch's meta device).
    near: the layers that are here or on their way, and how to wait for them: `near[layer].result()`.
    written: how many slots of each layer have been written; those after are zeros.
    moved: bytes that have come from here so far, and that have gone here. A copy goes on counting.
    """

    def __init__(self, layers: int):
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.near = {}
        self.written = [0] * layers
        self.moved = 0, 0

    def check(self) -> None:
        """Refuse by an OSError, before anything has changed, what would fail later."""

    def read(self, layer: int):
        """Begin to bring a layer here. Its result() waits, and gives a buffer of its own."""
        raise NotImplementedError

    def write(self, layer: int, first: int, rows: Tensor) -> None:
        """Keep rows (n, 2, B, K, D) in the slots from `first` on, and touch no others."""
        raise NotImplementedError

    def another(self) -> "Storage":
        """An empty one of the same kind in the same place."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget everything."""
        self.near.clear()
        self.written = [0] * len(self.written)

    @property
    def shape(self) -> tuple[int, ...]:
        B, slots, K, D = self.keys[0].shape
        return slots, 2, B, K, D

    def fetch(self, layer: int) -> Tensor:
        """The buffer of a layer, once it has come. All others leave, so that there is room for the next."""
        self.near = {at: coming for at, coming in self.near.items() if at == layer}
        self.prefetch(layer)
        return self.near[layer].result()

    def prefetch(self, layer: int) -> None:
        if layer not in self.near:
            self.near[layer] = self.read(layer)
            self.count(up=self.written[layer])

    def put(self, layer: int, first: int, rows: Tensor) -> None:
        self.write(layer, first, rows)
        self.written[layer] = max(self.written[layer], first + len(rows))
        self.count(down=len(rows))

    def count(self, up: int = 0, down: int = 0) -> None:
        slot = math.prod(self.shape[1:]) * self.keys[0].itemsize
        self.moved = self.moved[0] + up * slot, self.moved[1] + down * slot

    def copy(self, rows=...) -> "Storage":
        """Another storage, holding these rows of the batch (all of them). One layer at a time is here for it."""
        self.near.clear()
        other = self.another()
        other.moved = self.moved
        other.keys, other.values = ([shelf[rows] for shelf in shelves] for shelves in (self.keys, self.values))
        for layer, slots in enumerate(self.written):
            other.count(up=slots)
            other.put(layer, 0, self.read(layer).result()[:slots, :, rows])
        return other

    def __deepcopy__(self, memo):
        with storage_errors():
            return self.copy()

    def __eq__(self, other):
        """Whether both hold the same."""
        return self.shape == other.shape and all(
            torch.equal(self.read(layer).result(), other.read(layer).result()) for layer in range(len(self.keys))
        )

    __hash__ = None


@contextlib.contextmanager
def storage_errors():
    try:
        yield
    except (OSError, EOFError) as error:
        raise CacheError(f"keys and values can't be kept or read: {error}; nothing has changed") from error
