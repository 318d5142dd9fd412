"""Which numbers share a scale, and how a block of tokens becomes bytes and is read again."""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from minigpt.cache.quantized.formats import Float8, MinMax, pack, unpack
from minigpt.config import whole_number

NAMES = "token", "channel", "head", "tensor"


def group_shape(name: str, size: int, heads: int, head_size: int) -> tuple[int, int, int]:
    """Tokens, heads and channels that share a scale, for the K heads of one row of the batch.

    token: `size` neighbouring numbers of one head of one token (of size / D tokens, where size is above D).
    channel: one channel of one head, over `size` tokens. head: all channels of one head, over `size` tokens.
    tensor: all channels of all heads, over `size` tokens.
    """
    if name not in NAMES:
        raise ValueError(f"no group is named {name!r}; there are {', '.join(NAMES)}")
    whole_number("q_group_size", size, least=1)
    if name != "token":
        return size, *{"channel": (1, 1), "head": (1, head_size), "tensor": (heads, head_size)}[name]
    if max(size, head_size) % min(size, head_size):
        raise ValueError(
            f"groups by token want a q_group_size that divides the head size {head_size} or is a multiple of it, "
            f"got {size}"
        )
    return max(1, size // head_size), 1, min(size, head_size)


@dataclass(frozen=True)
class Codec:
    """Coder and decoder of keys, or of values. It turns `tokens` tokens of a row into a block of bytes: their codes,
    then the scales of their groups, then the offsets. No group reaches over two blocks, so blocks can be appended,
    dropped and reordered.

    group: how many tokens, heads and channels share a scale. token_shape: K heads of D channels. dtype: that of the
    exact numbers, and of scales and offsets.
    """

    format: MinMax | Float8
    group: tuple[int, int, int]
    token_shape: tuple[int, int]
    dtype: torch.dtype

    def __post_init__(self):
        if self.numbers * self.format.bits % 8:
            raise ValueError(
                f"{self.format.bits}-bit codes of {self.numbers} numbers don't fill whole bytes: raise q_group_size"
            )

    @property
    def tokens(self) -> int:
        """In one block."""
        return self.group[0]

    @property
    def numbers(self) -> int:
        """In one block."""
        return self.tokens * prod(self.token_shape)

    @property
    def groups(self) -> int:
        """In one block."""
        return self.numbers // prod(self.group)

    @property
    def widths(self) -> list[int]:
        """Bytes of a block: of its codes, of its scales and, where there are any, of its offsets."""
        return [self.numbers * self.format.bits // 8] + [self.groups * self.dtype.itemsize] * self.format.parameters

    def places(self, x: Tensor) -> Tensor:
        """(B, T, K, D) -> (B, blocks, K / h, D / c, t, h, c), a view: the numbers of a group are in the last three."""
        t, h, c = self.group
        return x.unflatten(1, (-1, t)).unflatten(3, (-1, h)).unflatten(5, (-1, c)).permute(0, 1, 3, 5, 2, 4, 6)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, K, D) -> (B, blocks, groups, numbers of a group)"""
        return self.places(x).flatten(4).flatten(2, 3)

    def join(self, x: Tensor) -> Tensor:
        """(B, blocks, groups, numbers of a group) -> (B, T, K, D)"""
        (B, N), (K, D), (t, h, c) = x.shape[:2], self.token_shape, self.group
        return x.reshape(B, N, K // h, D // c, t, h, c).permute(0, 1, 4, 2, 5, 3, 6).reshape(B, N * t, K, D)

    def leaving(self, exact: int, residual_length: int) -> int:
        """How many of so many exact tokens are to be rounded: whole groups of those before the residual."""
        return max(0, exact - residual_length) // self.tokens * self.tokens

    def append(
        self, blocks: UInt8[Tensor, "B N bytes"], x: Float[Tensor, "B T K D"], pads: Bool[Tensor, "B T"]
    ) -> UInt8[Tensor, "B M bytes"]:
        """The blocks, with those of T more tokens behind them. pads: which tokens are padding."""
        return torch.cat([blocks, self.write(self.filled(x, pads))], dim=1)

    def filled(self, x: Float[Tensor, "B T K D"], pads: Bool[Tensor, "B T"]) -> Float[Tensor, "B T K D"]:
        """In place of padding, the last token of its block: what padding holds is chance, and may not set a scale."""
        last = x[:, self.tokens - 1 :: self.tokens].repeat_interleave(self.tokens, dim=1)
        return torch.where(pads[..., None, None], last, x)

    def tokens_in(self, blocks: UInt8[Tensor, "B N bytes"]) -> int:
        return blocks.shape[1] * self.tokens

    def no_blocks(self, rows: int, device: torch.device) -> UInt8[Tensor, "B 0 bytes"]:
        return torch.zeros(rows, 0, sum(self.widths), dtype=torch.uint8, device=device)

    def write(self, x: Float[Tensor, "B T K D"]) -> UInt8[Tensor, "_ N bytes"]:
        codes, parameters = self.format.round(self.split(x))
        packed = pack(codes.flatten(-2), self.format.bits)
        return torch.cat([packed, *(each.contiguous().view(torch.uint8).flatten(-2) for each in parameters)], dim=-1)

    def read(
        self, blocks: UInt8[Tensor, "_ N bytes"], into: Float[Tensor, "B T K D"] | None = None
    ) -> Float[Tensor, "B T K D"]:
        """into: where the numbers are written; if not given, a new tensor."""
        if into is None:
            into = blocks.new_empty(len(blocks), self.tokens_in(blocks), *self.token_shape, dtype=self.dtype)
        packed, *parameters = blocks.split(self.widths, dim=-1)
        places = self.places(into)
        codes = unpack(packed, self.format.bits).view(places.shape)
        aligned = (each.clone(memory_format=torch.contiguous_format).view(self.dtype) for each in parameters)
        of_groups = [each.view(*places.shape[:4], 1, 1, 1) for each in aligned]
        self.format.read(codes, of_groups, places)
        return into
