"""What a story shows when it is told to caches, right and broken: for the exercises of notebook 11."""

from typing import Any

from minigpt.museum import BUGS
from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.shown import ByStory
from minigpt.proof.stories import steps_of
from minigpt.proof.telling import Telling
from minigpt.proof.verdict import BREAKS, WRONG, Verdict

counts: Any = BUGS["overflow moves the counter before it raises"]
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


def judged(story: str, bug: BrokenCache | ChangedWord, cache: str) -> tuple[Verdict, Verdict]:
    """What the right cache and the broken one do in it. Raises ValueError for a verb that no story has."""
    (first, _, _), *steps = steps_of(story)
    for verb in (verb for verb, _, _ in steps if verb.startswith("_") or not callable(getattr(Telling, verb, None))):
        raise ValueError(f"a story has no verb {verb!r}")
    if first != "rows":
        raise ValueError(f"a story begins with its rows, as 'rows 0 0', not with {first!r}")
    return ByStory(cache, "full", story).told(bug)


def shown_by(story) -> dict:
    right, broken = judged(story, counts, "static")
    _, error, *_ = [*right.how.split(": "), "", ""]
    return {"what is raised": error, "the right cache": right.verdict, "the broken cache": broken.verdict}


def noticed(story, *_) -> dict:
    """What the right cache does in the story, and which of the five are noticed."""
    both = {bug.what: judged(story, bug, "dynamic") for bug in five}
    found = {what: "noticed" if broken.verdict in (WRONG, BREAKS) else "missed" for what, (_, broken) in both.items()}
    return {"the right cache": next(iter(both.values()))[0].verdict} | found
