"""A generation written down in full: what each forward pass computed, and what its cache held and moved."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from minigpt.arguments import plan
from minigpt.attention import NEVER, sees
from minigpt.cache import KVCache
from minigpt.cache_arguments import new_cache
from minigpt.config import Config
from minigpt.generate import steps
from minigpt.measure.counted.flops import counting, flops_of
from minigpt.measure.counted.meter import Meter
from minigpt.measure.counted.traffic import Traffic
from minigpt.measure.forms.flops import Flops
from minigpt.sampling import greedy


@dataclass
class Pass:
    """One forward pass: a chunk of the prompt, or one decoded token, or, without a cache, the whole text again.

    Bytes are those of keys and values, over all rows of the batch; lists have an entry for each layer.

    past, new: tokens of a row that the cache held before, and that were fed.
    rows: K/V rows computed, by layer and position, over the batch (padding has no position).
    scored: pairs of a query and a slot that attention is given, over the batch and all layers, for one head.
    pairs: those of them that see each other; padded queries are not counted.
    slots, useful: slots of a layer, over the batch, and those of them that at least one query of this pass sees: not
        padding, empty, forgotten or out of the window. Each for the layer that has most.
    nbytes: held after the pass, in any memory. resident: the part in fast memory or on its way there, at each layer.
    written: new rows that the cache keeps; in a cache that rounds, also the codes and scales of old ones.
    copied: kept rows moved from one place to another, as when a cache grows. read: given to attention.
    up, down: brought up from slower memory, and taken down to it.
    flops: as computed, so attention is dense: what the mask hides counts too.
    """

    past: int
    new: int
    rows: Int[Tensor, "L P"]
    scored: int
    pairs: int
    slots: int
    useful: int
    nbytes: int
    resident: list[int]
    written: list[int]
    copied: list[int]
    read: list[int]
    up: list[int]
    down: list[int]
    flops: Flops


class Tracer(Meter):
    """Writes down each forward pass, in `passes`. The model must run `with counting() as counter`.

    It looks at every operation of the cache, which is slow: time nothing here.
    """

    def __init__(self, cache: KVCache, config: Config, counter: FlopCounterMode, tokens: int = 0):
        super().__init__(cache, config, tokens)
        self.config, self.counter = config, counter
        self._passes: list[Pass] = []
        self.counted = flops_of(counter)  # before the pass under way

    @property
    def passes(self) -> list[Pass]:
        """The finished passes, and the one under way."""
        self.close()
        return self._passes

    @property
    def all_here(self) -> list[Tensor]:
        """Of all layers: one may be served while another is."""
        return [each for layer in range(self.config.n_layer) for each in self.here(layer)]

    def close(self):
        """A pass makes its logits after its last call to the cache: their FLOPs are added when the next pass begins."""
        now = flops_of(self.counter)
        if self._passes:
            self._passes[-1].flops += now - self.counted
        self.counted = now

    def admit(self, positions, ids=None):
        past, self.moved_before = self.length, self.moved
        super().admit(positions, ids)
        self.close()
        by_layer: dict[str, Any] = {
            name: [0] * self.config.n_layer for name in ("resident", "written", "copied", "read", "up", "down")
        }
        none_yet: dict[str, Any] = dict.fromkeys(("scored", "pairs", "slots", "useful", "nbytes"), 0)
        rows = torch.zeros_like(self.times)
        self._passes.append(Pass(past, self.newest.shape[1], rows, flops=Flops(), **none_yet, **by_layer))

    def update(self, k, v, layer):
        this, before = self._passes[-1], self.all_here
        with Traffic() as traffic:
            k, v, k_pos = super().update(k, v, layer)
        seen = (self.newest != NEVER)[:, :, None].expand(-1, -1, k.shape[1])  # (B, T, S)
        if k_pos is not None:
            seen = seen & sees(self.newest, k_pos, self.config.windows[layer], self.config.sinks)[:, 0]
        this.scored += seen.numel()
        this.pairs += int(seen.sum())
        this.useful = max(this.useful, int(seen.any(1).sum())) if self.keeps else 0
        written, copied = traffic.into(self.all_here, before)
        this.rows[layer] += self.admitted
        this.written[layer] += written
        this.copied[layer] += copied
        this.read[layer] = k.nbytes + v.nbytes
        up, down = (now - then for now, then in zip(self.moved, self.moved_before, strict=True))
        self.moved_before = self.moved
        this.up[layer], this.down[layer] = up, down
        this.resident[layer], this.nbytes = self.resident_nbytes, self.nbytes  # some caches get room layer by layer
        this.slots = len(k) * self.room
        return k, v, k_pos


@dataclass(frozen=True)
class Trace:
    """tokens: (B, T + new). passes: in order; without prefill chunks one for each new token."""

    tokens: Int[Tensor, "B N"]
    passes: list[Pass]


@torch.no_grad()
def trace(
    model, ids: Int[Tensor, "B T"], new_tokens: int, name: str, prefill_chunk_size: int | None = None, **cache_options
) -> Trace:
    """Generate greedily through the named cache, and write down each forward pass. prefill_chunk_size: as in generate.
    cache_options: as in make_cache."""
    text, positions = plan(model, ids, None, new_tokens)
    T, fed = ids.shape[1], text.shape[1] - 1  # the last token is never fed
    cache = new_cache(model, len(ids), fed, name, cache_options)
    with counting() as counter:
        tracer = Tracer(cache, model.config, counter, fed)
        for _ in steps(model, text, positions, T, tracer, greedy, prefill_chunk_size):
            pass
        return Trace(text, tracer.passes)
