"""What a cache raises."""

from torch import Tensor


class CacheError(RuntimeError):
    """A cache was asked for what it can't do. It is as it was before the call."""


class CacheFull(CacheError):  # noqa: N818 (the name says it)
    """More tokens than the cache has slots for."""


def described(given) -> str:
    """As messages tell it: shape, dtype and device of a tensor; anything else as it is."""
    return f"{tuple(given.shape)} {given.dtype} on {given.device}" if isinstance(given, Tensor) else repr(given)
