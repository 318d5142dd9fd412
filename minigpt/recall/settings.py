"""The stages of a training run, and the settings that its weights depend on."""

import math
from dataclasses import dataclass

import numpy as np

from minigpt.config import GPTConfig
from minigpt.recall.corpus import VOCABULARY, Text
from minigpt.recall.lessons import Batch, repeats, strewn

CONFIG = GPTConfig(vocab_size=VOCABULARY, context=512, n_layer=3, n_head=2, n_embd=128)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Rows of random tokens in a batch, their length, and the shortest and the longest period."""

    rows: int
    length: int
    shortest: int
    longest: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Steps on batches of random repeats and of `prose_rows` rows of prose with facts, as long as the context."""

    name: str
    steps: int
    repeats: tuple[Repeats, ...]
    prose_rows: int = 0

    def lesson(self, rng: np.random.Generator, text: Text, context: int) -> list[Batch]:
        """The batches of one step."""
        batches = [repeats(rng, **vars(kind), context=context) for kind in self.repeats]
        return batches + ([strewn(rng, text, self.prose_rows, context)] if self.prose_rows else [])


STAGES = (
    Stage(name="copy", steps=600, repeats=(Repeats(rows=64, length=64, shortest=10, longest=39),)),
    Stage(
        name="remember",
        steps=3200,
        repeats=(
            Repeats(rows=16, length=64, shortest=10, longest=39),
            Repeats(rows=1, length=512, shortest=40, longest=400),
        ),
        prose_rows=10,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the weights depend on, beside the text. A checkpoint only goes on under the settings it was made with."""

    seed: int
    stages: tuple[Stage, ...]
    config: GPTConfig
    learning_rate: float = 2e-3  # at its height: a straight rise over `warmup` steps, then a cosine down to 0
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    bfloat16: bool = True  # products in bfloat16, parameters and sums in float32

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> Stage:
        """The stage of that step; steps are counted from 0."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        raise ValueError(f"step {step} lies beyond the last stage")

    def rate(self, step: int) -> float:
        """The learning rate of that step."""
        falling = (1 + math.cos(math.pi * step / self.steps)) / 2
        return self.learning_rate * min((step + 1) / self.warmup, falling)
