"""The graders of the notebooks' exercises: where a wrong answer first differs from the right one, and why, likely."""

import copy
import itertools
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minigpt.hints import number_hints, shape_hints


class WrongAnswer(AssertionError):  # noqa: N818 (the name says it)
    """What an exercise's answer got wrong. The message says where first, and why that is likely."""

    def _render_traceback_(self):
        """What IPython shows in place of a traceback, which would lead into this file."""
        return [f"✗ {self}"]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What `check` holds an answer to: see there. Kept apart from the notebook, so that it doesn't give itself away."""

    reference: Callable
    cases: list[tuple]
    axes: str = ""
    mistakes: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-6

    def check(self, answer: Callable) -> None:
        check(answer, self.reference, *self.cases, axes=self.axes, mistakes=self.mistakes, tolerance=self.tolerance)


def check(
    answer: Callable,
    reference: Callable,
    *cases: tuple,
    axes: str = "",
    mistakes: dict[str, Callable] | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Hold a function to a reference: both are called with the arguments of each case, and must return the same.

    axes: names of the axes of what is returned, as in "B T H D", for the message.
    mistakes: functions that are known to be wrong, each by a sentence that says how. An answer that returns what
        one of them returns is told that sentence.
    tolerance: how far a number may be off, relative to the largest one.
    An answer that raises NotImplementedError is not written yet: that is said, and is no mistake.
    Raises WrongAnswer, with the first case and position that differ.
    """
    name = answer.__name__
    for number, case in enumerate(cases, start=1):
        want = reference(*copy.deepcopy(case))
        try:
            got = answer(*copy.deepcopy(case))
        except NotImplementedError:
            print(f"○ {name}: not written yet. Write it in the cell above, then run both again.")
            return
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error}\nIn line {line.lineno} of {line.name}: {line.line}"
            raise WrongAnswer(f"{name}, case {number} ({said(case)}): {what}") from error
        found = difference(got, want, axes.split(), tolerance)
        if found is not None:
            where, why = found
            for sentence, mistaken in (mistakes or {}).items():
                if difference(got, mistaken(*copy.deepcopy(case)), [], tolerance) is None:
                    why = sentence  # a better guess than what the numbers look like
                    break
            raise WrongAnswer(f"{name}, case {number} ({said(case)}): {where}" + (f"\nLikely: {why}" if why else ""))
    print(f"✓ {name}: right in {len(cases)} case{'s' * (len(cases) != 1)}.")


def difference(got, want, axes: list[str], tolerance: float) -> tuple[str, str | None] | None:
    """Where got first differs from want, and why, likely. None where they are the same."""
    if got is None and want is not None:
        return f"it returned None, wanted {said([want])}", "there is no `return`"
    if isinstance(want, Tensor):
        return tensors_differ(got, want, axes, tolerance)
    if isinstance(want, list | tuple):
        return sequences_differ(got, want, axes, tolerance)
    if isinstance(want, float) and isinstance(got, int | float):
        same = math.isclose(got, want, rel_tol=tolerance, abs_tol=tolerance * 1e-6)
    else:
        same = isinstance(got, type(want)) and got == want
    return None if same else (f"got {said([got])}, wanted {said([want])}", None)


def sequences_differ(got, want, axes, tolerance):
    if not isinstance(got, list | tuple):
        return f"got {said([got])}, wanted {len(want)} things", None
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
        return f"got {said([got])}, wanted {said([want])}", None
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
    """True where they differ: whole numbers at all, others by more than tolerance times the largest one."""
    if not want.is_floating_point() or not want.numel():
        return got != want
    got, want = got.detach().double().cpu(), want.detach().double().cpu()
    largest = want[want.isfinite()].abs().amax().item() if want.isfinite().any() else 0
    return ~torch.isclose(got, want, rtol=0, atol=tolerance * largest, equal_nan=True)


def said(values) -> str:
    """Values in a message: a tensor by its shape, others as they are, cut short."""
    return ", ".join(
        f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
        if isinstance(value, Tensor)
        else text
        if len(text := repr(value)) <= 60
        else text[:57] + "..."
        for value in values
    )
