"""A ring: only the window's tokens are kept, each new one in the place of one that no query will see again."""

import torch

from minigpt.attention import NEVER
from minigpt.cache import in_place
from minigpt.cache.dynamic import ConcatCache
from minigpt.cache.errors import CacheError
from minigpt.config import Config, whole_number
from minigpt.places import Device, Dtype


class SlidingWindowCache(ConcatCache):
    """Each layer has window + chunk - 1 slots in a ring, and a slot of its own for each sink (Xiao et al., arXiv
    2309.17453, section 3.2). A layer without a window keeps all tokens, as ConcatCache does.

    chunk: the most tokens that are fed at once (None: as many as the narrowest window). While the last token of a chunk
    is stored already, its first query still sees window - 1 tokens before itself: one slot fewer would overwrite one of
    them. The chunk - 1 slots of slack also let the last `chunk` tokens be taken back.
    Raises ValueError for a model without a window.
    """

    needs_window = True
    beside = ("oldest",)  # a ring that was cropped lacks more than one that was only fed
    largest_chunk: int
    oldest: list[int]  # of each layer, the oldest token that is not overwritten

    def __init__(
        self,
        config: Config,
        batch_size: int = 1,
        chunk: int | None = None,
        dtype: Dtype = None,
        device: Device = None,
    ):
        if config.window is None:
            raise ValueError(
                "this model sees all tokens before, and a sliding window would forget those further back than it is "
                "wide: choose how much with model.with_window(64, sinks=4), or cache_config={'window': 64}"
            )
        self.largest_chunk = min(filter(None, config.windows)) if chunk is None else whole_number("chunk", chunk, 1)
        slack = self.largest_chunk - 1
        self.rings = [window and window + slack for window in config.windows]  # slots of each layer's ring, if any
        self.moves = "" if all(self.rings) else "grows in the layers that have no window"
        super().__init__(config, batch_size, dtype, device)

    def slots(self, layer):
        return self.config.sinks + self.rings[layer] if self.rings[layer] else 0

    def place(self, layer):
        sinks, ring, first = self.config.sinks, self.rings[layer], self.length - self.text.new
        self.oldest[layer] = max(self.oldest[layer], self.length - ring)
        past_sinks = not sinks or (self.text.plain and first >= sinks)
        if past_sinks and first % ring + self.text.new <= ring:  # it does not go round
            return slice(None), slice(sinks + first % ring, sinks + first % ring + self.text.new)
        positions, in_ring = self.positions[:, -self.text.new :], sinks + self.text.arrivals % ring
        if past_sinks:
            return slice(None), in_ring
        rows = torch.arange(self.batch_size, device=self.device)[:, None]
        return rows, torch.where(positions < sinks, positions, in_ring)  # slot p is that of sink p

    def store(self, k, v, layer):
        if not self.rings[layer]:
            return super().store(k, v, layer)
        at, kept = self.place(layer), self.tensors(layer)
        for shelf, new in zip(kept, (k, v, self.positions[:, -self.text.new :]), strict=True):
            shelf[at] = new
        return kept

    crop = in_place.crop

    def wipe(self, left):
        for keys, values, *ring in self.kv:
            for held in ring:
                keys[held == NEVER] = values[held == NEVER] = 0

    def cropped(self, left):
        for window, oldest in zip(self.config.windows, self.oldest, strict=True):
            first_seen = max(0, left - window + 1) if window else 0  # by the next token
            if first_seen < min(left, oldest):
                raise CacheError(
                    f"crop({left - self.length}): the next token would see back to token {first_seen}, and the ring "
                    f"has overwritten all before {oldest}: take back at most {self.length - oldest - window + 1}, or "
                    "feed the text again"
                )
        new = super().cropped(left)
        gone = new["text"].next_position
        kept = [
            (keys, values, *(held.masked_fill(held >= gone, NEVER) for held in ring)) for keys, values, *ring in self.kv
        ]
        return new | {"kv": kept, "oldest": [min(oldest, left) for oldest in self.oldest]}

    def empty(self, rows):
        """A ring also keeps each slot's position."""
        new = super().empty(rows)
        for layer, ring in enumerate(self.rings):
            if ring:
                nothing = torch.full((rows, self.slots(layer)), NEVER, device=self.device)
                new["kv"][layer] += (nothing,)
        return new | {"oldest": [0] * len(self.rings)}

    def state(self):
        return [*super().state(), self.oldest]
