"""Old tokens in few bits, preallocated: attention is given a number from the ring, or one that is decoded."""

import itertools

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.cache.quantized.planes import read
from minigpt.cache.quantized.ring_and_codes import RingAndCodes
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype

CHUNK = 128


class QuantizedStaticCache(RingAndCodes):
    """QuantizedCache, the same numbers, with room for max_cache_len tokens allocated once (None: the model's context).
    More tokens raise CacheFull.

    chunk: the most tokens that are fed at once (None: 128), for which the ring of exact tokens has room. Attention is
    given slots in the order of the tokens; one expression reads a slot's number from the ring or decodes it, so a
    compiled step decodes as it multiplies (`compiled`), and storage saved is attention saved. Where it is eager, all
    is decoded first. Options, and when a token is rounded: see `Rounding`; where it is kept: `RingAndCodes`.
    """

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
        codes, *parameters = self.coded(layer, which)
        decoded = read(codec, codes[:, :slots], *(each[:, : slots // codec.tokens] for each in parameters))
        return torch.where(self.exact[which, :, None, None], self.kv[layer][which][:, self.ring_slot[0]], decoded)

    def tables(self, slots: int) -> dict[str, Tensor]:
        """Of the first slots: their positions, and where they are read."""
        number, rounded = torch.arange(slots, device=self.device), torch.tensor(self.rounded, device=self.device)
        exact = (number >= rounded[:, None]) & (number < self.length)
        ring_slot = (number % self.slots(0))[None]
        return {"slot_positions": self.text.in_slots(slots), "exact": exact, "ring_slot": ring_slot}

    def in_graph(self, typical):
        """Only the slots in use are read. One block alone would be a graph of its own."""
        tables = self.tables(self.room if typical else min(self.room, self.whole(max(2 * self.step, self.length))))
        return tables | {"used": None}, [*tables.values(), *itertools.chain(*self.kv)]
