"""What transformers 5.24's QuantizedCache does, written again: each flush reads everything back and rounds it again.

None of our caches works so. test_peers.py compares it with the library; test_drift.py shows what that costs."""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from minigpt.cache import CacheError, QuantizedCache
from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.formats import HalfQuadratic, MinMax, unpack


class StopsEarly(HalfQuadratic):
    """As in the library: it ends in the round in which the mean error of the numbers of all groups no longer falls."""

    def settled(self, numbers, inverse, zero):
        best = torch.inf
        for _ in range(20):
            zero, errors = self.moved(numbers, inverse, zero)
            if (error := errors.abs().mean().item()) >= best:
                break  # with the zero-points of this worse round
            best = error
        return zero


@dataclass(frozen=True)
class Again(Codec):
    """A block is one group, cut from the (B, K, T, D) tensor of all tokens, so that a group may span tokens, heads and
    rows of the batch.

    cut: neighbours, of that tensor in memory; rows, one channel of neighbouring (b, k, t); strided, N / size apart.
    batch_size: B.
    """

    cut: str
    batch_size: int

    tokens = sys.maxsize  # no crop ends between two groups
    groups = 1  # in a block

    @property
    def numbers(self):
        return self.group[2]

    def leaving(self, exact, residual_length):
        return exact if exact >= residual_length else 0

    def tokens_in(self, blocks):
        return blocks.shape[1] * self.numbers // (self.batch_size * self.token_shape[0] * self.token_shape[1])

    def split(self, x: Tensor) -> Tensor:
        """(B, T, K, D) -> (1, groups, 1, numbers of a group)"""
        x = x.transpose(1, 2).reshape(-1, x.shape[-1])  # (B K T, D)
        if self.cut == "rows":
            x = x.unflatten(0, (-1, self.numbers)).transpose(1, 2)
        if self.cut == "strided":
            x = x.reshape(self.numbers, -1).T
        return x.reshape(1, -1, 1, self.numbers)

    def read(self, blocks, into=None):
        packed, *parameters = blocks.split(self.widths, dim=-1)
        aligned = (each.clone(memory_format=torch.contiguous_format) for each in parameters)
        of_groups = [each.view(self.dtype)[..., None] for each in aligned]
        x = self.join(self.format.read(unpack(packed, self.format.bits)[..., None, :], of_groups))
        return x if into is None else into.copy_(x)

    def join(self, x: Tensor) -> Tensor:
        (K, D), x = self.token_shape, x[0, :, 0]  # (groups, numbers of a group)
        if self.cut == "rows":
            x = x.unflatten(0, (-1, D)).transpose(1, 2)
        if self.cut == "strided":
            x = x.T
        return x.reshape(self.batch_size, K, -1, D).transpose(1, 2)


# The number format of each backend, and how its axes cut.
BACKENDS = {
    "quanto": (MinMax, {0: "neighbours", -1: "rows"}),
    "hqq": (StopsEarly, {0: "strided", 1: "neighbours"}),
}


class RequantizedCache(QuantizedCache):
    """The first chunk is rounded whole once it has attended; then all there is, each time that the residual has reached
    residual_length. Rounded tokens can't be taken back, and rows can't be reordered: a scale may span several."""

    def __init__(
        self,
        config,
        batch_size=1,
        backend="quanto",
        nbits=4,
        q_group_size=64,
        residual_length=128,
        axis_key=0,
        axis_value=0,
        dtype=None,
        device=None,
    ):
        super().__init__(config, batch_size, residual_length=residual_length, dtype=dtype, device=device)
        (format, cuts), token_shape = BACKENDS[backend], (config.n_kv_head, config.head_size)
        self.codecs = tuple(
            Again(format(nbits), (1, 1, q_group_size), token_shape, self.dtype, cuts[axis], batch_size)
            for axis in (axis_key, axis_value)
        )
        self.reset()

    def moved_on(self, codec, exact, blocks, new):
        rounded = codec.tokens_in(blocks)
        exact = exact[:, : self.length - self.text.new - rounded]
        if codec.leaving(exact.shape[1], self.residual_length if rounded else 0):
            blocks, exact = codec.write(torch.cat([codec.read(blocks), exact], dim=1)), exact[:, :0]
        return torch.cat([exact, new], dim=1), blocks

    def selected(self, rows):
        raise CacheError("a scale may span rows of the batch: they can't be reordered")
