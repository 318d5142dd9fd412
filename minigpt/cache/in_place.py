"""Verbs of a cache whose tensors stay where they are: what is taken back is zeroed there.

Attention is given empty slots too, and even in a hidden one a NaN would spoil its sum. A class takes the verbs that it
wants (`crop, reset = in_place.crop, in_place.reset`) and has `wipe(left)`, which zeros all after the first `left`
tokens.
"""

from minigpt.cache import checks
from minigpt.cache.state import alone, lasting


@alone
@lasting
def crop(cache, count: int) -> None:
    """crop(-n) takes the last n tokens back; the addresses stay."""
    checks.crop(cache, count)
    cut(cache, cache.length + count, "crop()")


@alone
@lasting
def reset(cache) -> None:
    """Forget everything; the addresses stay."""
    cut(cache, 0, "reset()")


def cut(cache, left: int, verb: str) -> None:
    """Keep the first `left` tokens. Where the wiping is interrupted, `unfinished` says in which verb."""
    cache.become(**cache.cropped(left), unfinished=verb)
    cache.wipe(left)
    cache.unfinished = ""
