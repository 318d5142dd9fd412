"""Compare a student's answer with a reference."""

import copy
import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from minigpt.check.difference import difference, say


class WrongAnswer(AssertionError):  # noqa: N818 (the name says it)
    """What an answer got wrong. The message says where it first differs, and the likely reason."""

    def _render_traceback_(self):
        """What IPython shows in place of a traceback, which would lead into this file."""
        return [f"✗ {self}"]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What an answer must do: return the same as the reference, for the arguments of each case.

    axes: names of the axes of what is compared, as in "B T H D", for the message.
    mistakes: functions that are known to be wrong, each by a sentence that says how. An answer that does what
        one of them does is told that sentence.
    tolerance: how far a number may be off, relative to the largest one; whole numbers must be equal.
    observe: makes what is compared of what was returned and of the arguments, as the answer left them. By default it
        is what was returned. A dict is compared entry by entry, and the message names the entry by its key.
    """

    reference: Callable
    cases: list[tuple]
    axes: str = ""
    mistakes: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-6
    observe: Callable = lambda returned, *arguments: returned

    def check(self, answer) -> None:
        """Print that the answer is right, or that it is not written yet (it raises NotImplementedError).

        Raises WrongAnswer, with the first case and position that differ, and the likely reason.
        """
        name = getattr(answer, "__name__", type(answer).__name__)
        if not callable(answer):
            raise WrongAnswer(f"got {say(answer)}, wanted a function: hand in its name, without calling it")
        for number, case in enumerate(self.cases, start=1):
            what = f"{name}, case {number} ({said(case, answer)})"
            want = self.outcome(self.reference, case)
            try:
                got = self.outcome(answer, case)
            except Exception as error:
                if isinstance(error, NotImplementedError) and not error.args:  # torch raises one too, with its reasons
                    print(f"○ {name}: not written yet. Write it in the cell above, then run both again.")
                    return
                raise WrongAnswer(f"{what}: {broke(answer, error)}") from error
            found = difference(got, want, self.axes.split(), self.tolerance)
            if found is not None:
                where, seen = found
                likely = self.known_mistake(got, case)
                why = f"\nLikely: {likely}" if likely else f"\nTo be seen: {seen}" if seen else ""
                raise WrongAnswer(f"{what}: {where}{why}")
        print(f"✓ {name}: right in {len(self.cases)} case{'s' * (len(self.cases) != 1)}.")

    def outcome(self, function: Callable, case: tuple):
        """What is to be seen of a function after it was called with a copy of the arguments."""
        arguments = copy.deepcopy(case)
        with torch.set_grad_enabled(torch.is_grad_enabled()):  # as it was, whatever an answer leaves behind
            returned = function(*arguments)
            if isinstance(returned, Iterator):  # as of `filter`: it can be looked at only once
                returned = [*returned]
            return self.observe(returned, *arguments)

    def known_mistake(self, got, case: tuple) -> str | None:
        """The sentence of the mistake that does the same as this answer."""
        for sentence, mistaken in self.mistakes.items():
            if difference(got, self.outcome(mistaken, case), [], self.tolerance) is None:
                return sentence
        return None


def check(answer, reference: Callable, *cases: tuple, **options) -> None:
    """Compare an answer with a reference, without an Exercise of a name. options: the other fields of `Exercise`."""
    Exercise(reference=reference, cases=[*cases], **options).check(answer)


def said(case: tuple, answer: Callable) -> str:
    """The arguments of a case by the names that the answer gives them."""
    try:
        taken = [*inspect.signature(answer).parameters.items()]
    except ValueError:  # a builtin that doesn't tell
        taken = []
    names = [name for name, each in taken if each.kind <= each.POSITIONAL_OR_KEYWORD]
    if len(names) != len(case):
        return ", ".join(map(say, case))
    return ", ".join(f"{name} = {say(value)}" for name, value in zip(names, case, strict=True))


def broke(answer: Callable, error: Exception) -> str:
    """What went wrong, and in which line of the answer's own file (or cell)."""
    code = getattr(inspect.unwrap(answer), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    where = f"\nIn line {lines[-1].lineno} of {lines[-1].name}: {lines[-1].line}" if lines else ""
    return f"{type(error).__name__}: {error}{where}"
