"""What a cache is: its verbs, and what all caches that keep something have in common."""

from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import checks
from minigpt.cache.measured import Measured
from minigpt.cache.state import State, alone, lasting
from minigpt.cache.text import Text
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype, usable_device, usable_dtype


class KVCache(Measured):
    """The verbs of every cache. A model calls `serve` first, then `admit` once a forward pass, `update` once a layer.

    length: tokens taken in so far, padding included. positions, ids: theirs. next_position: where each row goes on.
    plain: whether every row is known to stand at 0, 1, 2, ... capacity: the most tokens that it can take in;
    largest_chunk: at once (None: no limit). keeps: whether it keeps any (else each step is fed the whole text).
    needs_window: whether the model must have one. lossy: whether it rounds. moves: why its shapes or addresses change
    from step to step, which no compiled step can follow; "" where they stand still.
    """

    length: int
    positions: Int[Tensor, "B n"]
    ids: Int[Tensor, "B n"]
    capacity: int | None = None
    largest_chunk: int | None = None
    keeps, plain, needs_window, lossy = True, True, False, False
    moves = "grows with the text"

    def serve(self, model, batch_size: int) -> None:
        """The door: refuse a model (by its config, dtype, device, training) or a batch that this cache can't serve."""
        raise NotImplementedError

    def admit(self, positions: Int[Tensor, "B T"] | None, ids: Int[Tensor, "B T"] | None = None) -> None:
        """Announce T new tokens, or raise CacheError or CacheFull. positions: rising along each row, NEVER for left
        padding (None: they go on from what is there). ids: which tokens, so that a later turn can be checked."""
        raise NotImplementedError

    def update(
        self, k: Float[Tensor, "B T K D"], v: Float[Tensor, "B T K D"], layer: int
    ) -> tuple[Float[Tensor, "B S K D"], Float[Tensor, "B S K D"], Int[Tensor, "B *T S"] | None]:
        """Keep a layer's new keys and values. Returns all slots' keys, values and positions (NEVER: empty); None may
        stand for the positions where there is one new token which is known to see every slot."""
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


class Cache(State, KVCache):
    """The text so far, and for each layer `kv[layer]`: keys and values, (B, slots, K, D) each.

    A kind of cache says where a layer's new tokens go: `place`. A verb builds what is new (`cropped`, `selected`,
    `empty`), then changes all of it at once: whatever interrupts it, the cache is as before, or done, or says so.
    """

    @lasting
    def __init__(self, config: Config, batch_size: int = 1, dtype: Dtype = None, device: Device = None):
        self.config, self.dtype, self.device = config, usable_dtype(dtype), usable_device(device)
        self.become(**self.empty(whole_number("batch_size", batch_size, least=1)))

    @alone
    def serve(self, model, batch_size):
        checks.serve(self, model, batch_size)
        self.know(model)

    @alone
    def admit(self, positions, ids=None):
        checks.admit(self, positions, ids)
        self.become(text=self.text.append(positions, ids), layers_written=0)

    @alone
    def update(self, k, v, layer):
        checks.update(self, k, v, layer)
        keys, values, positions = self.store(k, v, layer)
        self.layers_written = layer + 1
        return keys, values, None if self.hides_nothing(layer, keys.shape[1]) else positions

    def store(self, k, v, layer):
        at, (keys, values) = self.place(layer), self.tensors(layer)
        keys[at], values[at] = k, v
        return keys[:, : self.length], values[:, : self.length], self.positions

    def place(self, layer: int) -> tuple:
        """The index of the slots for a layer's new tokens, after making room if there is none."""
        raise NotImplementedError

    @alone
    @lasting
    def crop(self, count: int) -> None:
        checks.crop(self, count)
        self.become(**self.cropped(self.length + count))

    @alone
    @lasting
    def select(self, rows: Int[Tensor, " N"] | list[int]) -> None:
        self.become(**self.selected(checks.row_numbers(self, rows)))

    @alone
    @lasting
    def reset(self):
        self.become(**self.empty(self.batch_size))

    def cropped(self, left: int) -> dict:
        return {"text": self.text.crop(left), "layers_written": self.config.n_layer}

    def selected(self, rows: Int[Tensor, " N"]) -> dict:
        kv = [tuple(kept[rows] for kept in layer) for layer in self.kv]
        return {"text": self.text.select(rows), "kv": kv}

    def empty(self, rows: int) -> dict:
        kv = [(self.shelf(rows, layer), self.shelf(rows, layer)) for layer in range(self.config.n_layer)]
        return {"text": Text.empty(rows, self.device), "layers_written": len(kv), "kv": kv, "unfinished": ""}
