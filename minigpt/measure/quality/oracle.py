"""The oracle of a quantized cache: the uncached model that reads rounded numbers where the cache had rounded them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.attention import NEVER, attend, sees
from minigpt.cache.quantized import Rounding
from minigpt.cache.quantized.codec import Codec


def logits_reading_rounded(
    model, cache: Rounding, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"], chunks: list[int]
) -> Float[Tensor, "B T V"]:
    """One pass over the whole text. Each token reads the rounded numbers of those that the cache would have rounded
    by the time it came, and the exact numbers of the others.

    cache: tells what it rounds, and how; it is not changed. chunks: the tokens of each chunk that it would be fed.
    """
    slot, pads = torch.arange(ids.shape[1], device=ids.device), positions == NEVER
    counts = (rounded_by(codec, chunks, cache.residual_length) for codec in cache.codecs)
    keys, values = (slot < torch.tensor(count, device=ids.device)[:, None] for count in counts)  # (T, T)
    # Each token has four slots, its key and its value rounded or exact, of which the mask lets each query see one.
    reads = torch.cat([keys & values, keys & ~values, ~keys & values, ~keys & ~values], dim=1)  # (T, 4 T)
    x = model.embed(ids, positions)
    for block in model.h:
        q, k, v = block.attn.qkv(block.ln_1(x))
        k2, v2 = (rounded(codec, each, pads) for codec, each in zip(cache.codecs, (k, v), strict=True))
        k, v = torch.cat([k2, k2, k, k], dim=1), torch.cat([v2, v, v2, v], dim=1)
        mask = sees(positions, positions.repeat(1, 4), block.attn.window, block.attn.sinks) & reads
        x = x + block.attn.c_proj(attend(q, k, v, mask).flatten(2))
        x = x + block.mlp(block.ln_2(x))
    return model.lm_head(model.ln_f(x))


def rounded(codec: Codec, x: Float[Tensor, "B T K D"], pads: Bool[Tensor, "B T"]) -> Float[Tensor, "B T K D"]:
    """x with its whole groups rounded; the tokens of an unfinished group stay exact."""
    whole = x.shape[1] // codec.tokens * codec.tokens
    blocks = codec.append(codec.no_blocks(len(x), x.device), x[:, :whole], pads[:, :whole])
    return torch.cat([codec.read(blocks), x[:, whole:]], dim=1)


def rounded_by(codec: Codec, chunks: list[int], residual_length: int) -> list[int]:
    """For each token: how many tokens from the first on had been rounded when its chunk came."""
    counts: list[int] = []
    rounded = 0
    for chunk in chunks:
        rounded += codec.leaving(len(counts) - rounded, residual_length)
        counts += [rounded] * chunk
    return counts


# By the name of a cache that rounds.
ORACLES = dict.fromkeys(("quantized", "quantized_static"), logits_reading_rounded)
