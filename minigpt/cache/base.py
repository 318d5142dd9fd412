"""The book that every cache keeps (which token, at which position), its verbs, and the cache that keeps nothing."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.config import GPTConfig


class CacheError(RuntimeError):
    """A cache was asked for what it can't do. It is as it was before the call."""


class CacheFull(CacheError):  # noqa: N818 (the name says it)
    """More tokens than the cache has slots for."""


class NoCache:
    """Keeps nothing, so every step is fed the whole text: the uncached reference of all other caches."""

    length = 0
    next_position = 0
    capacity = None
    nbytes = 0

    def __init__(self, config: GPTConfig | None = None, batch_size: int = 1, dtype=None, device=None):
        """Takes what every cache takes, so that it can stand in for any; holding nothing, it needs none of it."""

    def serve(self, config: GPTConfig, training: bool, batch_size: int) -> None:
        pass

    def admit(self, positions: Int[Tensor, "B T"], ids: Int[Tensor, "B T"] | None = None) -> Int[Tensor, "B T"]:
        return positions

    def update(
        self, k: Float[Tensor, "B T K D"], v: Float[Tensor, "B T K D"], layer: int
    ) -> tuple[Float[Tensor, "B T K D"], Float[Tensor, "B T K D"]]:
        return k, v

    def crop(self, count: int) -> None:
        _check_crop(count, self.length)

    def select(self, rows: Int[Tensor, " N"] | list[int]) -> None:
        pass

    def reset(self) -> None:
        pass


