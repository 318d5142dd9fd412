"""How well the model does without a cache: what each setting is compared with."""

from dataclasses import dataclass

from minigpt.recall.corpus import Text, held_out
from minigpt.recall.exam import CHUNK, bits_by_segment, right_by_distance
from minigpt.recall.questions import BINS, QUESTION

PROMPT_TOKENS = 7 * CHUNK + QUESTION  # so that whole chunks, hence whole groups, are held when the question comes
ENOUGH = 0.98  # the share of questions that a model must answer, at each distance, before caches can be compared


@dataclass(frozen=True)
class Reference:
    """How well the model does without a cache: what a setting is compared with, on the same questions and prose.

    right: how many of `questions` are answered, at each distance of BINS. bits, nbytes: of each segment of the prose.
    Raises ValueError if the model remembers too little to show what a cache makes it forget.
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


def reference_of(model, questions: int, seed: int, text: Text | None = None) -> Reference:
    """Measure the model without a cache. text: the prose to predict (None: the held-out play)."""
    text = held_out() if text is None else text
    right = right_by_distance(model, "none", questions, seed, length=PROMPT_TOKENS)
    return Reference(seed, questions, text, [*right.values()], *bits_by_segment(model, "none", text))
