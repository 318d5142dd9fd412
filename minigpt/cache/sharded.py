"""One part of a text, where several processes or machines keep the keys and values of some tokens each."""

from typing import Any

from minigpt.cache import in_place
from minigpt.cache.base import Cache
from minigpt.cache.errors import CacheError
from minigpt.cache.options import options_of
from minigpt.cache.text import Text
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype


class ShardedCache(Cache):
    """The tokens of one part, in `kept`, an unchanged cache that is fed no others: its positions have gaps.

    Token i, in the order of arrival, is of part i // block % parts. Each part knows the whole text (ids and positions),
    and gives attention its own keys and values alone: what is read must be joined, as `parallel.by_positions` does.
    kind: of cache, one that keeps all that it is fed, exactly. max_cache_len: the most tokens of all parts together
    (None: as `kind` has it). (Blocks over machines: Liu et al., arXiv 2310.01889, section 3.)
    """

    kept: Cache
    moves = "is fed a token in one step, and none in the next"

    def __init__(
        self,
        kind: type[Cache],
        config: Config,
        batch_size: int = 1,
        part: int = 0,
        parts: int = 1,
        block: int = 16,
        max_cache_len: int | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        if kind.lossy or kind.needs_window:
            raise ValueError(f"a {kind.__name__} does not keep all that it is fed: take DynamicCache, or StaticCache")
        self.kind: Any = kind
        self.part, self.parts = whole_number("part", part, 0), whole_number("parts", parts, part + 1)
        self.block, self.options = whole_number("block", block, 1), {}
        if "max_cache_len" in [option.name for option in options_of(kind)]:
            self.capacity = config.context if max_cache_len is None else whole_number("max_cache_len", max_cache_len, 1)
            self.options = {"max_cache_len": max(1, self.share(self.capacity))}
        elif max_cache_len is not None:
            raise ValueError(f"a {kind.__name__} grows: leave out max_cache_len {max_cache_len}")
        super().__init__(config, batch_size, dtype, device)

    kv = property(lambda self: self.kept.kv)
    nbytes = property(lambda self: self.kept.nbytes)
    resident_nbytes = property(lambda self: self.kept.resident_nbytes)

    def serve(self, model, batch_size):
        part, parts = getattr(model, "part_of", (0, 1))  # a model that no one has cut reads the whole text
        if (part, parts) != (self.part, self.parts):
            raise CacheError(
                f"the cache keeps part {self.part} of {self.parts} of a text, and the model joins part {part} of "
                f"{parts}: serve it with the model that parallel.by_positions gives in this process"
            )
        super().serve(model, batch_size)

    def share(self, tokens: int) -> int:
        """How many of the first so many tokens are of this part."""
        rounds, rest = divmod(tokens, self.block * self.parts)
        return rounds * self.block + min(max(rest - self.part * self.block, 0), self.block)

    def store(self, k, v, layer):
        arrivals = self.text.arrivals
        own = (arrivals // self.block % self.parts == self.part).nonzero().flatten()
        if not len(own):
            keys, values = (each[:, : self.kept.length] for each in self.tensors(layer)[:2])
            return keys, values, self.kept.positions
        if layer == 0:
            self.kept.admit(self.positions[:, arrivals[own]], self.ids[:, arrivals[own]])
        return self.kept.update(k[:, own], v[:, own], layer)

    def hides_nothing(self, layer, slots):
        return False  # what is hidden depends on the other parts

    crop, reset = in_place.crop, in_place.reset

    def wipe(self, left):
        self.kept.crop(min(0, self.share(left) - self.kept.length))  # of a chunk that stopped, it may have none

    def selected(self, rows):
        return {"text": self.text.select(rows), "kept": self.kept.sharing(**self.kept.selected(rows))}

    def empty(self, rows):
        kept = self.kind(self.config, rows, dtype=self.dtype, device=self.device, **self.options)
        return {"text": Text.empty(rows, self.device), "kept": kept, "layers_written": len(kept.kv), "unfinished": ""}

    def tensors(self, layer):
        return self.kept.tensors(layer)

    def here(self, layer):
        return self.kept.here(layer)

    def state(self):
        return [*super().state(), *self.kept.state()]
