"""What there is to see in a wrong answer: which part of it is right, and how the rest compares with the right numbers.

Only what is so is said, and no cause is guessed: a likely cause is told by the exercise that knows it.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor


def shape_hints(got: Tensor, want: Tensor, axes: list[str]) -> Iterator[str]:
    """What there is to see in a wrong shape, the most telling first. axes: names of those of want."""
    for one, other in itertools.combinations(range(want.ndim), 2):
        if got.ndim == want.ndim and got.transpose(one, other).shape == want.shape:
            yield f"{axes[one]} and {axes[other]} are swapped"
    if got.numel() == want.numel():
        yield "the numbers are as many as they should be, in another shape"
    if got.ndim != want.ndim:
        yield f"{got.ndim} axes instead of {want.ndim}"
    else:
        for axis, one, other in zip(axes, got.shape, want.shape, strict=True):
            if abs(one - other) == 1:
                yield f"one too {'many' if one > other else 'few'} along {axis}"


def number_hints(got: Tensor, want: Tensor, axes: list[str], tolerance: float) -> Iterator[str]:
    """What there is to see in wrong numbers of a right shape, the most telling first."""
    if want.dtype == torch.bool:
        yield from mask_hints(got, want)
        got, want = got.int(), want.int()
    tolerance, nearly = (tolerance, 1e-2) if want.is_floating_point() else (0.0, 0.0)  # whole numbers are equal or not
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    for name, odd in (("NaN", torch.isnan), ("infinite", torch.isinf)):
        if (odd(got) & ~odd(want)).any():
            yield f"{int((odd(got) & ~odd(want)).sum())} of {got.numel()} numbers are {name}"
    for one, other in itertools.combinations(range(want.ndim), 2):
        if want.shape[one] == want.shape[other] > 1 and close(got.transpose(one, other), want, tolerance):
            yield f"it is the right answer with {axes[one]} and {axes[other]} swapped"
    for axis, name in enumerate(axes):
        if want.shape[axis] > 1 and close(got.flip(axis), want, tolerance):
            yield f"it is the right answer in reverse order along {name}"
    for axis, name in enumerate(axes):
        if want.shape[axis] > 2:
            yield from along(got, want, axis, name, tolerance)
    yield from scale_hints(got, want, tolerance)
    if close(got, want, nearly):
        yield f"nearly right: no number is off by more than {nearly:.0%} of the largest"


def mask_hints(got: Tensor, want: Tensor) -> Iterator[str]:
    """What there is to see in a wrong mask, whose last two axes are queries and keys."""
    if torch.equal(got, ~want):
        yield "True and False are swapped: True is for what may be seen"
    if want.ndim >= 2:
        differs = got != want
        if not (differs & ~torch.eye(*want.shape[-2:], dtype=torch.bool)).any():
            yield "it differs on the diagonal alone"
        count = int(differs.sum(-1).max())
        keys = f"{count} key{'s' * (count != 1)}"
        if torch.equal(got | want, got):
            yield f"queries see what they may not, up to {keys} too many"
        if torch.equal(got & want, got):
            yield f"queries don't see all that they may, up to {keys} too few"


def along(got: Tensor, want: Tensor, axis: int, name: str, tolerance: float) -> Iterator[str]:
    """Which places along an axis are right."""
    length = want.shape[axis]
    right = [close(got.select(axis, at), want.select(axis, at), tolerance, want) for at in range(length)]
    if sum(right) == 1:
        yield f"{name} {right.index(True)} alone is right"
    elif True in right and right == sorted(right, reverse=True):
        yield f"right up to {name} {right.index(False) - 1}, wrong from {name} {right.index(False)} on"
    elif True in right and right == sorted(right):
        yield f"wrong up to {name} {right.index(True) - 1}, right from {name} {right.index(True)} on"
    for step in (1, -1):
        low, high = slice(max(step, 0), length + min(step, 0)), slice(max(-step, 0), length - max(step, 0))
        if not any(right) and close(cut(got, axis, low), cut(want, axis, high), tolerance):
            yield f"every number stands one place too {'far on' if step == 1 else 'early'} along {name}"


def scale_hints(got: Tensor, want: Tensor, tolerance: float) -> Iterator[str]:
    """Whether all numbers are off by the same factor, or by the same constant."""
    largest = want.abs().argmax()
    if want.flatten()[largest] != 0:
        factor = (got.flatten()[largest] / want.flatten()[largest]).item()
        if factor == -1:
            yield "the sign is wrong"
        if factor not in (0, 1) and close(got, factor * want, tolerance):
            yield f"every number is {factor:.4g} times what it should be"
    if want.numel() > 1 and close(got - got.flatten()[0] + want.flatten()[0], want, tolerance):
        yield f"every number is off by {(got - want).flatten()[0].item():.4g}"


def close(got: Tensor, want: Tensor, tolerance: float, scale: Tensor | None = None) -> bool:
    """Equal to within tolerance times the largest number of scale (None: of want)."""
    largest = (want if scale is None else scale).abs().nan_to_num(0, 0, 0).amax().item() if want.numel() else 0
    return torch.allclose(got, want, rtol=0, atol=tolerance * max(largest, 1e-12), equal_nan=True)


def cut(x: Tensor, axis: int, piece: slice) -> Tensor:
    return x[(slice(None),) * axis + (piece,)]
