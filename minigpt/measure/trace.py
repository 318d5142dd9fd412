"""A generation written down in full: what each forward pass computed, and what its cache held and moved."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from minigpt.attention import NEVER, sees
from minigpt.cache import KVCache
from minigpt.config import GPTConfig
from minigpt.generate import next_logits
from minigpt.measure.cost import Flops
from minigpt.measure.flops import counting, flops_of
from minigpt.measure.meter import Meter
from minigpt.measure.traffic import Traffic
from minigpt.request import new_cache, plan
from minigpt.sampling import greedy


@dataclass
class Pass:
    """One forward pass: a chunk of the prompt, or one decoded token, or, without a cache, the whole text again.

    Bytes are those of keys and values, over all rows of the batch; lists have an entry for each layer.

    past, new: tokens of a row that the cache held before, and that were fed.
    rows: K/V rows computed, by layer and position, over the batch (padding has no position).
    scored: pairs of a query and a slot that attention is given, over the batch, for one head of one layer.
    pairs: those of them that see each other.
    slots, useful: slots of one layer over the batch, and those that some query of this pass sees: no padding,
        nothing that is empty or forgotten, or that has left the window.
    nbytes: held after the pass, wherever. resident: of these, here or on their way, as each layer had its turn.
    written: of new rows, into what is kept; of a cache that rounds also the codes and scales of old ones.
    copied: moved within what is kept, to grow. read: handed to attention.
    up, down: come up the memory ladder, and gone down.
    flops: as computed, so dense in attention: what the mask hides too.
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

    Slower than the cache alone: it looks at each operation of it. So time nothing here.
    """

    def __init__(self, cache: KVCache, config: GPTConfig, counter: FlopCounterMode):
        super().__init__(cache, config)
        self.config, self.counter = config, counter
        self._passes: list[Pass] = []
        self.before = flops_of(counter)  # this pass

    @property
    def passes(self) -> list[Pass]:
        """Those that are through, and the one under way."""
        self.close()
        return self._passes

    def close(self):
        """The head comes after all that a cache sees of a pass, so its FLOPs are added when the next one begins."""
        now = flops_of(self.counter)
        if self._passes:
            self._passes[-1].flops += now - self.before
        self.before = now

    def admit(self, positions, ids=None):
        past, layers = self.length, range(self.config.n_layer)
        kept = [each for layer in layers for each in self.here(layer)]
        self.ladder = self.moved
        with Traffic() as traffic:
            k_pos = super().admit(positions, ids)
        self.close()
        seen = sees(positions, k_pos, self.config.window, self.config.sinks)[:, 0]  # (B, T, S)
        seen = seen & (positions != NEVER)[:, :, None]  # what padding looks at is nobody's business
        written, copied = zip(*(traffic.into(self.here(layer), kept) for layer in layers), strict=True)
        none = [0] * self.config.n_layer
        self._passes.append(
            Pass(
                past=past,
                new=positions.shape[1],
                rows=torch.zeros_like(self.times),
                scored=seen.numel(),
                pairs=int(seen.sum()),
                slots=len(positions) * self.room,
                useful=int(seen.any(1).sum()) if self.keeps else 0,
                nbytes=0,
                resident=[*none],
                written=[*written],
                copied=[*copied],
                read=[*none],
                up=[*none],
                down=[*none],
                flops=Flops(),
            )
        )
        return k_pos

    def update(self, k, v, layer):
        this, before = self._passes[-1], self.here(layer)
        with Traffic() as traffic:
            k, v = super().update(k, v, layer)
        written, copied = traffic.into(self.here(layer), before)
        this.rows[layer] += self.admitted
        this.written[layer] += written
        this.copied[layer] += copied
        this.read[layer] = k.nbytes + v.nbytes
        up, down = (now - then for now, then in zip(self.moved, self.ladder, strict=True))
        self.ladder = self.moved
        this.up[layer], this.down[layer] = up, down
        this.resident[layer], this.nbytes = self.resident_nbytes, self.nbytes
        this.slots = len(k) * self.room  # some caches get room layer by layer
        return k, v


@dataclass(frozen=True)
class Trace:
    """tokens: (B, T + new). passes: in order; without prefill chunks one for each new token."""

    tokens: Int[Tensor, "B N"]
    passes: list[Pass]


@torch.no_grad()
def trace(
    model, ids: Int[Tensor, "B T"], new_tokens: int, name: str, prefill_chunk_size: int | None = None, **cache_options
) -> Trace:
    """Generate greedily through the named cache, and write down each forward pass. prefill_chunk_size: as generate
    takes it. cache_options: as make_cache does."""
    text, positions = plan(model, ids, None, new_tokens)
    T, fed = ids.shape[1], text.shape[1] - 1  # the last token is never fed
    implementation = "dynamic" if name == "none" else name
    cache = new_cache(model, len(ids), fed, name != "none", implementation, cache_options)
    with counting() as counter:
        tracer = Tracer(cache, model.config, counter)
        for end in range(T, text.shape[1]):
            logits: Float[Tensor, "B V"] = next_logits(model, text, positions, end, tracer, prefill_chunk_size)
            text[:, end] = greedy(logits)
        return Trace(text, tracer.passes)
