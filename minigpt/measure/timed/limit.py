"""What the closed forms say of a contestant's work: FLOPs, bytes that it can't do without, bytes that its cache moves.

A step is the one in the middle of a run, which has about the mean of all."""

from dataclasses import dataclass

from minigpt.cache import CACHES
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.flops import decode_flops, prefill_flops
from minigpt.measure.forms.generation import kv_cost_of_decode
from minigpt.measure.forms.roofline import decode_nbytes, least_seconds, prefill_nbytes
from minigpt.measure.forms.weights import weights
from minigpt.measure.timed.contestants import Contestant


@dataclass(frozen=True)
class Work:
    """flops: of attention the causal half, and the last logits. nbytes: that must be read and written, whoever does it.
    moved: that this cache reads, writes and copies (None: no closed form says)."""

    flops: int
    nbytes: int
    moved: int | None = None

    def least(self, bytes_per_second: float, flops_per_second: float) -> float:
        """Seconds that no program beats on a machine of these speeds."""
        return least_seconds(
            self.flops, self.nbytes, bytes_per_second=bytes_per_second, flops_per_second=flops_per_second
        )

    def predicted(self, bytes_per_second: float, flops_per_second: float) -> float | None:
        """Seconds, if what this cache moves goes at the memory's own speed."""
        return self.moved and Work(self.flops, self.moved).least(bytes_per_second, flops_per_second)


def prefill(contestant: Contestant, prompt: int, batch: int) -> Work:
    config, itemsize = contestant.model.config, contestant.model.dtype.itemsize
    flops = prefill_flops(config, prompt, attention="causal", logits="last", batch=batch).total
    return Work(flops, prefill_nbytes(config, prompt, itemsize=itemsize, batch=batch))


def decode(contestant: Contestant, prompt: int, new_tokens: int, batch: int) -> Work:
    """Of decoding one token. Without a cache that is the whole text anew; and codes count as such, unless they are
    read as full-width numbers."""
    tokens = prompt + max(2, new_tokens // 2)
    if not contestant.keeps:
        return prefill(contestant, tokens, batch)
    config, itemsize = contestant.model.config, contestant.model.dtype.itemsize
    size = {"itemsize": itemsize, "batch": batch}
    slots = {"max_cache_len": prompt + new_tokens - 1} if "max_cache_len" in FORMS[contestant.cache].options else {}
    cost = kv_cost_of_decode(contestant.cache, config, tokens, prompt=prompt, **size, **slots)
    least = decode_nbytes(config, tokens, **size)
    if CACHES[contestant.cache].lossy:
        least = weights(config) * itemsize + cost.nbytes + cost.written
    moved = weights(config) * itemsize + cost.read + cost.written + 2 * cost.copied + cost.up + cost.down
    flops = decode_flops(config, tokens, attention="causal", batch=batch).total
    return Work(flops, least, moved if contestant.moves else None)
