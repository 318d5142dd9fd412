"""The text so far: which tokens a cache has taken in, and at which positions. One for all layers."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER

UNKNOWN = -1  # the id of a token that was admitted without one


class Text:
    """`length` tokens in each row, of which the last `new` came in one chunk.

    A Text is never changed: each verb returns another, so a verb that fails or is interrupted has changed nothing.
    What they share is memory: a book of positions and ids whose room doubles, 16 bytes a token, and which is only ever
    written beyond the `length` of those that may still be in use.

    positions: of each token, NEVER for padding. plain: they are 0, 1, 2, ... in every row, which is known without
    asking the device.
    """

    def __init__(self, book: Int[Tensor, "two B slots"], length: int = 0, new: int = 0, plain: bool = True):
        self.book, self.length, self.new, self.plain = book, length, new, plain
        self.positions: Int[Tensor, "B n"] = book[0, :, :length]

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> "Text":
        return cls(torch.zeros(2, rows, 0, dtype=torch.int64, device=device))

    @property
    def rows(self) -> int:
        return self.book.shape[1]

    @property
    def ids(self) -> Int[Tensor, "B n"]:
        """The id of each token, UNKNOWN if none was given."""
        return self.book[1, :, : self.length]

    @property
    def next_position(self) -> Int[Tensor, "B 1"]:
        """The position of each row's next token."""
        if not self.length:
            return torch.zeros(self.rows, 1, dtype=torch.int64, device=self.book.device)
        last = self.positions[:, -1:]
        return (last + 1).masked_fill(last == NEVER, 0)

    def in_slots(self, slots: int) -> Int[Tensor, "B slots"]:
        """The position in each of so many slots, if the tokens fill the first of them: NEVER in the others."""
        positions = self.positions.new_full((self.rows, slots), NEVER)
        positions[:, : self.length] = self.positions
        return positions

    @property
    def arrivals(self) -> Int[Tensor, " T"]:
        """The numbers of the last `new` tokens, counted from 0 in the order in which they came."""
        return torch.arange(self.length - self.new, self.length, device=self.book.device)

    def append(self, positions: Int[Tensor, "B T"] | None, ids: Int[Tensor, "B T"] | None) -> "Text":
        """The text with T more tokens. positions None: they go on. ids None: UNKNOWN. One of the two must be given."""
        start, T = self.length, next(given.shape[1] for given in (ids, positions) if given is not None)
        after = Text(self.with_room(start + T), start + T, T, self.plain and positions is None)
        if positions is None:
            steps = after.arrivals if self.plain else torch.arange(T, device=self.book.device)
            positions = steps if self.plain else self.next_position + steps
        after.book[0, :, start : start + T] = positions
        after.book[1, :, start : start + T] = UNKNOWN if ids is None else ids
        return after

    def with_room(self, slots: int) -> Int[Tensor, "two B slots"]:
        if slots <= self.book.shape[2]:
            return self.book
        with torch.inference_mode(False):  # what is made in inference mode can't be written outside it
            longer = self.book.new_zeros(2, self.rows, max(slots, 2 * self.book.shape[2]))
        longer[..., : self.length] = self.book[..., : self.length]
        return longer

    def crop(self, left: int) -> "Text":
        """The first `left` tokens."""
        return Text(self.book, left, 0, self.plain or not left)

    def select(self, rows: Int[Tensor, " N"]) -> "Text":
        return Text(self.book[:, rows], self.length, self.new, self.plain)
