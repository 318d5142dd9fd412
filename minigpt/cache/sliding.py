"""A ring: only the window's tokens are kept, each new one in the place of one that no query will see again."""

import torch

from minigpt.attention import NEVER
from minigpt.cache.base import CacheError
from minigpt.cache.shelves import Cache
from minigpt.config import GPTConfig


class SlidingWindowCache(Cache):
    """window + chunk - 1 slots in a ring, and one apart for each sink (Xiao et al., arXiv 2309.17453, section 3.2).

    chunk: the most tokens that are fed at once (None: as many as the window). The first query of a chunk sees
    window - 1 tokens before it while the last is there already: one slot less would lose what it sees. The chunk - 1
    slots of slack also let the last `chunk` tokens be taken back.
    Raises ValueError for a model without a window.
    """

    needs_window = True

    def __init__(self, config: GPTConfig, batch_size: int = 1, chunk: int | None = None, dtype=None, device=None):
        if config.window is None:
            raise ValueError(
                "this model sees all tokens before, and a sliding window would forget those further back than it is "
                "wide: choose how much with model.with_window(64, sinks=4), or cache_config={'window': 64}"
            )
        self.largest_chunk = config.window if chunk is None else chunk
        if not isinstance(self.largest_chunk, int) or self.largest_chunk < 1:
            raise ValueError(f"chunk must be a whole number, 1 or more, got {chunk!r}")
        self.ring = config.window + self.largest_chunk - 1
        self.slots = config.sinks + self.ring
        super().__init__(config, batch_size, dtype, device)

    def reset(self):
        super().reset()
        self.oldest = 0  # the first arrival that the ring still holds

    def make_room(self, slots):
        if slots - self.length > self.largest_chunk:
            raise CacheError(
                f"{slots - self.length} tokens at once, the ring has slack for {self.largest_chunk}: feed them in "
                f"pieces, or make_cache(..., chunk={slots - self.length})"
            )

    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        self.oldest = max(self.oldest, self.length - self.ring)
        arrivals = torch.arange(self.length - self.chunk, self.length, device=self.device)
        in_ring = self.config.sinks + arrivals % self.ring
        self.chunk_slots = torch.where(positions < self.config.sinks, positions, in_ring)  # (B, T)
        return torch.cat([self.sinks_held(), self.ring_held()], dim=1)

    def sinks_held(self):
        """(B, sinks): slot p holds position p, once that has come."""
        sinks = torch.arange(self.config.sinks, device=self.device)
        come = (self.positions[:, None] == sinks[:, None]).any(-1)
        return torch.where(come, sinks, NEVER)

    def ring_held(self):
        """(B, ring): the position of the newest arrival in each slot, unless that is a sink, kept apart."""
        last = self.length - 1
        arrivals = last - (last - torch.arange(self.ring, device=self.device)) % self.ring
        held = self.positions[:, arrivals.clamp(min=0)]
        return held.masked_fill((arrivals < self.oldest) | (held < self.config.sinks), NEVER)

    def store(self, k, v, layer):
        rows = torch.arange(self.batch_size, device=self.device)[:, None]
        self.keys[layer][rows, self.chunk_slots] = k
        self.values[layer][rows, self.chunk_slots] = v
        return self.keys[layer], self.values[layer]

    def crop(self, count):
        left = self.length + count
        first_seen = max(0, left - self.config.window + 1)  # by the next token
        if count < 0 <= left and first_seen < min(left, self.oldest):
            raise CacheError(
                f"crop({count}): the next token would see back to token {first_seen}, and the ring has overwritten all "
                f"before {self.oldest}: take back at most {left - count - self.oldest - self.config.window + 1}, or "
                "feed the text again"
            )
        super().crop(count)
        self.oldest = min(self.oldest, left)
