"""Likely reasons why an answer is wrong, from how its numbers compare with the right ones."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor


def shape_hints(got: Tensor, want: Tensor) -> Iterator[str]:
    """Likely reasons for a wrong shape, the likeliest first."""
    for one, other in itertools.combinations(range(want.ndim), 2):
        if got.ndim == want.ndim and got.transpose(one, other).shape == want.shape:
            yield f"axes {one} and {other} are swapped: a transpose too many, or one too few"
    if got.numel() == want.numel():
        yield "the numbers are as many as they should be, in another shape: look at the last view, reshape or squeeze"
    if got.ndim != want.ndim:
        yield f"{got.ndim} axes instead of {want.ndim}: one was summed, indexed away or added"
    else:
        for axis, (one, other) in enumerate(zip(got.shape, want.shape, strict=True)):
            if abs(one - other) == 1:
                yield f"off by one along axis {axis}: look at where a loop or a slice starts and ends"


def number_hints(got: Tensor, want: Tensor, tolerance: float) -> Iterator[str]:
    """Likely reasons for wrong numbers in a right shape, the likeliest first."""
    if want.dtype == torch.bool:
        yield from mask_hints(got, want)
        got, want = got.int(), want.int()
    tolerance, nearly = (tolerance, 1e-2) if want.is_floating_point() else (0.0, 0.0)  # whole numbers are equal or not
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    if (got.isnan() & ~want.isnan()).any():
        yield "NaN: a softmax over a row in which everything is hidden, or 0 / 0"
    if (got.isinf() & ~want.isinf()).any():
        yield "infinite: exp of a large number (take the highest off first), or a division by 0"
    for one, other in itertools.combinations(range(want.ndim), 2):
        if want.shape[one] == want.shape[other] > 1 and close(got.transpose(one, other), want, tolerance):
            yield f"transposed: axes {one} and {other} are swapped"
    for axis, length in enumerate(want.shape):
        if length > 1 and close(got.flip(axis), want, tolerance):
            yield f"the order along axis {axis} is reversed"
    for axis, length in enumerate(want.shape):
        if length > 2:
            yield from along(got, want, axis, tolerance)
    yield from scale_hints(got, want, tolerance)
    if close(got, want, nearly):
        yield "nearly right: a lower precision somewhere, or a small term left out"


def mask_hints(got: Tensor, want: Tensor) -> Iterator[str]:
    """Likely reasons for a wrong mask, whose last two axes are queries and keys."""
    if torch.equal(got, ~want):
        yield "True and False are swapped: True is for what may be seen"
    if want.ndim >= 2:
        differs = got != want
        if not (differs & ~torch.eye(*want.shape[-2:], dtype=torch.bool)).any():
            yield "only where query and key are the same token: < in place of <=, or the other way round"
        count = int(differs.sum(-1).max())
        if torch.equal(got | want, got):
            yield f"queries see what they may not, up to {count} keys too many"
        if torch.equal(got & want, got):
            yield f"queries don't see all that they may, up to {count} keys too few"


def along(got: Tensor, want: Tensor, axis: int, tolerance: float) -> Iterator[str]:
    """Likely reasons for places that are right and places that are wrong along an axis."""
    length = want.shape[axis]
    right = [close(got.select(axis, at), want.select(axis, at), tolerance, want) for at in range(length)]
    if right == [True] + [False] * (length - 1):
        yield f"only the first along axis {axis} is right: do the others read all that they should?"
    elif right == [False] * (length - 1) + [True]:
        yield f"only the last along axis {axis} is right: what holds for the newest token is done to all"
    elif True in right and right == sorted(right, reverse=True):
        wrong = right.index(False)
        yield (
            f"right up to {wrong - 1} along axis {axis}, wrong from {wrong} on: off by one in a length, a window "
            "or a position"
        )
    elif True in right and right == sorted(right):
        yield f"wrong up to {right.index(True) - 1} along axis {axis}, then right: the start is handled wrongly"
    for step in (1, -1):
        low, high = slice(max(step, 0), length + min(step, 0)), slice(max(-step, 0), length - max(step, 0))
        if not any(right) and close(cut(got, axis, low), cut(want, axis, high), tolerance):
            yield f"moved by one along axis {axis}: off by one"


def scale_hints(got: Tensor, want: Tensor, tolerance: float) -> Iterator[str]:
    """Likely reasons for numbers that are all off by the same factor, or by the same constant."""
    largest = want.abs().argmax()
    if want.flatten()[largest] != 0:
        factor = (got.flatten()[largest] / want.flatten()[largest]).item()
        if factor == -1:
            yield "the sign is wrong"
        if factor not in (0, 1) and close(got, factor * want, tolerance):
            yield f"every number is {factor:.4g} times what it should be: a scale is missing, or one too many"
    if want.numel() > 1 and close(got - got.flatten()[0] + want.flatten()[0], want, tolerance):
        yield f"every number is off by {(got - want).flatten()[0].item():.4g}"


def close(got: Tensor, want: Tensor, tolerance: float, scale: Tensor | None = None) -> bool:
    """Equal to within tolerance times the largest number of scale (None: of want)."""
    largest = (want if scale is None else scale).abs().nan_to_num(0, 0, 0).amax().item() if want.numel() else 0
    return torch.allclose(got, want, rtol=0, atol=tolerance * max(largest, 1e-12), equal_nan=True)


def cut(x: Tensor, axis: int, piece: slice) -> Tensor:
    return x[(slice(None),) * axis + (piece,)]
