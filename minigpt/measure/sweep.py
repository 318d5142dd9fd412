"""What each setting keeps of the model's quality, and in how many bytes."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from minigpt.cache import make_cache
from minigpt.measure.interval import bootstrap, wilson
from minigpt.measure.quality import CHUNK, bits_by_segment, right_by_distance
from minigpt.measure.settings import SETTINGS, Setting
from minigpt.recall.corpus import Text, held_out
from minigpt.recall.questions import BINS, QUESTION

LENGTH = 7 * CHUNK + QUESTION  # tokens of a prompt: when the question comes, whole chunks, hence whole groups, are held
ENOUGH = 0.98  # of the questions, at each distance, are answered right by a model whose caches can be compared


@dataclass(frozen=True)
class Full:
    """How the model does that reads everything exactly: what a setting is compared with, on the same questions.

    right: of `questions` at each distance of BINS. bits, nbytes: of each segment of the prose.
    Raises ValueError where it remembers too little for a cache to lose any of it.
    """

    seed: int
    questions: int
    text: Text
    right: list[int]
    bits: list[float]
    nbytes: list[int]

    def __post_init__(self):
        for (_, high), right in zip(BINS, self.right, strict=True):
            if right < ENOUGH * self.questions:
                raise ValueError(
                    f"without a cache the model answers {right} of {self.questions} questions right at distances up "
                    f"to {high}, and {ENOUGH:.0%} are wanted: what a cache makes it forget can't be told from what it "
                    "never knew. Train it further, or ask the bundled model"
                )


@dataclass(frozen=True)
class Score:
    """right: of `questions` at each distance of BINS. nbytes: held for a prompt of LENGTH tokens, of one row.

    bits_per_byte: of the held-out prose. more_bits: by how much that is above the full model's; more_bits_interval: 95%
    of it, over other segments of the prose.
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
        """Of all questions."""
        return sum(self.right) / (self.questions * len(self.right))

    @property
    def recall_interval(self) -> tuple[float, float]:
        return wilson(sum(self.right), self.questions * len(self.right))

    @property
    def by_distance(self) -> dict[int, float]:
        """The share for each bin, by its upper edge in tokens."""
        return {high: right / self.questions for (_, high), right in zip(BINS, self.right, strict=True)}

    @property
    def intervals_by_distance(self) -> dict[int, tuple[float, float]]:
        return {high: wilson(right, self.questions) for (_, high), right in zip(BINS, self.right, strict=True)}


def full(model, questions: int, seed: int, text: Text | None = None) -> Full:
    """Measure the model without a cache. text: the prose that is foreseen (None: the held-out play)."""
    text = held_out() if text is None else text
    right = right_by_distance(model, "none", questions, seed, length=LENGTH)
    return Full(seed, questions, text, [*right.values()], *bits_by_segment(model, "none", text))


def score(model, setting: Setting, full: Full) -> Score:
    """Measure a setting on the questions and the prose of the full model."""
    served = setting.serve(model)
    right = right_by_distance(served, setting.cache, full.questions, full.seed, length=LENGTH, **setting.options)
    bits, nbytes = bits_by_segment(served, setting.cache, full.text, **setting.options)
    more = [mine - exact for mine, exact in zip(bits, full.bits, strict=True)]
    total = sum(nbytes)
    return Score(
        setting,
        full.questions,
        [*right.values()],
        held(served, setting),
        math.fsum(bits) / total,
        math.fsum(more) / total,
        bootstrap(more, nbytes),
    )


@torch.no_grad()
def held(model, setting: Setting, tokens: int = LENGTH) -> int:
    """Bytes of keys and values that the cache of one row holds after so many tokens, fed as the questions are."""
    cache = make_cache(setting.cache, model.config, dtype=model.dtype, device=model.device, **setting.options)
    for piece in torch.zeros(1, tokens, dtype=torch.int64, device=model.device).split(CHUNK, dim=1):
        model(piece, cache=cache)
    return cache.nbytes


def sweep(
    model,
    settings: Iterable[Setting] = SETTINGS,
    questions: int = 50,
    seed: int = 0,
    on_score: Callable[[Score], None] = lambda score: None,
    text: Text | None = None,
) -> list[Score]:
    """Measure each setting on the same questions. on_score: after each. text: the prose (None: the held-out play)."""
    reference, scores = full(model, questions, seed, text), []
    for setting in settings:
        scores.append(score(model, setting, reference))
        on_score(scores[-1])
    return scores
