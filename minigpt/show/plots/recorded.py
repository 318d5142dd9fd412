"""The recorded quality, and which of its settings are drawn as lines."""

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.reference import ENOUGH
from minigpt.measure.quality.scores import Score
from minigpt.measure.recorded import DATA


def recorded_quality() -> Recording:
    """The quality of the bundled model, as `python -m minigpt quality` recorded it."""
    return Recording.load(DATA / "quality.json")


def windows(scores: list[Score]) -> list[Score]:
    """The scores of windows with sinks, the narrowest first."""
    return sorted((score for score in scores if score.setting.sinks), key=lambda score: score.setting.window or 0)


def rounded(scores: list[Score]) -> list[Score]:
    """The scores of settings that group as KIVI does, keys by channel and values by token, the fewest bits first."""
    groups = {"backend": "quanto", "group_key": "channel", "group_value": "token"}
    found = [score for score in scores if groups.items() <= score.setting.options.items()]
    return sorted(found, key=lambda score: score.setting.options["nbits"])


def smallest_good(scores: list[Score]) -> Score:
    """The score with the fewest bytes that keeps the recall."""
    return min((score for score in rounded(scores) if score.recall >= ENOUGH), key=lambda score: score.nbytes)


def as_large(scores: list[Score]) -> Score:
    """The window with sinks that is nearest in bytes to the smallest good score, and not smaller."""
    least = smallest_good(scores).nbytes
    return min((score for score in windows(scores) if score.nbytes >= least), key=lambda score: score.nbytes)


def bits(score: Score) -> str:
    count = score.setting.options["nbits"]
    return f"{count} bit{'s' * (count > 1)}"
