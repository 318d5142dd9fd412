"""The options of a quantized cache, ours and transformers', and the codecs that they name."""

from functools import partial

import torch

from minigpt.cache.groups import Once, box
from minigpt.cache.quantize import Float8, HalfQuadratic, MinMax
from minigpt.cache.requantize import Again
from minigpt.config import GPTConfig

# backend: (number format, its bits unless told, groups of keys and of values unless told, what transformers' axes mean)
BACKENDS = {
    "quanto": (MinMax, 4, ("token", "token"), {0: "token", -1: "channel"}),
    "hqq": (HalfQuadratic, 4, ("token", "token"), {1: "token"}),
    "fp8": (Float8, 8, ("tensor", "tensor"), {}),
    "kivi": (MinMax, 2, ("channel", "token"), {}),
}

# The same for requantize=True: the number format, and what the axes mean there.
AGAIN = {
    "quanto": (MinMax, {0: "neighbours", -1: "rows"}),
    "hqq": (partial(HalfQuadratic, stops=True), {0: "strided", 1: "neighbours"}),
}


def codecs(
    config: GPTConfig,
    backend: str,
    nbits: int | None,
    size: int,
    kinds: tuple[tuple[str | None, int | None], tuple[str | None, int | None]],
    dtype: torch.dtype,
    requantized_rows: int | None = None,
) -> list[Once]:
    """That of the keys and that of the values; kinds: of each the group by name, or transformers' axis, or neither.

    requantized_rows: rows of the batch, where all is to be rounded again at each flush.
    Raises ValueError for what doesn't fit.
    """
    if backend not in BACKENDS:
        raise ValueError(f"no backend is named {backend!r}; there are {', '.join(BACKENDS)}")
    form, bits, defaults, _ = BACKENDS[backend]
    heads = config.n_kv_head, config.head_size
    if requantized_rows is not None:
        form, axes = again(backend, 4 if nbits is None else nbits, kinds)
        return [Again(form, (1, 1, size), heads, dtype, axis, requantized_rows) for axis in axes]
    names = [name_of(backend, *kind) or default for kind, default in zip(kinds, defaults, strict=True)]
    form = form(bits if nbits is None else nbits)
    return [Once(form, box(name, size, *heads), heads, dtype) for name in names]


def again(backend: str, nbits: int, kinds) -> tuple[MinMax, list[str]]:
    """The form, and how transformers cuts keys and values into groups (its default is axis 0)."""
    if backend not in AGAIN or any(group is not None for group, _ in kinds):
        raise ValueError(f"requantize=True goes with backend {' or '.join(AGAIN)}, axis_key and axis_value")
    form, names = AGAIN[backend]
    axes = [0 if axis is None else axis for _, axis in kinds]
    if not set(axes) <= set(names):
        raise ValueError(f"{backend} has the axes {', '.join(map(str, names))}, got {axes[0]} and {axes[1]}")
    return form(nbits), [names[axis] for axis in axes]


def name_of(backend: str, group: str | None, axis: int | None) -> str | None:
    """The name of the groups that were asked for by name or by transformers' axis; None where they were not."""
    if axis is None:
        return group
    if group is not None:
        raise ValueError(f"axis {axis} and group {group!r} both say what shares a scale: give one of them")
    names = BACKENDS[backend][3]
    if axis not in names:
        can = ", ".join(f"{axis} ({name})" for axis, name in names.items()) or "none"
        raise ValueError(
            f"axis {axis!r} of {backend} can't be rounded once, token by token; its axes here: {can}"
            + (
                "; hqq's axis 0 gives one scale to numbers of all rows, heads and tokens: requantize=True"
                if backend == "hqq"
                else ""
            )
        )
    return names[axis]
