"""How good the model stays under each setting, and in how many bytes."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from minigpt.cache import make_cache
from minigpt.measure.quality.interval import bootstrap, wilson
from minigpt.measure.quality.reference import PROMPT_TOKENS, Reference, reference_of
from minigpt.measure.quality.settings import SETTINGS, Setting
from minigpt.recall.corpus import Text
from minigpt.recall.exam import CHUNK, bits_by_segment, right_by_distance
from minigpt.recall.questions import BINS


@dataclass(frozen=True)
class Score:
    """right: how many of `questions` are answered, at each distance of BINS. nbytes: that a prompt of PROMPT_TOKENS
    takes, in one row.

    bits_per_byte: on the held-out prose. more_bits: how many more than the reference's; more_bits_interval: the 95%
    interval of these, had the prose had other segments.
    """

    setting: Setting
    questions: int
    right: list[int]
    nbytes: int
    bits_per_byte: float
    more_bits: float
    more_bits_interval: tuple[float, float]

    @property
    def recall(self) -> float:
        """The share of all questions that are answered right."""
        return sum(self.right) / (self.questions * len(self.right))

    @property
    def recall_interval(self) -> tuple[float, float]:
        return wilson(sum(self.right), self.questions * len(self.right))

    @property
    def by_distance(self) -> dict[int, float]:
        """The share answered right in each bin of distance, by its upper edge in tokens."""
        return {high: right / self.questions for (_, high), right in zip(BINS, self.right, strict=True)}

    @property
    def intervals_by_distance(self) -> dict[int, tuple[float, float]]:
        return {high: wilson(right, self.questions) for (_, high), right in zip(BINS, self.right, strict=True)}


def score(model, setting: Setting, reference: Reference) -> Score:
    """Measure a setting on the questions and the prose of the reference."""
    served = setting.serve(model)
    right = right_by_distance(
        served, setting.cache, reference.questions, reference.seed, length=PROMPT_TOKENS, **setting.options
    )
    bits, nbytes = bits_by_segment(served, setting.cache, reference.text, **setting.options)
    more = [mine - exact for mine, exact in zip(bits, reference.bits, strict=True)]
    total = sum(nbytes)
    return Score(
        setting,
        reference.questions,
        [*right.values()],
        held(served, setting),
        math.fsum(bits) / total,
        math.fsum(more) / total,
        bootstrap(more, nbytes),
    )


@torch.no_grad()
def held(model, setting: Setting, tokens: int = PROMPT_TOKENS) -> int:
    """Bytes of keys and values that the cache of one row holds after so many tokens, fed as the questions are."""
    cache = make_cache(setting.cache, model.config, dtype=model.dtype, device=model.device, **setting.options)
    for piece in torch.zeros(1, tokens, dtype=torch.int64, device=model.device).split(CHUNK, dim=1):
        model(piece, cache=cache)
    return cache.nbytes


def score_all(
    model,
    settings: Iterable[Setting] = SETTINGS,
    questions: int = 50,
    seed: int = 0,
    on_score: Callable[[Score], None] = lambda score: None,
    text: Text | None = None,
) -> list[Score]:
    """Measure each setting on the same questions. on_score: called after each. text: the prose (None: the play)."""
    reference, scores = reference_of(model, questions, seed, text), []
    for setting in settings:
        scores.append(score(model, setting, reference))
        on_score(scores[-1])
    return scores
