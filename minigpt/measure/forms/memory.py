"""How many bytes each cache holds for a real model, by arithmetic alone.

Keys and values only; exact numbers have 16 bits. All but a sliding window keep all tokens in all layers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.forward_pass import ForwardPass, KVCost
from minigpt.measure.forms.generation import checked
from minigpt.measure.forms.quantized import BITS

MOST = 10**15  # tokens, and rows
EXACT = 2  # bytes of a number in 16 bits
FLAT = 1024
# Options that the model doesn't settle: a ring is fed one token at a time (chunks of c tokens need c - 1 slots more in
# each layer that has a window), and a quantized cache has groups as large as the size of a head allows.
WIDEST: dict = {"q_group_size": None}
OPTIONS: dict[str, dict] = {"sliding_window": {"chunk": 1}, "quantized": WIDEST, "quantized_static": WIDEST}


def held(name: str, model: Architecture, tokens: int, batch: int = 1, **options) -> KVCost:
    """The cost of the named cache at so many tokens, in 16 bits. They are fed as a prompt of all but one, then the last
    one: so `dynamic` has just doubled, and holds the most that it can.

    A window is counted no wider than the text: until it is full, its layers keep all tokens.
    """
    if batch < 1 or tokens < 1:
        raise ValueError(f"a batch and its tokens are 1 or more, got {batch} and {tokens}")
    model = replace(model, windows=tuple(window and min(window, tokens) for window in model.windows))
    at = ForwardPass(model, EXACT, batch, first=max(1, tokens - 1), before=0, past=tokens - 1, new=1)
    return FORMS[name].cost(at, **checked(name, model, OPTIONS.get(name, {}) | options, tokens))


def nbytes(model: Architecture, tokens: int, batch: int = 1) -> int:
    """Bytes of all tokens' keys and values in 16 bits: what `concat` holds, and `static` with a slot for each token."""
    return held("concat", model, tokens, batch).nbytes


def growth(model: Architecture) -> int:
    """Bytes that a token adds once every window is full: only layers without a window still grow."""
    return model.windows.count(None) * model.numbers * EXACT


@dataclass(frozen=True, eq=False)
class Plan:
    """One kind of cache for one model. bits: of each number kept."""

    cache: str
    bits: int
    model: Architecture
    batch: int
    options: dict = field(default_factory=dict)

    def held(self, tokens: int) -> KVCost:
        return held(self.cache, self.model, tokens, self.batch, **self.options)

    def here(self, tokens: int) -> int:
        """Bytes held for so many tokens in fast memory, where the model works."""
        return self.held(tokens).resident

    def peak(self, tokens: int) -> int:
        """The most that is held here at any moment while the last of so many tokens comes in. A layer that is copied
        into a longer tensor is there twice, and the last such layer comes when all others are longer already.

        Of a cache that rounds it is what is held in the end: before, it depends on how the text was fed, since a chunk
        stands there exactly until the next one comes."""
        cost = self.held(tokens)
        recopied = FORMS[self.cache].recopies and cost.copied > 0
        return cost.resident + (recopied and self.batch * (tokens - 1) * self.model.numbers * EXACT)

    def below(self, tokens: int) -> int:
        """Bytes held for so many tokens in slower memory: 0, or all of them for a cache that moves its tokens there."""
        cost = self.held(tokens)
        return cost.nbytes if cost.down else 0


def plans(model: Architecture, batch: int = 1, bits: tuple[int, ...] = BITS) -> list[Plan]:
    """Every cache that can serve the model; a quantized one for each number of bits."""
    found = []
    for name, form in FORMS.items():
        if form.keeps and (any(model.windows) or not form.needs_window):
            choices = [(each, {"nbits": each}) for each in bits] if "nbits" in form.options else [(8 * EXACT, {})]
            found += [Plan(name, count, model, batch, options) for count, options in choices]
    return found


def longest(here: Callable[[int], int], memory: int) -> int | None:
    """The most tokens that fit into `memory` bytes: 0 if not even one does, None if any number does.

    here: the bytes that so many tokens take. They must never fall, and never rise again once they have stayed the same
    for FLAT times as many tokens (not for fewer: a cache may take its slots in blocks).
    """
    fits, too_many = 0, 1
    while here(too_many) <= memory:
        if here(FLAT * too_many) == here(too_many):
            return None
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if here(middle) <= memory else (fits, middle)
    return fits


def summary(
    model: Architecture, tokens: int, batch: int, bits: tuple[int, ...], memory: int | None, weights: int = 0
) -> dict:
    """What `python -m minigpt memory` tells. memory: bytes for which it tells the longest context that fits, beside so
    many bytes of weights."""
    if max(tokens, batch) > MOST:
        raise ValueError(f"a context and a batch of {MOST:,} at most can be counted, got {tokens:,} and {batch:,}")
    lines = []
    for plan in plans(model, batch, bits):
        line = {"cache": plan.cache, "bits": plan.bits, "nbytes": plan.here(tokens)}
        line["nbytes_peak"] = None if plan.bits < 8 * EXACT else plan.peak(tokens)
        line["nbytes_below"] = plan.below(tokens)
        line["nbytes_of_next_token"] = plan.here(tokens + 1) - plan.here(tokens)
        line["longest_context"] = None if memory is None else longest(plan.peak, memory - weights)
        lines.append(line)
    windows = [window for window in model.windows if window]
    return {
        "layers": model.layers,
        "layers_with_window": len(windows),
        "window": max(windows, default=None),
        "kept": {name: {"heads": heads, "size": size} for name, (heads, size) in model.kept.items()},
        "model_context": model.context,
        "nbytes_per_token": nbytes(model, 1),
        "nbytes_per_token_past_window": growth(model),
        "context": tokens,
        "batch": batch,
        "memory": memory,
        "weights": weights,
        "caches": lines,
    }
