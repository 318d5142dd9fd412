"""What shows a bug: a story of the proof, or, where no story does, a check of its suite."""

import json
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path

from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.proof.oracles import one_pass
from minigpt.proof.our_caches import house
from minigpt.proof.suite import all_checks
from minigpt.proof.tell import tell
from minigpt.proof.verdict import BREAKS, WRONG, Verdict

RECORDED = Path(__file__).with_name("shortest.json")  # python -m minigpt bugs --measure minigpt/museum/shortest.json

our_house = remember(house)


@dataclass(frozen=True)
class Seen:
    """What a run with the bug shows. token: the first wrong one (None: none is, or a check doesn't tell it). off: by
    how much a logit is wrong at most. says: an error, or the first line of what the check says."""

    token: int | None
    off: float | None
    says: str


@dataclass(frozen=True)
class ByStory:
    """cache, rule, story: as in minigpt/proof/stories.py. The right code judges: it computes the uncached answers."""

    cache: str
    rule: str
    story: str

    def __str__(self) -> str:
        return f"{self.cache}, {self.rule}: {self.story}"

    def told(self, bug: BrokenCache | ChangedWord) -> tuple[Verdict, Verdict]:
        """Without the bug, and with it. The uncached answers of the first are remembered, and judge the second."""
        one_pass.cache_clear()
        house = our_house(self.cache)
        right = tell(house, self.rule, self.story)
        with bug.planted():
            return right, tell(house, self.rule, self.story)

    def run(self, bug: BrokenCache | ChangedWord) -> Seen | None:
        """None if nothing is wrong, or even the right code can't tell this story."""
        right, broken = self.told(bug)
        if right.verdict in (WRONG, BREAKS) or broken.verdict not in (WRONG, BREAKS):
            return None
        return Seen(broken.token, broken.off, broken.how)


@dataclass(frozen=True)
class ByCheck:
    """check, arguments: as minigpt/proof/suite.py lists them. The bug may be in the uncached run as well."""

    check: str
    arguments: tuple

    def __str__(self) -> str:
        return f"the suite's {self.check}({', '.join(map(str, self.arguments))})"

    def run(self, bug: BrokenCache | ChangedWord) -> Seen | None:
        (function,) = (each for name, each, given in all_checks() if (name, given) == (self.check, self.arguments))
        one_pass.cache_clear()
        function(*self.arguments)
        one_pass.cache_clear()
        with bug.planted():
            return failure(function, self.arguments)


def failure(check, arguments) -> Seen | None:
    try:
        check(*arguments)
    except (NameError, AttributeError):
        raise  # the bug itself is broken, and shows nothing
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        return Seen(None, None, line if isinstance(error, AssertionError) else f"{type(error).__name__}: {line}")
    return None


def first_check(bug: BrokenCache | ChangedWord) -> ByCheck | None:
    """The first check of the suite that notices it, of the caches that must."""
    one_pass.cache_clear()
    with bug.planted():
        for name, check, arguments in all_checks():
            theirs = not bug.noticed_by or {*bug.noticed_by} & {*arguments}
            if theirs and failure(check, arguments):
                return ByCheck(name, arguments)
    return None


def recorded() -> dict[str, tuple[ByStory | ByCheck, Seen]]:
    """By what goes wrong: what shows each bug, and what a run of that showed."""
    found = {}
    for what, (by, seen) in json.loads(RECORDED.read_text(encoding="utf-8")).items():
        shown = ByStory(**by) if "story" in by else ByCheck(by["check"], tuple(by["arguments"]))
        found[what] = shown, Seen(**seen)
    return found
