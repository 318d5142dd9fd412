"""What each cache holds, writes, copies and moves, in closed forms, pass by pass: each equals what `trace` counts.

A forward pass is fed `new` tokens when `past` are held. A row is a token's key and value in all layers and all rows of
the batch. Bytes of the book (16 a token) are left out.
"""

import inspect
import itertools
from dataclasses import dataclass, fields

from minigpt.config import GPTConfig


@dataclass(frozen=True)
class KVCost:
    """Of a pass, over all layers and rows of the batch; see `trace.Pass`. rows: computed.
    slots, useful: of one layer and one row of the batch."""

    rows: int
    slots: int
    useful: int
    nbytes: int
    resident: int
    written: int
    copied: int
    read: int
    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class Fed:
    """first: tokens of the first pass of the run. before: tokens that were held at the pass before this one."""

    config: GPTConfig
    itemsize: int
    batch: int
    first: int
    before: int
    past: int
    new: int

    @property
    def end(self) -> int:
        return self.past + self.new

    @property
    def row(self) -> int:
        """Bytes of a token: 2 L K D b."""
        return 2 * self.config.n_layer * self.numbers * self.itemsize

    @property
    def numbers(self) -> int:
        """Of one token's key, in one layer."""
        return self.batch * self.config.n_kv_head * self.config.head_size

    def kept(self, slots: int, **others: int) -> KVCost:
        """In a cache that keeps exact numbers in so many slots, writes each once, and reads as many as there are."""
        row, window = self.row, self.config.window
        # Of a window the first query of a pass sees W - 1 tokens before it, and all of the pass are seen by themselves.
        seen = self.end if window is None else min(self.end, window - 1 + self.new + self.config.sinks)
        held = {"nbytes": slots * row, "resident": slots * row, "written": self.new * row, "copied": 0}
        computed = self.batch * self.config.n_layer * self.new
        return KVCost(**{"rows": computed, "slots": slots, "useful": seen, "read": self.end * row} | held | others)


def none(at: Fed) -> KVCost:
    """Nothing is kept; attention reads what was just computed."""
    return at.kept(0, useful=0, written=0)


def concat(at: Fed) -> KVCost:
    """Each pass copies all that was there, so over a run 1 + 2 + ... tokens are copied."""
    return at.kept(at.end, copied=at.past * at.row)


def dynamic(at: Fed) -> KVCost:
    """Room doubles when it is full, and then all of it is copied: over a run first x (1 + 2 + 4 + ...), which is the
    room at the end less the first."""
    return at.kept(room(at.first, at.end), copied=at.past * at.row if grows(at) else 0)


