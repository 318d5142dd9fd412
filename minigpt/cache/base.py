"""What a cache is asked for, and the cache that keeps nothing."""

from jaxtyping import Float, Int
from torch import Tensor

from minigpt.config import GPTConfig


class CacheError(RuntimeError):
    """A cache was asked for what it can't do. It is as it was before the call."""


class CacheFull(CacheError):  # noqa: N818 (the name says it)
    """More tokens than the cache has slots for."""


class KVCache:
    """The verbs of every cache. A model calls `serve`, `admit` once a forward pass, and `update` once a layer.

    length: tokens taken in so far, padding too. next_position: (B, 1), where each row goes on.
    capacity: the most tokens that it can take in, None where there is no limit.
    keeps: whether it keeps tokens at all; where not, every step must be fed the whole text.
    largest_chunk: the most tokens that it can take in at once, None where there is no limit.
    needs_window: whether it serves only models that see through a window.
    lossy: whether it rounds what it keeps. Its oracle is then the uncached model that reads the rounded numbers.
    room: slots that a layer has, used or not. nbytes: bytes of keys and values held, used or not.
    resident_nbytes: bytes of these that are here or on their way. moved: bytes that have come up the memory ladder so
        far, and that have gone down.
    """

    length: int
    next_position: Int[Tensor, "B 1"] | int
    capacity: int | None = None
    keeps: bool = True
    largest_chunk: int | None = None
    needs_window: bool = False
    lossy: bool = False
    room: int
    nbytes: int
    resident_nbytes = property(lambda self: self.nbytes)
    moved: tuple[int, int] = (0, 0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.length} tokens, {self.nbytes:,} bytes>"

    def serve(self, model, batch_size: int) -> None:
        """The door: refuse a model (by its config, dtype, device, training) or a batch that this cache can't serve."""
        raise NotImplementedError

    def admit(self, positions: Int[Tensor, "B T"], ids: Int[Tensor, "B T"] | None = None) -> Int[Tensor, "B S"]:
        """Take note of T new tokens. Returns the position that each slot holds, NEVER where it holds none.

        positions: rising along each row; NEVER marks left padding. ids: the tokens themselves, where they
        are known, so that a later turn can be checked against them.
        Raises CacheError or CacheFull; then nothing has changed.
        """
        raise NotImplementedError

    def update(
        self, k: Float[Tensor, "B T K D"], v: Float[Tensor, "B T K D"], layer: int
    ) -> tuple[Float[Tensor, "B S K D"], Float[Tensor, "B S K D"]]:
        """Keep the new keys and values of a layer. Returns those of all slots, in the order that `admit` reported."""
        raise NotImplementedError

    def here(self, layer: int) -> list[Tensor]:
        """The tensors in which a layer's keys and values are kept, as far as they are here."""
        raise NotImplementedError

    def crop(self, count: int) -> None:
        """crop(-n) takes the last n tokens back (a positive count is refused: it would mean 'keep n')."""
        raise NotImplementedError

    def select(self, rows: Int[Tensor, " N"] | list[int]) -> None:
        """Row i becomes what row rows[i] was: reorder (beams), drop, repeat, in one. N becomes the batch size."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything; the batch size stays."""
        raise NotImplementedError


class NoCache(KVCache):
    """Keeps nothing, so every step is fed the whole text: the uncached reference of all other caches."""

    length = 0
    next_position = 0
    room = 0
    nbytes = 0
    keeps = False

    def __init__(self, config: GPTConfig | None = None, batch_size: int = 1, dtype=None, device=None):
        """Takes what every cache takes, so that it can stand in for any; holding nothing, it needs none of it."""

    def serve(self, model, batch_size):
        pass

    def admit(self, positions, ids=None):
        return positions

    def update(self, k, v, layer):
        return k, v

    def here(self, layer):
        return []

    def crop(self, count):
        check_crop(count, self.length)

    def select(self, rows):
        pass

    def reset(self):
        pass


def check_crop(count: int, length: int) -> None:
    """Refuse a crop that takes back more than there is, or a positive count."""
    if not isinstance(count, int) or count > 0:
        raise CacheError(f"crop({count!r}): crop(-n) takes the last n tokens back; counts are negative or 0")
    if -count > length:
        raise CacheError(f"crop({count}): the cache holds only {length} tokens")
