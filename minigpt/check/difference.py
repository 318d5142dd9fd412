"""Where an answer first differs from what was wanted."""

import itertools
import math

import torch
from torch import Tensor

from minigpt.check.hints import number_hints, shape_hints


def difference(got, want, axes: list[str], tolerance: float) -> tuple[str, str | None] | None:
    """Where got first differs from want, and the likely reason, if there is one. None if they are the same."""
    if got is None and want is not None:
        return f"it returned None, wanted {say(want)}", "there is no `return`"
    if isinstance(want, Tensor):
        return tensors_differ(got, want, axes, tolerance)
    if isinstance(want, list | tuple):
        return sequences_differ(got, want, axes, tolerance)
    if isinstance(want, float) and isinstance(got, int | float):
        same = math.isclose(got, want, rel_tol=tolerance, abs_tol=tolerance * 1e-6)
    else:
        same = isinstance(got, type(want)) and got == want
    return None if same else (f"got {say(got)}, wanted {say(want)}", None)


def sequences_differ(got, want, axes, tolerance):
    if not isinstance(got, list | tuple):
        return f"got {say(got)}, wanted a list of {len(want)}", None
    for place, pair in enumerate(zip(got, want, strict=False)):
        found = difference(*pair, axes, tolerance)
        if found is not None:
            return f"at [{place}], {found[0]}", found[1]
    if len(got) == len(want):
        return None
    off_by_one = "off by one: look at where a loop or a slice starts and ends"
    return f"got {len(got)} things, wanted {len(want)}", off_by_one if abs(len(got) - len(want)) == 1 else None


def tensors_differ(got, want, axes, tolerance):
    if not isinstance(got, Tensor):
        return f"got {say(got)}, wanted {say(want)}", None
    if got.shape != want.shape:
        where = f"got shape {tuple(got.shape)}, wanted {tuple(want.shape)}"
        return where, next(shape_hints(got, want), None)
    if (got.dtype == torch.bool) != (want.dtype == torch.bool):
        return f"got {got.dtype}, wanted {want.dtype}", None
    differs = apart(got, want, tolerance)
    if not differs.any():
        return None
    position = differs.nonzero()[0].tolist()
    place = ", ".join(f"{axis} {at}" for axis, at in zip(axes or itertools.repeat("axis"), position, strict=False))
    one, other = (f"{x[tuple(position)].item():.6g}" for x in (got, want))
    count = f"{int(differs.sum())} of {differs.numel()} differ"
    return f"at {place or 'the only number'}, got {one}, wanted {other} ({count})", next(
        number_hints(got, want, tolerance), None
    )


def apart(got: Tensor, want: Tensor, tolerance: float) -> Tensor:
    """True where they differ: whole numbers by anything, others by more than tolerance times the largest number."""
    if not want.is_floating_point() or not want.numel():
        return got != want
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    largest = want[want.isfinite()].abs().amax().item() if want.isfinite().any() else 0
    return ~torch.isclose(got, want, rtol=0, atol=tolerance * largest, equal_nan=True)


def said(values) -> str:
    """Values for a message: a tensor by its shape, what fits into one line as it is, anything else by its type."""
    return ", ".join(map(say, values))


def say(value) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    text = repr(value)
    if "\n" in text:
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
