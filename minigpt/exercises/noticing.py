"""What a story shows when it is told to caches, right and broken: for the exercises of notebook 11."""

import inspect
import re
from typing import Any

from minigpt.museum import BUGS
from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.shown import ByStory
from minigpt.proof.stories import MEANINGS, steps_of
from minigpt.proof.telling import Telling
from minigpt.proof.verdict import BREAKS, EXACT, WRONG, Verdict

counts: Any = BUGS["overflow moves the counter before it raises"]
STEP = re.compile(r"(try )?\w+( -?\d+)*")
five = [
    BUGS[what]
    for what in (
        "what padding is handed is seen by a single token",
        "crop takes back one token too few",
        "select reorders the first layer only",
        "two conversations share their keys",
        "what is older than 16 tokens is forgotten",
    )
]


def judged(story, bug: BrokenCache | ChangedWord, cache: str) -> tuple[Verdict, Verdict]:
    """What the right cache and the broken one do in it."""
    check_story(story)
    return ByStory(cache, "full", story).told(bug)


def check_story(story) -> None:
    """Raises ValueError for what no story has."""
    if not isinstance(story, str):
        raise ValueError(f"a story is a string, as 'rows 0 0; feed 4', got {story!r}")
    for step in story.split("; "):
        if not STEP.fullmatch(step):
            raise ValueError(
                f"{step!r} is no step: a step is a word, and whole numbers with a space before each; between two steps "
                "stand a semicolon and a space, as in 'rows 0 0; feed 4'"
            )
    (first, _, _), *steps = steps_of(story)
    if first != "rows":
        raise ValueError(f"a story begins with its rows, as 'rows 0 0', not with {first!r}")
    for verb, numbers, _ in steps:
        if verb not in MEANINGS:
            raise ValueError(f"a story has no word {verb!r}; there are {', '.join(MEANINGS)}")
        try:
            inspect.signature(getattr(Telling, verb)).bind(None, *numbers)
        except TypeError as error:
            said = f"{verb!r} ({MEANINGS[verb]}) can't have {len(numbers)} number{'s' * (len(numbers) != 1)}"
            raise ValueError(said) from error


def shown_by(story) -> dict:
    right, broken = judged(story, counts, "static")
    _, error, *_ = [*right.how.split(": "), "", ""]
    return {"what is raised": error, "the right cache": right.verdict, "the broken cache": broken.verdict}


def noticed(story, *_) -> dict:
    """Which of the five are noticed by the story. Raises ValueError where even the right cache is not exact in it."""
    both = {bug.what: judged(story, bug, "dynamic") for bug in five}
    found = {what: "noticed" if broken.verdict in (WRONG, BREAKS) else "missed" for what, (_, broken) in both.items()}
    told = next(iter(both.values()))[0]
    if told.verdict != EXACT:
        raise ValueError(f"the right cache must be exact in it, and here: {told.verdict}. {told.how}".rstrip(". "))
    return found
