"""Rounded tokens in tensors that are there from the start: codes, scales and offsets each in one of their own, a place
for each token. A compiler reads them as it multiplies, and stores no decoded number."""

import torch
from jaxtyping import Float
from torch import Tensor

from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.formats import pack, unpack

# Of keys, or of values: codes (B, slots, K, bytes of D codes), then scales and offsets (B, blocks, K / h, D / c).
Planes = tuple[Tensor, ...]


def empty(codec: Codec, rows: int, slots: int, device: torch.device) -> Planes:
    """Planes that read as zeros. In memory the tokens of a head follow each other, as attention reads them."""
    (K, D), (t, h, c), bits = codec.token_shape, codec.group, codec.format.bits
    if D * bits % 8:
        raise ValueError(f"{bits}-bit codes of a head of {D} numbers don't fill whole bytes: raise nbits")
    codes = torch.zeros(rows, K, slots, D * bits // 8, dtype=torch.uint8, device=device)
    parameter = torch.zeros(rows, K // h, slots // t, D // c, dtype=codec.dtype, device=device)
    return codes.transpose(1, 2), *(parameter.clone().transpose(1, 2) for _ in range(codec.format.parameters))


def write(codec: Codec, x: Float[Tensor, "B T K D"]) -> Planes:
    """The planes of whole blocks."""
    (K, D), (_, h, c) = codec.token_shape, codec.group
    codes, parameters = codec.format.round(codec.split(x))
    of_heads = (each.unflatten(2, (K // h, D // c))[..., 0] for each in parameters)
    return pack(codec.join(codes), codec.format.bits), *of_heads


def read(codec: Codec, codes: Tensor, *parameters: Tensor) -> Float[Tensor, "B S K D"]:
    """The numbers, decoded: one expression of the codes, and of scales and offsets that each serve a group of them."""
    t, h, c = codec.group
    numbers = unpack(codes if codec.format.bits == 8 else codes.to(torch.int32), codec.format.bits)
    grouped = numbers.unflatten(3, (-1, c)).unflatten(2, (-1, h)).unflatten(1, (-1, t))  # (B, S/t, t, K/h, h, D/c, c)
    x = codec.format.read(grouped, [each[:, :, None, :, None, :, None] for each in parameters])
    return x.flatten(5).flatten(3, 4).flatten(1, 2)
