"""What transformers doesn't tell a cache: which tokens come, and which are padding. A hook on the model does."""

import inspect
import weakref

from torch import nn

from minigpt.interop.ours_there import CacheOfOurs

HOOKED: weakref.WeakSet = weakref.WeakSet()


def announcing(decoder: nn.Module) -> nn.Module:
    """The decoder, which from now on announces each forward pass to the cache it is given, if that is one of ours."""
    if decoder not in HOOKED:
        decoder.register_forward_pre_hook(announce, with_kwargs=True)
        HOOKED.add(decoder)
    return decoder


def announce(decoder: nn.Module, args: tuple, kwargs: dict) -> None:
    cache = next((each for each in [*args, *kwargs.values()] if isinstance(each, CacheOfOurs)), None)
    if cache is not None:
        given = inspect.signature(decoder.forward).bind_partial(*args, **kwargs).arguments
        names = "input_ids", "inputs_embeds", "attention_mask", "position_ids"
        cache.announce(decoder, *(given.get(name) for name in names))
