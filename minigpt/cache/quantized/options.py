"""The options of a quantized cache, ours and transformers', and the codecs that they name."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from minigpt.cache.quantized.codec import Codec, group_shape
from minigpt.cache.quantized.formats import Float8, HalfQuadratic, MinMax
from minigpt.config import Config


class Backend(NamedTuple):
    """nbits, group_key, group_value: unless told otherwise. axes: transformers' axes, and the group that each means."""

    format: Callable[[int], MinMax | Float8]
    nbits: int
    group_key: str
    group_value: str
    axes: dict[int, str]


BACKENDS = {
    "quanto": Backend(MinMax, 4, "token", "token", {0: "token", -1: "channel"}),
    "hqq": Backend(HalfQuadratic, 4, "token", "token", {1: "token"}),
    "fp8": Backend(Float8, 8, "tensor", "tensor", {}),
    "kivi": Backend(MinMax, 2, "channel", "token", {}),
}

Choice = tuple[str | None, int | None]  # the name of a group, or transformers' axis, or neither


def codecs(
    config: Config, backend: str, nbits: int | None, size: int, keys: Choice, values: Choice, dtype: torch.dtype
) -> tuple[Codec, Codec]:
    """That of the keys and that of the values. Raises ValueError for what doesn't fit."""
    if backend not in [*BACKENDS]:
        raise ValueError(f"no backend is named {backend!r}; there are {', '.join(BACKENDS)}")
    usual, token_shape = BACKENDS[backend], (config.n_kv_head, config.head_size)
    names = group_name(backend, *keys) or usual.group_key, group_name(backend, *values) or usual.group_value
    format = usual.format(usual.nbits if nbits is None else nbits)
    key, value = (Codec(format, group_shape(name, size, *token_shape), token_shape, dtype) for name in names)
    return key, value


def group_name(backend: str, name: str | None, axis: int | None) -> str | None:
    """That of the groups that were asked for by name or by transformers' axis; None where they were not."""
    if axis is None:
        return name
    if name is not None:
        raise ValueError(f"axis {axis} and group {name!r} both say what shares a scale: give one of them")
    axes = BACKENDS[backend].axes
    if axis not in [*axes]:
        can = ", ".join(f"{axis} ({name})" for axis, name in axes.items()) or "none"
        raise ValueError(
            f"axis {axis!r} of {backend} can't be rounded once, token by token; its axes here: {can}"
            + ("; hqq's axis 0 gives one scale to numbers of all rows, heads and tokens" if backend == "hqq" else "")
        )
    return axes[axis]
