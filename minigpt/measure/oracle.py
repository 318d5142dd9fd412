"""The oracle of a quantized cache: the uncached model that reads rounded numbers where the cache had rounded them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.attention import NEVER, sees
from minigpt.cache import NoCache, QuantizedCache


class FourWays(NoCache):
    """Each token in four slots: key rounded or exact, value rounded or exact. The mask picks one of them by query."""

    def __init__(self, cache: QuantizedCache, pads: Bool[Tensor, "B T"]):
        self.codecs, self.pads = cache.codecs, pads

    def update(self, k, v, layer):
        k2, v2 = (self.rounded(codec, x) for codec, x in zip(self.codecs, (k, v), strict=True))
        return torch.cat([k2, k2, k, k], dim=1), torch.cat([v2, v, v2, v], dim=1)

    def rounded(self, codec, x: Float[Tensor, "B T K D"]) -> Float[Tensor, "B T K D"]:
        """Whole groups are; the tokens of an unfinished one are as they were."""
        whole = x.shape[1] // codec.tokens * codec.tokens
        blocks = x.new_zeros(len(x), 0, sum(codec.widths), dtype=torch.uint8)
        return torch.cat([codec.read(codec.add(blocks, x[:, :whole], self.pads[:, :whole])), x[:, whole:]], dim=1)


def logits_reading_rounded(
    model, cache: QuantizedCache, ids: Int[Tensor, "B T"], positions: Int[Tensor, "B T"], chunks: list[int]
) -> Float[Tensor, "B T V"]:
    """One pass over the whole text. Each token reads the rounded numbers of those that the cache would have rounded
    by the time it came, and the exact numbers of the others.

    cache: says what is rounded how; it is not changed. chunks: how many tokens the cache would have been fed at a time.
    """
    times = [rounded_by(codec, chunks, cache.residual_length) for codec in cache.codecs]
    slot = torch.arange(ids.shape[1], device=ids.device)
    keys, values = (slot < torch.tensor(counts, device=ids.device)[:, None] for counts in times)  # (T, T)
    reads = torch.cat([keys & values, keys & ~values, ~keys & values, ~keys & ~values], dim=1)  # (T, 4 T)
    mask = sees(positions, positions.repeat(1, 4), model.config.window, model.config.sinks) & reads
    return model.lm_head(model.through_blocks(model.embed(ids, positions), mask, FourWays(cache, positions == NEVER)))


def rounded_by(codec, chunks: list[int], residual_length: int) -> list[int]:
    """For each token: how many tokens from the first on had been rounded when its chunk came."""
    counts, rounded = [], 0
    for chunk in chunks:
        rounded += codec.leaving(len(counts) - rounded, rounded, residual_length)
        counts += [rounded] * chunk
    return counts
