"""Which numbers share a scale, by name, and how the groups of a few tokens become a row of bytes."""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from minigpt.cache.quantize import Float8, MinMax, pack, unpack

NAMES = "token", "channel", "head", "tensor"


def box(name: str, size: int, heads: int, head_size: int) -> tuple[int, int, int]:
    """Tokens, heads and channels that share a scale, for the K heads of one row of the batch.

    token: `size` neighbouring numbers of one head of one token (of size / D tokens, where size is above D).
    channel: one channel of one head, over `size` tokens. head: all channels of one head, over `size` tokens.
    tensor: all channels of all heads, over `size` tokens.
    """
    if name not in NAMES:
        raise ValueError(f"no group is named {name!r}; there are {', '.join(NAMES)}")
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"q_group_size must be a whole number, 1 or more, got {size!r}")
    if name != "token":
        return size, *{"channel": (1, 1), "head": (1, head_size), "tensor": (heads, head_size)}[name]
    if max(size, head_size) % min(size, head_size):
        raise ValueError(
            f"groups by token want a q_group_size that divides the head size {head_size} or is a multiple of it, "
            f"got {size}"
        )
    return max(1, size // head_size), 1, min(size, head_size)


@dataclass(frozen=True)
class Once:
    """Rounds whole groups of tokens, each once. A block is what `tokens` tokens of a row become: codes, then scales,
    then offsets, as bytes. Groups never reach over two blocks, so blocks can be appended, dropped and reordered.

    box: tokens, heads and channels of a group. heads: K and D.
    """

    form: MinMax | Float8
    box: tuple[int, int, int]
    heads: tuple[int, int]
    dtype: torch.dtype

    def __post_init__(self):
        if self.numbers * self.form.bits % 8:
            raise ValueError(
                f"{self.form.bits}-bit codes of {self.numbers} numbers don't fill whole bytes: raise q_group_size"
            )

    @property
    def tokens(self) -> int:
        """Of a block."""
        return self.box[0]

    @property
    def numbers(self) -> int:
        """In a block."""
        return self.tokens * prod(self.heads)

    @property
    def groups(self) -> int:
        """In a block."""
        return self.numbers // prod(self.box)

    @property
    def widths(self) -> list[int]:
        """Bytes of a block's codes, of its scales and, where there are any, of its offsets."""
        return [self.numbers * self.form.bits // 8] + [self.groups * self.dtype.itemsize] * self.form.parameters

    def split(self, x: Tensor) -> Tensor:
        """(B, T, K, D) -> (B, blocks, groups, numbers of a group)"""
        (B, T), (K, D), (t, h, c) = x.shape[:2], self.heads, self.box
        x = x.reshape(B, T // t, t, K // h, h, D // c, c).permute(0, 1, 3, 5, 2, 4, 6)
        return x.reshape(B, T // t, self.groups, t * h * c)

    def join(self, x: Tensor) -> Tensor:
        """(B, blocks, groups, numbers of a group) -> (B, T, K, D)"""
        (B, N), (K, D), (t, h, c) = x.shape[:2], self.heads, self.box
        return x.reshape(B, N, K // h, D // c, t, h, c).permute(0, 1, 4, 2, 5, 3, 6).reshape(B, N * t, K, D)

    def leaving(self, exact: int, rounded: int, residual_length: int) -> int:
        """How many of so many exact tokens are to be rounded now."""
        return max(0, exact - residual_length) // self.tokens * self.tokens

    def add(
        self, blocks: UInt8[Tensor, "B N bytes"], x: Float[Tensor, "B T K D"], pads: Bool[Tensor, "B T"]
    ) -> UInt8[Tensor, "B M bytes"]:
        last = x[:, self.tokens - 1 :: self.tokens].repeat_interleave(self.tokens, dim=1)  # of each block
        x = torch.where(pads[..., None, None], last, x)  # what padding holds is chance, and may not set a scale
        return torch.cat([blocks, self.write(x)], dim=1)

    def count(self, blocks: UInt8[Tensor, "B N bytes"]) -> int:
        """Tokens in so many blocks."""
        return blocks.shape[1] * self.tokens

    def pick(self, blocks: UInt8[Tensor, "B N bytes"], rows: Int[Tensor, " R"]) -> UInt8[Tensor, "R N bytes"]:
        return blocks[rows]

    def write(self, x: Float[Tensor, "B T K D"]) -> UInt8[Tensor, "_ N bytes"]:
        codes, parameters = self.form.round(self.split(x))
        packed = pack(codes.flatten(-2), self.form.bits)
        return torch.cat([packed, *(each.contiguous().view(torch.uint8) for each in parameters)], dim=-1)

    def read(self, blocks: UInt8[Tensor, "_ N bytes"]) -> Float[Tensor, "B T K D"]:
        packed, *parameters = blocks.split(self.widths, dim=-1)
        codes = unpack(packed, self.form.bits).unflatten(-1, (self.groups, -1))
        aligned = (each.clone(memory_format=torch.contiguous_format) for each in parameters)  # as `view` wants it
        return self.join(self.form.read(codes, [each.view(self.dtype) for each in aligned]))
