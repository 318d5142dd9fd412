"""What a story shows of a cache."""

from dataclasses import dataclass

EXACT, ROUNDS, REFUSES, BREAKS, WRONG, NOT_OFFERED = "exact", "rounds", "refuses", "breaks", "wrong", "not offered"
GRAVITY = [NOT_OFFERED, EXACT, ROUNDS, REFUSES, BREAKS, WRONG]


@dataclass(frozen=True)
class Verdict:
    """verdict: exact, or the worst that was seen. rule, story: where. off: the largest difference of a logit from the
    uncached run's, of the step that is wrong, or of all (None: nothing to compare). token: the first wrong one, counted
    from 0 with the pads. how: what it refuses, in the words of its error. script: shows what is wrong."""

    verdict: str
    rule: str
    story: str
    off: float | None = None
    token: int | None = None
    how: str = ""
    script: str = ""


def worst(verdicts: list[Verdict]) -> Verdict:
    """The gravest, of equal ones the first; of what only rounds, the one that is most off."""
    gravest = max(GRAVITY.index(each.verdict) for each in verdicts)
    found = [each for each in verdicts if each.verdict == GRAVITY[gravest]]
    return max(found, key=lambda each: each.off or 0) if found[0].verdict == ROUNDS else found[0]
