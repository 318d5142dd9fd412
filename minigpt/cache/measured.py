"""What measurements ask of a cache, and how a cache that keeps something answers."""

from torch import Tensor


class Measured:
    """room: slots of the layer that has most, used or not. resident_nbytes: bytes of keys and values that are here or
    on their way. moved: bytes that have come up from slower memory so far, and that have gone down."""

    length: int
    kv: list[tuple[Tensor, ...]]
    moved: tuple[int, int] = (0, 0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.length} tokens, {self.nbytes:,} bytes>"

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held, used or not."""
        return sum(kept.nbytes for layer in range(len(self.kv)) for kept in self.here(layer))

    @property
    def resident_nbytes(self) -> int:
        return self.nbytes

    @property
    def room(self) -> int:
        return max(keys.shape[1] for keys, *_ in self.kv)

    def here(self, layer: int) -> list[Tensor]:
        """The tensors of a layer's keys and values, as far as they are in fast memory."""
        return [*self.kv[layer][:2]]
