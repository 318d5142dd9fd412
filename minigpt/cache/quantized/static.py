"""Old tokens in few bits, in memory that is all there from the start: a place for the codes of every token, and a ring
for the exact ones."""

import itertools
import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import checks
from minigpt.cache.quantized.planes import Planes, planes, read, write
from minigpt.cache.quantized.rounding import Rounding
from minigpt.cache.state import alone, lasting
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype

CHUNK = 128


class QuantizedStaticCache(Rounding):
    """QuantizedCache, the same numbers, with room for max_cache_len tokens allocated once (None: the model's context).
    More tokens raise CacheFull.

    Each layer has a ring for the exact tokens: the residual, what waits for its group to fill, and a chunk.
    chunk: the most tokens that are fed at once (None: 128). Slots stand in the order of the tokens; one expression
    reads a slot's number from the ring or decodes it, so a compiled step decodes as it multiplies (`compiled`), and
    storage saved is attention saved. Where it is eager, all is decoded first. Options, and when a token is rounded: see
    `Rounding`.
    """

    capacity: int
    largest_chunk: int
    rounded: tuple[int, int]  # how many tokens' keys are rounded, and how many tokens' values
    slot_positions: Int[Tensor, "B S"]  # of the slots that are read: whole groups
    used: int | None  # how many of them attention is given (None: all)
    exact: Bool[Tensor, "2 S"]  # whether a slot's key, and its value, lies in the ring
    ring_slot: Int[Tensor, "1 S"]  # where it does
    moves = ""

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        max_cache_len: int | None = None,
        chunk: int | None = None,
        backend: str = "quanto",
        nbits: int | None = None,
        q_group_size: int = 64,
        residual_length: int = 128,
        axis_key: int | None = None,
        axis_value: int | None = None,
        group_key: str | None = None,
        group_value: str | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        self.capacity = config.context if max_cache_len is None else whole_number("max_cache_len", max_cache_len, 1)
        self.largest_chunk = CHUNK if chunk is None else whole_number("chunk", chunk, 1)
        options = backend, nbits, q_group_size, residual_length, axis_key, axis_value, group_key, group_value
        super().__init__(config, batch_size, *options, dtype=dtype, device=device)

    @property
    def step(self) -> int:
        """Slots come in steps that groups of keys and groups of values both divide."""
        return math.lcm(*(codec.tokens for codec in self.codecs))

    def slots(self, layer):
        """Of the ring."""
        waiting = max(codec.tokens for codec in self.codecs) - 1
        return min(self.capacity, self.residual_length + waiting + self.largest_chunk)

    def whole(self, tokens: int) -> int:
        """So many slots as are read where so many tokens are held."""
        return -(-tokens // self.step) * self.step

    def place(self, layer):
        if layer == 0:
            self.round()
            self.become(**self.tables(self.whole(self.length)), used=self.length)
        return slice(None), self.text.arrivals % self.slots(layer)

    def store(self, k, v, layer):
        at = self.place(layer)
        self.kv[layer][0][at], self.kv[layer][1][at] = k, v
        keys, values = self.held(layer, 0), self.held(layer, 1)
        return keys[:, : self.used], values[:, : self.used], self.slot_positions[:, : self.used]

    def held(self, layer: int, which: int) -> Float[Tensor, "B S K D"]:
        """All keys (0) or values (1) as attention reads them: those of the ring, and the others decoded."""
        codec, slots = self.codecs[which], self.slot_positions.shape[1]
        codes, *parameters = self.planes(layer, which)
        decoded = read(codec, codes[:, :slots], *(each[:, : slots // codec.tokens] for each in parameters))
        return torch.where(self.exact[which, :, None, None], self.kv[layer][which][:, self.ring_slot[0]], decoded)

    def planes(self, layer: int, which: int) -> Planes:
        """The codes and their scales and offsets, of keys (0) or values (1)."""
        of_keys = 3 + self.codecs[0].format.parameters
        return self.kv[layer][of_keys:] if which else self.kv[layer][2:of_keys]

    def round(self) -> None:
        """What leaves the ring, in all layers at once."""
        held, rounded = self.length - self.text.new, []
        for which, (codec, first) in enumerate(zip(self.codecs, self.rounded, strict=True)):
            leaving = codec.leaving(held - first, self.residual_length)
            if leaving:
                self.leave(which, torch.arange(first, first + leaving, device=self.device))
            rounded.append(first + leaving)
        self.become(rounded=tuple(rounded))

    def leave(self, which: int, tokens: Int[Tensor, " T"]) -> None:
        """Round these tokens' keys (0) or values (1). What they are written over was empty, or taken back."""
        codec, first, end = self.codecs[which], int(tokens[0]), int(tokens[-1]) + 1
        exact = torch.cat([layer[which][:, tokens % self.slots(0)] for layer in self.kv])  # (layers B, T, K, D)
        if not exact.isfinite().all():
            why = f"a key or value of token {first} to {end - 1} is inf or NaN, which no scale spans: take them back"
            checks.refuse_chunk(self, why)
        pads = (self.positions[:, first:end] == NEVER).repeat(len(self.kv), 1)
        parts = [part.split(self.batch_size) for part in write(codec, codec.filled(exact, pads))]
        for layer in range(len(self.kv)):
            codes, *parameters = self.planes(layer, which)
            codes[:, first:end] = parts[0][layer]
            for plane, part in zip(parameters, parts[1:], strict=True):
                plane[:, first // codec.tokens : end // codec.tokens] = part[layer]

    def tables(self, slots: int) -> dict[str, Tensor]:
        """Of the first slots: their positions, and where they are read."""
        number, rounded = torch.arange(slots, device=self.device), torch.tensor(self.rounded, device=self.device)
        positions = self.positions.new_full((self.batch_size, slots), NEVER)
        positions[:, : self.length] = self.positions
        exact = (number >= rounded[:, None]) & (number < self.length)
        return {"slot_positions": positions, "exact": exact, "ring_slot": (number % self.slots(0))[None]}

    def in_graph(self, typical):
        """Only the slots in use are read. One block alone would be a graph of its own."""
        tables = self.tables(self.room if typical else min(self.room, self.whole(max(2 * self.step, self.length))))
        return tables | {"used": None}, [*tables.values(), *itertools.chain(*self.kv)]

    def cropped(self, left):
        for codec, rounded in zip(self.codecs, self.rounded, strict=True):
            self.check_whole(codec, min(left, rounded))
        return super().cropped(left) | {"rounded": tuple(min(left, rounded) for rounded in self.rounded)}

    @alone
    @lasting
    def reset(self):
        """In place: the addresses stay."""
        self.cut(0, "reset()")

    def wipe(self, left):
        for each in itertools.chain(*self.kv):
            each.zero_()

    def empty(self, rows):
        new, slots = super().empty(rows), self.room
        kv = [
            (*rings, *(plane for codec in self.codecs for plane in planes(codec, rows, slots, self.device)))
            for rings in new["kv"]
        ]
        return new | {"kv": kv, "rounded": (0, 0)}

    room = property(lambda self: self.whole(self.capacity))

    def here(self, layer):
        return [*self.kv[layer]]

    def state(self):
        return [*super().state(), self.rounded]
