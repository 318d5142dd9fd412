"""What lossy caches forget, at a glance: few questions and little prose, so that it takes seconds."""

from collections.abc import Callable
from dataclasses import replace

from minigpt.measure.settings import SETTINGS
from minigpt.measure.sweep import Score, full, score
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
SHOWN = [setting for name in NAMES for setting in SETTINGS if setting.name == name]
PROSE = 3072  # tokens of the held-out play


def settings_of(caches: list[str]) -> list:
    """Those that belong to these caches, after the one that forgets nothing; none where that would stand alone."""
    chosen = [setting for setting in SHOWN if setting.cache in (*caches, "dynamic")]
    return chosen if len(chosen) > 1 else []


def glance(
    model, settings: list, questions: int, seed: int = 0, on_score: Callable[[Score], None] = lambda score: None
) -> list[Score]:
    """A score for each setting. questions: at each distance. on_score: called after each.

    Raises ValueError where the model itself remembers too little.
    """
    if not settings:
        return []
    text = held_out()
    reference = full(model, questions, seed, replace(text, ids=text.ids[:PROSE]))
    scores = []
    for setting in settings:
        scores.append(score(model, setting, reference))
        on_score(scores[-1])
    return scores
