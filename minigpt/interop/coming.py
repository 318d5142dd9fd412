"""Where new tokens stand, by what transformers says of them; what can't go on from the cache is refused."""

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import Cache, CacheError
from minigpt.cache.errors import described

GOES_ON = "give a text that goes on from these, take tokens back with crop(-n), or reset() the cache"


def positions_of(
    cache: Cache, rows: int, new: int, mask: Tensor | None, positions: Tensor | None
) -> Int[Tensor, "B T"] | None:
    """The new tokens' positions, NEVER for padding; None where that is where the cache goes on by itself.

    mask: that of the whole text, (B, held + T) (None: no padding). positions: those that transformers turns keys by
    (None: they are counted from the mask).
    """
    held = cache.length
    if not new:
        raise CacheError(f"no token comes: the text is no longer than the {held} tokens held; {GOES_ON}")
    if mask is None:
        mask = torch.ones(rows, held + new, dtype=torch.int64, device=cache.device)
    if not isinstance(mask, Tensor) or mask.shape != (rows, held + new):
        raise CacheError(
            f"the cache holds {held} tokens, and {new} come: attention_mask must be of the whole text, "
            f"{(rows, held + new)}, got {described(mask)}; {GOES_ON}"
        )
    if not torch.equal(mask[:, :held] == 0, cache.positions == NEVER):
        raise CacheError("the cache was filled with other padding than attention_mask says")
    if positions is None or positions.ndim != 2:
        positions = mask.cumsum(1) - 1
    positions = positions[:, -new:].expand(rows, new).masked_fill(mask[:, held:] == 0, NEVER)
    if (positions[:, :1] < cache.next_position).any():
        begin, due = positions[:, 0].tolist(), cache.next_position[:, 0].tolist()
        raise CacheError(f"the rows go on at positions {due}, what comes begins at {begin}; {GOES_ON}")
    on = torch.arange(held, held + new, device=positions.device).expand(rows, new)
    return None if cache.plain and torch.equal(positions, on) else positions
