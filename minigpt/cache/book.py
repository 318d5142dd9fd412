"""The book: which token stands at which position, one for all layers."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache.base import CacheError, KVCache, check_crop

UNKNOWN = -1  # the id of a token that was admitted without one


class Book(KVCache):
    """The half of a cache that is not keys and values. It grows by doubling, 16 bytes a token, and nothing is lost.

    batch_size: rows of a batch. device: of the book.
    """

    def __init__(self, batch_size: int = 1, device=None):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number, 1 or more, got {batch_size!r}")
        self.batch_size = batch_size
        self.device = torch.empty(0, device=device).device
        self.reset()

    def reset(self):
        self.length = 0
        self.chunk = 0  # how many of these tokens came with the last admit
        self._positions = self.zeros(0, dtype=torch.int64)
        self._ids = self.zeros(0, dtype=torch.int64)

    @property
    def positions(self) -> Int[Tensor, "B n"]:
        """The position of each token taken in, NEVER for padding."""
        return self._positions[:, : self.length]

    @property
    def ids(self) -> Int[Tensor, "B n"]:
        """Each token taken in, UNKNOWN where `admit` was not told."""
        return self._ids[:, : self.length]

    @property
    def next_position(self) -> Int[Tensor, "B 1"]:
        """Where each row goes on."""
        if not self.length:
            return torch.zeros(self.batch_size, 1, dtype=torch.int64, device=self.device)
        last = self.positions[:, -1:]
        return (last + 1).masked_fill(last == NEVER, 0)

    def admit(self, positions, ids=None):
        self.check(positions, ids)
        start, end = self.length, self.length + positions.shape[1]
        self.make_room(end)
        if end > self._positions.shape[1]:
            self._positions, self._ids = grow(self._positions, start, end), grow(self._ids, start, end)
        self._positions[:, start:end] = positions
        self._ids[:, start:end] = UNKNOWN if ids is None else ids
        self.length, self.chunk = end, end - start
        return self.positions

    def crop(self, count):
        check_crop(count, self.length)
        self.length += count

    def select(self, rows):
        rows = self.check_rows(rows)
        with torch.inference_mode(False):
            self._positions, self._ids = self._positions[rows], self._ids[rows]
        self.batch_size = len(rows)

    def make_room(self, slots: int) -> None:
        """Called before anything changes: have slots for so many tokens, or raise CacheFull."""

    def zeros(self, slots: int, *shape: int, dtype: torch.dtype) -> Tensor:
        """(B, slots, *shape), never `empty`: a NaN in a slot that no one sees still spoils the sum."""
        with torch.inference_mode(False):  # a tensor made in inference mode can't be written outside it
            return torch.zeros(self.batch_size, slots, *shape, dtype=dtype, device=self.device)

    def check_rows(self, rows) -> Int[Tensor, " N"]:
        rows = torch.as_tensor(rows, device=self.device)
        if rows.ndim != 1 or rows.dtype != torch.int64 or not len(rows):
            raise CacheError(f"select wants a list of row numbers, got {rows.tolist()}")
        if rows.min() < 0 or rows.max() >= self.batch_size:
            raise CacheError(f"select({rows.tolist()}): this cache has rows 0 to {self.batch_size - 1}")
        return rows

    def check(self, positions: Int[Tensor, "B T"], ids: Int[Tensor, "B T"] | None) -> None:
        """Positions must go on from what is there: padding first, then rising."""
        if positions.ndim != 2 or positions.dtype != torch.int64 or not positions.shape[1]:
            raise CacheError(f"positions must be int64 of shape (B, T), got {positions.dtype} {tuple(positions.shape)}")
        if positions.shape[0] != self.batch_size:
            raise CacheError(
                f"the cache was made for batch_size {self.batch_size}, got {positions.shape[0]} rows: "
                f"make_cache(..., batch_size={positions.shape[0]}), or select(rows)"
            )
        if ids is not None and ids.shape != positions.shape:
            raise CacheError(f"ids must have the shape of positions, {tuple(positions.shape)}, got {tuple(ids.shape)}")
        befores = self._positions[:, self.length - 1].tolist() if self.length else [NEVER] * self.batch_size
        for row, before in zip(positions.tolist(), befores, strict=True):
            for position in row:
                # NEVER before: so far there was only padding, and more may follow.
                if position < 0 or not (before == NEVER or before < position < NEVER):
                    raise CacheError(
                        "positions must rise along each row, after left padding and after what the cache holds "
                        f"(next: {self.next_position.flatten().tolist()}), got {row}"
                    )
                before = position


def grow(buffer: Tensor, used: int, slots: int) -> Tensor:
    """A buffer (B, slots or more, ...), at least twice as long as this one, with the used part copied.

    Doubling keeps the copying cheap: over a run, the lengths copied add up to less than twice the last one.
    """
    slots = max(slots, 2 * buffer.shape[1])
    with torch.inference_mode(False):
        longer = buffer.new_zeros(buffer.shape[0], slots, *buffer.shape[2:])
    longer[:, :used] = buffer[:, :used]
    return longer
