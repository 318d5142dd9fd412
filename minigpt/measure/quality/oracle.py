"""The oracle of a quantized cache: the uncached model that reads rounded numbers where the cache had rounded them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import NoCache
from minigpt.cache.quantized import Rounding
from minigpt.cache.quantized.codec import Codec


def logits_reading_rounded(
    model, cache: Rounding, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"], chunks: list[int]
) -> Float[Tensor, "B T V"]:
    """One pass over the whole text. Each token reads the rounded numbers of those that the cache would have rounded
    by the time it came, and the exact numbers of the others.

    cache: tells what it rounds, and how; it is not changed. chunks: the tokens of each chunk that it would be fed.
    """
    return model.lm_head(model.hidden(ids, positions, ReadingRounded(cache, chunks)))


class ReadingRounded(NoCache):
    """Gives each token four slots, its key and its value rounded or exact, and shows each query one of them."""

    def __init__(self, cache: Rounding, chunks: list[int]):
        super().__init__()
        self.codecs = cache.codecs
        counts = (rounded_by(codec, chunks, cache.residual_length) for codec in cache.codecs)
        slot = torch.arange(sum(chunks), device=cache.device)
        keys, values = (slot < torch.tensor(count, device=cache.device)[:, None] for count in counts)  # (T, T)
        self.reads = torch.cat([keys & values, keys & ~values, ~keys & values, ~keys & ~values], dim=1)  # (T, 4 T)

    def update(self, k, v, layer):
        pads = self.positions == NEVER
        k2, v2 = (rounded(codec, each, pads) for codec, each in zip(self.codecs, (k, v), strict=True))
        shown = self.positions.repeat(1, 4)[:, None].masked_fill(~self.reads, NEVER)  # (B, T, 4 T)
        return torch.cat([k2, k2, k, k], dim=1), torch.cat([v2, v, v2, v], dim=1), shown


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
