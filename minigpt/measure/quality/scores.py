"""How good the model stays under each setting, and in how many bytes.

Quality is that of the model as it is given, which takes texts in by chunks. Bytes are counted as a cache is used: it
keeps 16 bits of a number (scales and offsets of rounded ones too), and is fed one token at a time, so that no window
needs slots for a chunk.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from minigpt.config import Config
from minigpt.measure.forms.caches import FORMS
from minigpt.measure.forms.generation import kv_costs
from minigpt.measure.quality.interval import bootstrap, wilson
from minigpt.measure.quality.reference import PROMPT_TOKENS, Reference, reference_of
from minigpt.measure.quality.settings import SETTINGS, Setting
from minigpt.recall.corpus import Text
from minigpt.recall.exam import CHUNK, bits_by_segment, right_by_distance
from minigpt.recall.questions import BINS

KEPT = torch.float16  # in the caches whose bytes are counted


@dataclass(frozen=True)
class Score:
    """right: how many of `questions` are answered, at each distance of BINS. nbytes: that one row of a prompt of
    PROMPT_TOKENS takes, in float16, fed one token at a time. most_nbytes: the most on the way there: the tokens of a
    group are exact until it is whole.

    bits_per_byte: on the held-out prose. more_bits: how many more than the reference's; more_bits_interval: the 95%
    interval of these, had the prose had other segments.
    """

    setting: Setting
    questions: int
    right: list[int]
    nbytes: int
    most_nbytes: int
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


def score(model, setting: Setting, reference: Reference, chunk: int = CHUNK) -> Score:
    """Measure a setting on the questions and the prose of the reference. chunk: how many tokens are fed at once."""
    served, how = setting.serve(model), {"chunk": chunk, **setting.options}
    right = right_by_distance(served, setting.cache, reference.questions, reference.seed, length=PROMPT_TOKENS, **how)
    bits, nbytes = bits_by_segment(served, setting.cache, reference.text, **how)
    more = [mine - exact for mine, exact in zip(bits, reference.bits, strict=True)]
    total, kept = sum(nbytes), held(served.config, setting)
    return Score(
        setting,
        reference.questions,
        [*right.values()],
        kept[-1],
        max(kept),
        math.fsum(bits) / total,
        math.fsum(more) / total,
        bootstrap(more, nbytes),
    )


def held(config: Config, setting: Setting, tokens: int = PROMPT_TOKENS) -> list[int]:
    """Bytes of keys and values that a cache of one row holds after each token, by its closed form. config: with the
    setting's window."""
    sizes = {"chunk": 1, "max_cache_len": config.context}  # fed one at a time; as many slots as by default
    options = {name: size for name, size in sizes.items() if name in FORMS[setting.cache].options} | setting.options
    costs = kv_costs(setting.cache, config, prompt=1, new_tokens=tokens, itemsize=KEPT.itemsize, **options)
    return [cost.nbytes for cost in costs]


def score_all(
    model,
    settings: Iterable[Setting] = SETTINGS,
    questions: int = 50,
    seed: int = 0,
    on_score: Callable[[Score], None] = lambda score: None,
    text: Text | None = None,
    chunk: int = CHUNK,
) -> list[Score]:
    """Measure each setting on the same questions. on_score: called after each. text: the prose (None: the play).
    chunk: how many tokens are fed at once."""
    reference, scores = reference_of(model, questions, seed, text), []
    for setting in settings:
        scores.append(score(model, setting, reference, chunk))
        on_score(scores[-1])
    return scores


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
