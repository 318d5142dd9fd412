"""What lossy caches forget, measured in seconds: by few questions and little prose."""

from collections.abc import Callable
from dataclasses import replace

from minigpt.measure.quality.scores import Score, score_all
from minigpt.measure.quality.settings import SETTINGS, Setting
from minigpt.recall.corpus import held_out

NAMES = (
    "dynamic",
    "window 64, 4 sinks",
    "int8, keys by token, values by token",
    "int4, keys by token, values by token",
    "int2, keys by token, values by token",
    "int2, keys by channel, values by token",
    "int2, keys by head, values by head",
    "int2, keys by tensor, values by tensor",
    "int1, keys by channel, values by token",
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
SHOWN = [BY_NAME[name] for name in NAMES]
PROSE = 3072  # tokens of the held-out play


def settings_of(caches: list[str]) -> list[Setting]:
    """The settings to show for these caches, first `dynamic`, which forgets nothing; none if it would be alone."""
    chosen = [setting for setting in SHOWN if setting.cache in (*caches, "dynamic")]
    return chosen if len(chosen) > 1 else []


def quick_scores(
    model, settings: list[Setting], questions: int, on_score: Callable[[Score], None], workers: int = 1
) -> list[Score]:
    """A score for each setting. questions: at each distance. on_score: called after each. workers: how many settings
    are measured side by side.

    Raises ValueError if the model itself remembers too little.
    """
    text = held_out()
    prose = replace(text, ids=text.ids[:PROSE])
    return score_all(model, settings, questions, on_score=on_score, text=prose, workers=workers)