def room(first: int, tokens: int) -> int:
    """The smallest first x 2^n that holds so many."""
    return first << (-(-tokens // first) - 1).bit_length()


def grows(at: Fed) -> bool:
    return at.past > 0 and room(at.first, at.end) > room(at.first, at.past)


def static(at: Fed, max_cache_len: int | None = None) -> KVCost:
    return at.kept(at.config.context if max_cache_len is None else max_cache_len)


def sliding_window(at: Fed, chunk: int | None = None) -> KVCost:
    """A ring and the sinks, read as a whole."""
    slots = ring_slots(at.config, chunk)
    return at.kept(slots, read=slots * at.row)


def ring_slots(config: GPTConfig, chunk: int | None = None) -> int:
    return config.sinks + config.window + ring_chunk(config, chunk) - 1


def ring_chunk(config: GPTConfig, chunk: int | None = None) -> int:
    """The most tokens that it takes in at once."""
    return config.window if chunk is None else chunk


def offloaded(at: Fed) -> KVCost:
    """Growing appends to a file, so nothing is copied; but layer 0, which was here already, is fetched again."""
    return down_the_ladder(at, dynamic(at).slots, fetched_again=grows(at))


def offloaded_static(at: Fed, max_cache_len: int | None = None) -> KVCost:
    return down_the_ladder(at, static(at, max_cache_len).slots, fetched_again=False)


def down_the_ladder(at: Fed, slots: int, fetched_again: bool) -> KVCost:
    """Two layers are here, the one at work and the next. Each pass fetches every layer's past, and the last prefetches
    layer 0 for the next pass, which the new tokens are in already. A single layer stays."""
    L, layer = at.config.n_layer, at.row // at.config.n_layer
    up = (L * at.past + at.new if L > 1 else 0) + (at.past if fetched_again else 0)
    return at.kept(slots, resident=slots * layer * min(2, L), up=up * layer, down=at.new * at.row)


# backend: (bits, numbers kept for each group beside its codes, groups of keys, of values)
FORMATS = {
    "quanto": (4, 2, "token", "token"),
    "hqq": (4, 2, "token", "token"),
    "fp8": (8, 1, "tensor", "tensor"),
    "kivi": (2, 2, "channel", "token"),
}


def quantized(
    at: Fed,
    backend: str = "quanto",
    nbits: int | None = None,
    q_group_size: int = 64,
    residual_length: int = 128,
    group_key: str | None = None,
    group_value: str | None = None,
) -> KVCost:
    """Codes, scales and zero-points of old tokens, and the newest exactly. Attention is handed full numbers for all."""
    bits, parameters, *groups = FORMATS[backend]
    held = written = copied = 0
    for group in (group_key or groups[0], group_value or groups[1]):
        exact = at.config.n_layer * at.numbers * at.itemsize  # bytes of a token of keys, or of values
        tokens, sharing = block(group, q_group_size, at.config)
        numbers = at.config.n_layer * at.numbers * tokens
        nbytes = numbers * (nbits or bits) // 8 + numbers // sharing * parameters * at.itemsize  # of a block
        old, now = (max(0, past - residual_length) // tokens for past in (at.before, at.past))  # blocks
        held += now * nbytes + (at.end - now * tokens) * exact
        written += at.new * exact + (now - old) * nbytes
        copied += (at.past - now * tokens) * exact + (old * nbytes if now > old else 0)
    return at.kept(at.end, nbytes=held, resident=held, written=written, copied=copied)


def block(group: str, size: int, config: GPTConfig) -> tuple[int, int]:
    """Tokens that are rounded together, and numbers that share a scale."""
    D = config.head_size
    if group == "token":
        return max(1, size // D), size
    return size, size * {"channel": 1, "head": D, "tensor": D * config.n_kv_head}[group]


FORMS = {form.__name__: form for form in (none, concat, dynamic, static, sliding_window, quantized)}
FORMS |= {"offloaded": offloaded, "offloaded_static": offloaded_static}


def kv_costs(
    name: str,
    config: GPTConfig,
    prompt: int,
    new_tokens: int,
    *,
    itemsize: int,
    batch: int = 1,
    prefill_chunk_size: int | None = None,
    **options,
) -> list[KVCost]:
    """Of each pass of a generation through the named cache, as `trace` counts them. itemsize: bytes of a number.
    options: those of make_cache that change sizes. Raises ValueError for a cache or an option without a form."""
    if name not in FORMS:
        raise ValueError(f"no cost is known of a cache named {name!r}; there are {', '.join(FORMS)}")
    known = list(inspect.signature(FORMS[name]).parameters)[1:]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"no form knows what {', '.join(unknown)} costs in {name}; it knows {', '.join(known) or 'none'}"
        )
    if name == "sliding_window" and config.window is None:
        raise ValueError("a ring wants a window: this config has none, and its model sees all tokens before")
    if "max_cache_len" in known:
        options.setdefault("max_cache_len", prompt + new_tokens - 1)  # the last token is never fed
    most = ring_chunk(config, **options) if name == "sliding_window" else prompt
    steps = without_cache(prompt, new_tokens)
    if name != "none":
        steps = with_cache(prompt, new_tokens, min(prefill_chunk_size or prompt, most, prompt))
    held_before = [0, *(past for past, _ in steps[:-1])]
    feds = [
        Fed(config, itemsize, batch, steps[0][1], *held)
        for held in zip(held_before, *zip(*steps, strict=True), strict=True)
    ]
    return [FORMS[name](at, **options) for at in feds]


def with_cache(prompt: int, new_tokens: int, chunk: int) -> list[tuple[int, int]]:
    """Of each pass the tokens held and fed: the prompt in chunks, then each new token but the last."""
    starts = [*range(0, prompt, chunk), *range(prompt, prompt + new_tokens)]
    return [(start, end - start) for start, end in itertools.pairwise(starts)]


def without_cache(prompt: int, new_tokens: int) -> list[tuple[int, int]]:
    """Each pass is fed the whole text."""
    return [(0, end) for end in range(prompt, prompt + new_tokens)]


def total(costs: list[KVCost]) -> KVCost:
    """Of a generation: what is held at its end, and all that was computed and moved."""
    at_the_end = ("slots", "useful", "nbytes", "resident")
    sums = {each.name: sum(getattr(cost, each.name) for cost in costs) for each in fields(KVCost)}
    return KVCost(**sums | {name: getattr(costs[-1], name) for name in at_the_end})
