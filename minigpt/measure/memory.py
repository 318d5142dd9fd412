"""How many bytes each cache holds for a real model, by arithmetic alone.

Keys and values only; exact numbers have 16 bits. All but the windowed form keep all tokens in all layers.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from minigpt.measure.architecture import Architecture

EXACT = 2  # bytes of a number in 16 bits
BITS = 8, 4, 2, 1
GROUP, RESIDUAL = 64, 128  # of a quantized cache, unless told otherwise
NO_LIMIT = 2**62


def nbytes(model: Architecture, tokens: int, batch: int = 1) -> int:
    """Of all tokens' keys and values, in 16 bits: what `concat` holds, and `static` with a slot for each."""
    return held(model, [tokens] * len(model.windows), batch)


def doubled_nbytes(model: Architecture, tokens: int, batch: int = 1) -> int:
    """The most that `dynamic` holds for so many: it was full with one token less, and has doubled."""
    return nbytes(model, max(tokens, 2 * (tokens - 1)), batch)


def windowed_nbytes(model: Architecture, tokens: int, batch: int = 1) -> int:
    """In each layer that has a window, only the tokens in it: rings that are fed one token at a time.

    Chunks of c tokens need c - 1 slots more in each of these layers. (A ring has its slots from the start: before
    `window` tokens have come, it holds as much as then.)
    """
    return held(model, [min(tokens, window or tokens) for window in model.windows], batch)


def quantized_nbytes(model: Architecture, tokens: int, bits: int, batch: int = 1) -> int:
    """What `quantized` holds, of groups by token: of each rounded number its bits, of each group of them a scale and
    an offset; the newest RESIDUAL + 1 tokens are exact."""
    if bits not in BITS:
        raise ValueError(f"bits must be 8, 4, 2 or 1, got {bits!r}")
    rounded = max(0, tokens - 1 - RESIDUAL)
    exact = nbytes(model, tokens - rounded, batch)
    token = 0
    for heads, size in model.kept.values():
        if heads * size * bits % 8:
            raise ValueError(f"{heads} x {size} codes of {bits} bits don't fill whole bytes")
        token += heads * size * bits // 8 + 2 * EXACT * heads * size // group(size)
    return exact + batch * len(model.windows) * rounded * token


def group(size: int) -> int:
    """How many numbers share a scale: GROUP, or what of it divides a head of that size."""
    return math.gcd(GROUP, size)


def held(model: Architecture, slots: list[int], batch: int) -> int:
    """Bytes of so many slots in each layer."""
    if batch < 1 or min(slots) < 1:
        raise ValueError(f"a batch and its tokens are 1 or more, got {batch} and {min(slots)}")
    return batch * sum(slots) * EXACT * sum(math.prod(each) for each in model.kept.values())


def growth(model: Architecture) -> int:
    """Bytes that a token adds once every window is full: those of the layers without one."""
    full = max(window or 1 for window in model.windows)
    return windowed_nbytes(model, full + 1) - windowed_nbytes(model, full)


@dataclass(frozen=True)
class Plan:
    """One cache for one model. here: bytes held for so many tokens, in the memory where the model works. below: one
    step down the memory ladder. bits: of a rounded number."""

    cache: str
    bits: int
    here: Callable[[int], int]
    below: Callable[[int], int] = lambda tokens: 0


def plans(model: Architecture, batch: int = 1, bits: tuple[int, ...] = BITS) -> list[Plan]:
    """Every cache that can serve the model; a quantized one for each number of bits."""
    exact, dynamic = partial(nbytes, model, batch=batch), partial(doubled_nbytes, model, batch=batch)
    here = min(2, len(model.windows)), len(model.windows)  # layers
    windowed = [Plan("sliding_window", 16, partial(windowed_nbytes, model, batch=batch))] * any(model.windows)
    return [
        Plan("concat", 16, exact),
        Plan("dynamic", 16, dynamic),
        Plan("static", 16, exact),
        *windowed,
        *(Plan("quantized", each, partial(quantized_nbytes, model, bits=each, batch=batch)) for each in bits),
        Plan("offloaded", 16, partial(share, dynamic, *here), dynamic),
        Plan("offloaded_static", 16, partial(share, exact, *here), exact),
    ]


def share(whole: Callable[[int], int], layers: int, of: int, tokens: int) -> int:
    return whole(tokens) * layers // of


def longest(here: Callable[[int], int], memory: int) -> int | None:
    """The most tokens that fit so many bytes: 0 where not one does, None where there is no limit."""
    tokens = bisect_right(range(1, NO_LIMIT), memory, key=here)
    return None if tokens == NO_LIMIT - 1 else tokens


def summary(model: Architecture, tokens: int, batch: int, bits: tuple[int, ...], memory: int | None) -> dict:
    """All of it for one context. memory: bytes that the longest context of each cache should fit (None: not asked)."""
    lines = []
    for plan in plans(model, batch, bits):
        line = {"cache": plan.cache, "bits": plan.bits, "nbytes": plan.here(tokens), "nbytes_below": plan.below(tokens)}
        line["nbytes_of_next_token"] = plan.here(tokens + 1) - plan.here(tokens)
        if memory is not None:
            line["longest_context"] = longest(plan.here, memory)
        lines.append(line)
    windows = [window for window in model.windows if window]
    return {
        "layers": len(model.windows),
        "layers_with_window": len(windows),
        "window": max(windows, default=None),
        "kept": {name: {"heads": heads, "size": size} for name, (heads, size) in model.kept.items()},
        "model_context": model.context,
        "nbytes_per_token": nbytes(model, 1),
        "nbytes_per_token_past_window": growth(model),
        "context": tokens,
        "batch": batch,
        "memory": memory,
        "caches": lines,
    }