class Cache:
    """A book for all layers, and a shelf of keys and one of values for each layer.

    A forward pass over T new tokens calls `admit` once, then `update` once a layer, in order. A kind of
    cache says how its shelves grow (`make_room`) and how they are written and read (`store`).

    config: of the model to be served. batch_size: rows of a batch. dtype, device: of the keys and
    values (None: torch's defaults).
    """

    capacity: int | None = None  # the most tokens that it can take in, where there is such a limit

    def __init__(self, config: GPTConfig, batch_size: int = 1, dtype=None, device=None):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number, 1 or more, got {batch_size!r}")
        self.config = config
        self.batch_size = batch_size
        self.dtype = dtype or torch.get_default_dtype()
        self.device = torch.empty(0, device=device).device
        self.reset()

    # --- the verbs ---

    def admit(self, positions: Int[Tensor, "B T"], ids: Int[Tensor, "B T"] | None = None) -> Int[Tensor, "B S"]:
        """Enter T new tokens into the book. Returns the position that each slot holds, NEVER where it holds none.

        positions: (B, T), rising along each row; NEVER marks left padding. ids: the tokens themselves,
        where they are known, so that a later turn can be checked against them.
        Raises CacheError or CacheFull; then nothing has changed.
        """
        self._check_admit(positions)
        start, end = self.length, self.length + positions.shape[1]
        self.make_room(end)
        self._positions = grow(self._positions, start, end)
        self._ids = grow(self._ids, start, end)
        self._positions[:, start:end] = positions
        self._ids[:, start:end] = UNKNOWN if ids is None else ids
        self.length, self.chunk, self.layers_written = end, end - start, 0
        return self.positions

    def update(
        self, k: Float[Tensor, "B T K D"], v: Float[Tensor, "B T K D"], layer: int
    ) -> tuple[Float[Tensor, "B S K D"], Float[Tensor, "B S K D"]]:
        """Keep the new keys and values of a layer. Returns those of all slots, in the order that `admit` reported."""
        self._check_update(k, v, layer)
        k, v = self.store(k, v, layer)
        self.layers_written = layer + 1
        return k, v

    def crop(self, count: int) -> None:
        """crop(-n) takes the last n tokens back (a positive count is refused: it would mean 'keep n')."""
        _check_crop(count, self.length)
        if self.layers_written < self.config.n_layer and -count < self.chunk:
            raise CacheError(f"crop({count}) would keep part of a chunk that was cut short: {self._cut_short()}")
        self.length += count
        self.layers_written = self.config.n_layer

    def select(self, rows: Int[Tensor, " N"] | list[int]) -> None:
        """Row i becomes what row rows[i] was: reorder (beams), drop, repeat, in one. N becomes the batch size."""
        rows = torch.as_tensor(rows, device=self.device)
        if rows.ndim != 1 or rows.dtype != torch.int64 or not len(rows):
            raise CacheError(f"select wants a list of row numbers, got {rows.tolist()}")
        if rows.min() < 0 or rows.max() >= self.batch_size:
            raise CacheError(f"select{tuple(rows.tolist())}: this cache has rows 0 to {self.batch_size - 1}")
        with torch.inference_mode(False):
            rows = rows.clone()
            self._positions, self._ids = self._positions[rows], self._ids[rows]
            self.keys = [shelf[rows] for shelf in self.keys]
            self.values = [shelf[rows] for shelf in self.values]
        self.batch_size = len(rows)

    def reset(self) -> None:
        """Forget everything; the batch size stays."""
        self.length = 0  # tokens taken in so far, padding too
        self.chunk = 0  # how many of them came with the last admit
        self.layers_written = self.config.n_layer  # how many layers have written that chunk
        self._positions = self.zeros(0, dtype=torch.int64)
        self._ids = self.zeros(0, dtype=torch.int64)
        heads = self.config.n_kv_head, self.config.head_size
        self.keys = [self.zeros(self.capacity or 0, *heads) for _ in range(self.config.n_layer)]
        self.values = [self.zeros(self.capacity or 0, *heads) for _ in range(self.config.n_layer)]

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values held, used or not. The book (16 bytes a token, for all layers) is not counted."""
        return sum(shelf.nbytes for shelf in self.keys + self.values)

    # --- what the book knows ---

    @property
    def positions(self) -> Int[Tensor, "B n"]:
        """The position of each token taken in, NEVER for padding."""
        return self._positions[:, : self.length]

    @property
    def ids(self) -> Int[Tensor, "B n"]:
        """Each token taken in, UNKNOWN where `admit` was not told."""
        return self._ids[:, : self.length]

    @property
    def next_position(self) -> Int[Tensor, "B 1"]:
        """Where each row goes on."""
        if not self.length:
            return torch.zeros(self.batch_size, 1, dtype=torch.int64, device=self.device)
        last = self.positions[:, -1:]
        return (last + 1).masked_fill(last == NEVER, 0)

    def serve(self, config: GPTConfig, training: bool, batch_size: int) -> None:
        """The door: refuse a model or a batch that this cache can't serve."""
        if training or torch.is_grad_enabled():
            what = "the model is in training mode" if training else "gradients are on"
            raise CacheError(
                f"a KV cache is for inference, and {what}: its keys and values come from earlier calls, and no "
                "gradient flows back to them. Call model.eval() and use torch.no_grad(), or train without a cache"
            )
        if config != self.config:
            raise CacheError(f"the cache was made for {self.config}, not for this model's {config}")
        if batch_size != self.batch_size:
            raise CacheError(
                f"the cache was made for batch_size {self.batch_size}, got {batch_size} rows: "
                f"make_cache(..., batch_size={batch_size}), or select(rows)"
            )

    # --- what the kinds of cache differ in ---

    def make_room(self, slots: int) -> None:
        """Called before anything changes: have slots for so many tokens, or raise CacheFull."""
        raise NotImplementedError

    def store(self, k: Tensor, v: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Write the last chunk's keys and values of a layer, return all that there are."""
        raise NotImplementedError

    # --- checks and buffers ---

    def zeros(self, slots: int, *shape: int, dtype=None) -> Tensor:
        """(B, slots, *shape), never `empty`: a NaN in a slot that no one sees still spoils the sum."""
        with torch.inference_mode(False):  # a tensor made in inference mode can't be written outside it
            return torch.zeros(self.batch_size, slots, *shape, dtype=dtype or self.dtype, device=self.device)

    def _check_admit(self, positions):
        if self.layers_written < self.config.n_layer:
            raise CacheError(self._cut_short())
        if positions.ndim != 2 or positions.dtype != torch.int64 or not positions.shape[1]:
            raise CacheError(f"positions must be int64 of shape (B, T), got {positions.dtype} {tuple(positions.shape)}")
        if positions.shape[0] != self.batch_size:
            raise CacheError(f"the cache was made for batch_size {self.batch_size}, got {positions.shape[0]} rows")
        befores = self.positions[:, -1].tolist() if self.length else [NEVER] * self.batch_size
        for row, before in zip(positions.tolist(), befores, strict=True):
            for position in row:
                # NEVER before: so far there was only padding, and more may follow.
                if position < 0 or not (before == NEVER or before < position < NEVER):
                    raise CacheError(
                        f"positions must rise along each row, after left padding and after what the cache holds "
                        f"(next: {self.next_position.flatten().tolist()}), got {row}"
                    )
                before = position

    def _check_update(self, k, v, layer):
        if layer != self.layers_written:
            due = "admit" if self.layers_written == self.config.n_layer else f"layer {self.layers_written}"
            raise CacheError(f"update for layer {layer} out of turn: {due} comes next")
        wanted = (self.batch_size, self.chunk, self.config.n_kv_head, self.config.head_size)
        for new in (k, v):
            if new.shape != wanted or new.dtype != self.dtype or new.device != self.device:
                if layer == 0:  # nothing of the chunk is written yet: take it out of the book again
                    self.crop(-self.chunk)
                raise CacheError(
                    f"the cache keeps {wanted} {self.dtype} on {self.device}, got {tuple(new.shape)} {new.dtype} "
                    f"on {new.device}: make_cache(..., dtype=model.dtype, device=model.device)"
                )

    def _cut_short(self):
        return (
            f"the last forward pass stopped after {self.layers_written} of {self.config.n_layer} layers: "
            f"crop(-{self.chunk}) takes its tokens back"
        )


UNKNOWN = -1  # the id of a token that was admitted without one


def grow(buffer: Tensor, used: int, slots: int) -> Tensor:
    """The buffer (B, slots, ...), where it has room; else one at least twice as long with the used part copied.

    Doubling keeps the copying cheap: over a run, the lengths copied add up to less than twice the last one.
    """
    if slots <= buffer.shape[1]:
        return buffer
    slots = max(slots, 2 * buffer.shape[1])
    with torch.inference_mode(False):
        longer = buffer.new_zeros(buffer.shape[0], slots, *buffer.shape[2:])
    longer[:, :used] = buffer[:, :used]
    return longer


def _check_crop(count, length):
    if not isinstance(count, int) or count > 0:
        raise CacheError(f"crop({count!r}): crop(-n) takes the last n tokens back; counts are negative or 0")
    if -count > length:
        raise CacheError(f"crop({count}): the cache holds only {length} tokens")
