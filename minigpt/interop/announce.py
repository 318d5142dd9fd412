"""What transformers doesn't tell a cache: which tokens come, and which of them are padding. A hook on the model does."""

import inspect
import weakref

import torch
from jaxtyping import Int
from torch import Tensor, nn

from minigpt.attention import NEVER
from minigpt.cache import CacheError, KVCache
from minigpt.cache.errors import described

GOES_ON = "give a text that goes on from these, take tokens back with crop(-n), or reset() the cache"
HOOKED: weakref.WeakSet = weakref.WeakSet()


def announce_to(kind: type, model) -> None:
    """From now on the model announces each forward pass to the cache it is given, if that is of this kind."""
    decoder = model.base_model
    if decoder not in HOOKED:
        decoder.register_forward_pre_hook(Announcement(kind), with_kwargs=True)
        HOOKED.add(decoder)


class Announcement:
    def __init__(self, kind: type):
        self.kind = kind

    def __call__(self, decoder: nn.Module, args: tuple, kwargs: dict) -> None:
        cache = next((each for each in [*args, *kwargs.values()] if isinstance(each, self.kind)), None)
        if cache is not None:
            given = inspect.signature(decoder.forward).bind_partial(*args, **kwargs).arguments
            names = "input_ids", "inputs_embeds", "attention_mask", "position_ids"
            cache.announce(decoder, *(given.get(name) for name in names))


def positions_of(
    cache: KVCache, rows: int, new: int, mask: Tensor | None, positions: Tensor | None
) -> Int[Tensor, "B T"] | None:
    """Where the new tokens stand, NEVER for padding; None where that is where the cache goes on by itself.

    mask: that of the whole text, (B, held + T) (None: no padding). positions: those that transformers turns keys by
    (None: they are counted from the mask).
    """
    held = cache.length
    if not new:
        raise CacheError(f"no token comes: the text is no longer than the {held} tokens held; {GOES_ON}")
    if mask is None:
        mask = torch.ones(rows, held + new, dtype=torch.int64, device=cache.positions.device)
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
