"""Caches that are right on short texts: they forget what is older than so many tokens, or lose one at an edge."""

from typing import ClassVar

import torch

from minigpt.cache import DynamicCache
from minigpt.museum.bugs import bug


class KeepsTheNewest(DynamicCache):
    """most: how many of them."""

    most: ClassVar[int]

    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        gone = (torch.arange(self.length) < self.length - self.most)[:, None, None]
        return keys.masked_fill(gone, 0), values.masked_fill(gone, 0), positions


@bug("dynamic", "what is older than 8 tokens is forgotten")
class Keeps8(KeepsTheNewest):
    most = 8


@bug("dynamic", "what is older than 16 tokens is forgotten")
class Keeps16(KeepsTheNewest):
    most = 16


@bug("dynamic", "what is older than 64 tokens is forgotten")
class Keeps64(KeepsTheNewest):
    most = 64


@bug("dynamic", "what is older than 128 tokens is forgotten")
class Keeps128(KeepsTheNewest):
    most = 128


@bug("dynamic", "what is older than 255 tokens is forgotten")
class Keeps255(KeepsTheNewest):
    most = 255


@bug("dynamic", "what is older than 256 tokens is forgotten")
class Keeps256(KeepsTheNewest):
    most = 256


@bug("dynamic", "a block boundary loses a token")
class LosesAtTheEdge(DynamicCache):
    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        gone = (torch.arange(self.length) == 256)[:, None, None]
        return keys.masked_fill(gone, 0), values.masked_fill(gone, 0), positions
