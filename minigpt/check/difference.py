"""Where an answer first differs from what was wanted."""

import math
from collections.abc import Iterable

import numpy
import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.check.hints import number_hints, shape_hints


def difference(got, want, axes: list[str], tolerance: float) -> tuple[str, str | None] | None:
    """Where got first differs from want, and what there is to see in it, if anything. None if they are the same."""
    if got is None and want is not None:
        return f"it returned None, wanted {say(want)}", "there is no `return`"
    if isinstance(got, numpy.generic):
        got = got.item()
    if isinstance(want, dict):
        return entries_differ(got, want, axes, tolerance)
    if isinstance(want, Tensor):
        return tensors_differ(got, want, axes, tolerance)
    if isinstance(want, list | tuple):
        return sequences_differ(got, want, axes, tolerance)
    if not equal(got, want, tolerance):
        return f"got {say(got)}, wanted {say(want)}", None
    if isinstance(got, type(want)) or isinstance(want, float):
        return None
    kind = "a whole number" if type(want) is int else f"a {type(want).__name__}"
    return f"got {say(got)}: the number is right, but it is a {type(got).__name__}, and {kind} is wanted", None


def equal(got, want, tolerance: float) -> bool:
    """The same value, whatever its type; a float may be off by the tolerance."""
    if isinstance(got, Tensor):
        got = got.item() if got.numel() == 1 else None
    if isinstance(want, float) and type(got) in (int, float):
        if math.isnan(want):
            return math.isnan(got)
        try:
            return math.isclose(got, want, rel_tol=tolerance, abs_tol=tolerance * 1e-6)
        except OverflowError:  # a whole number that no float reaches
            return False
    plain = isinstance(got, int | float | str | None)  # others may not compare as one
    return plain and isinstance(got, bool) == isinstance(want, bool) and got == want


def entries_differ(got, want: dict, axes, tolerance):
    """Of a dict that was returned, or of what an exercise observes."""
    if not isinstance(got, dict) or got.keys() != want.keys():
        keys = f", with {', '.join(map(repr, got)) or 'nothing in it'}" if isinstance(got, dict) else ""
        return f"got a {type(got).__name__}{keys}, wanted a dict with {', '.join(map(repr, want))}", None
    for name, wanted in want.items():
        found = difference(got[name], wanted, axes, tolerance)
        if found is not None:
            return f"{name}: {found[0]}", found[1]
    return None


def sequences_differ(got, want, axes, tolerance):
    if isinstance(got, range):
        got = [*got]
    if not isinstance(got, list | tuple):
        known = isinstance(got, Tensor | numpy.ndarray | set)
        if known and sequences_differ(listed(got), want, axes, tolerance) is None:
            return f"what it holds is right, but its type is {type(got).__name__}, and a list is wanted", None
        return f"got {say(got)}, wanted a list of {len(want)}", None
    for place, pair in enumerate(zip(got, want, strict=False)):
        found = difference(*pair, axes, tolerance)
        if found is not None:
            return f"at [{place}], {found[0]}", found[1]
    return None if len(got) == len(want) else (f"got a list of {len(got)}, wanted one of {len(want)}", None)


def tensors_differ(got, want, axes, tolerance):
    if not isinstance(got, Tensor):
        known = isinstance(got, numpy.ndarray | list | tuple)
        if known and sequences_differ(listed(got), want.tolist(), axes, tolerance) is None:
            kind = type(got).__name__
            return f"the numbers are right, but their type is {kind}, and a tensor is wanted: {say(want)}", None
        return f"got {say(got)}, wanted {say(want)}", None
    axes = axes if len(axes) == want.ndim else [*"ijklmnop"[: want.ndim]]
    if got.shape != want.shape:
        where = f"got shape {tuple(got.shape)}, wanted {tuple(want.shape)}"
        return where, next(shape_hints(got, want, axes), None)
    if kind_of(got) != kind_of(want) and (got != want).any():
        return f"got {say(got)}, wanted {say(want)}", None
    differs = apart(got, want, tolerance)
    if differs.any():
        position = differs.nonzero()[0].tolist()
        place = ", ".join(f"{axis} {at}" for axis, at in zip(axes, position, strict=True)) or "the only number"
        one, other = (number(x[tuple(position)].item()) for x in (got, want))
        count = f"{int(differs.sum())} of {differs.numel()} differ"
        hint = next(number_hints(got, want, axes, tolerance), None)
        return f"at {place}, got {one}, wanted {other} ({count})", hint
    if got.dtype != want.dtype:
        one, other = (str(x.dtype).removeprefix("torch.") for x in (got, want))
        return f"the numbers are right, but they are {one}, and {other} is wanted", None
    return None


def listed(held: Iterable) -> list:
    """In lists, however deep, and plain numbers."""
    if isinstance(held, Tensor | numpy.ndarray):
        return held.tolist()
    return [listed(each) if isinstance(each, Tensor | numpy.ndarray | list | tuple) else each for each in held]


def kind_of(tensor: Tensor) -> str:
    """No other kind of numbers is ever right where these are wanted."""
    if tensor.dtype == torch.bool or tensor.is_complex():
        return str(tensor.dtype)
    return "numbers"


def apart(got: Tensor, want: Tensor, tolerance: float) -> Tensor:
    """True where they differ: whole numbers by anything, others by more than tolerance times the largest number."""
    got, want = got.detach().cpu(), want.detach().cpu()
    if not want.is_floating_point() or not want.numel():
        return got != want
    got, want = got.double(), want.double()
    largest = want[want.isfinite()].abs().amax().item() if want.isfinite().any() else 0
    return ~torch.isclose(got, want, rtol=0, atol=tolerance * largest, equal_nan=True)


def say(value) -> str:
    """A value in a message: a tensor by its shape, what fits into one line as it is, anything else by its type."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    text = repr(value)
    if "\n" in text:
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def number(value) -> str:
    if value == NEVER:
        return "NEVER"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
