"""transformers' way of rounding: at each flush all is read back and rounded again. Kept to show what it costs."""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from minigpt.cache.base import CacheError
from minigpt.cache.groups import Once


@dataclass(frozen=True)
class Again(Once):
    """What `QuantizedCache` of transformers 5.24 does. A block is one group, cut from the (B, H, T, D) tensor of all
    tokens, so that a group may span tokens, heads and rows of the batch; the first chunk is rounded whole once it has
    attended, then all there is, each time that the residual has reached residual_length.

    Rounded tokens can't be taken back one by one, and rows can't be reordered: refused (there, in part silently wrong).

    cut: neighbours, of that tensor in memory; rows, one channel of neighbouring (b, h, t); strided, N / size apart.
    batch_size: B.
    """

    cut: str
    batch_size: int

    tokens = sys.maxsize  # no crop ends between two groups
    groups = 1  # in a block

    @property
    def numbers(self):
        return self.box[2]

    def leaving(self, exact, rounded, residual_length):
        return exact if not rounded or exact >= residual_length else 0

    def add(self, blocks, x, pads):
        return self.write(torch.cat([self.read(blocks), x], dim=1))

    def count(self, blocks):
        return blocks.shape[1] * self.numbers // (self.batch_size * self.heads[0] * self.heads[1])

    def pick(self, blocks, rows):
        if rows.tolist() != list(range(self.batch_size)):
            raise CacheError("with requantize=True a scale may span rows of the batch: they can't be reordered")
        return blocks

    def split(self, x: Tensor) -> Tensor:
        """(B, T, K, D) -> (1, groups, 1, numbers of a group)"""
        x = x.transpose(1, 2).reshape(-1, x.shape[-1])  # (B K T, D)
        if (len(x) if self.cut == "rows" else x.numel()) % self.numbers:
            raise CacheError(
                f"{self.batch_size} x {self.heads[0]} x {len(x) // self.batch_size // self.heads[0]} x {self.heads[1]} "
                f"numbers (rows, heads, tokens, channels) can't be cut into groups of {self.numbers} ({self.cut}): "
                "choose another q_group_size, or requantize=False"
            )
        if self.cut == "rows":
            x = x.unflatten(0, (-1, self.numbers)).transpose(1, 2)
        if self.cut == "strided":
            x = x.reshape(self.numbers, -1).T
        return x.reshape(1, -1, 1, self.numbers)

    def join(self, x: Tensor) -> Tensor:
        (K, D), x = self.heads, x[0, :, 0]  # (groups, numbers of a group)
        if self.cut == "rows":
            x = x.unflatten(0, (-1, D)).transpose(1, 2)
        if self.cut == "strided":
            x = x.T
        return x.reshape(self.batch_size, K, -1, D).transpose(1, 2)
