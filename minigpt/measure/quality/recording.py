"""The quality of every setting, recorded in a file for figures and tests, since measuring it takes minutes."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from minigpt.measure.quality.outliers import scale_key_channel_everywhere
from minigpt.measure.quality.reference import PROMPT_TOKENS
from minigpt.measure.quality.rounding import RoundingError, errors
from minigpt.measure.quality.scores import KEPT, Score, name_of, score_all
from minigpt.measure.quality.settings import CHECKED, INJECTED, SETTINGS, Setting
from minigpt.recall.corpus import held_out
from minigpt.recall.exam import CHUNK

ROWS, TOKENS = 4, 512  # of the prose on which rounding errors are measured
CHANNEL, FACTOR = 5, 20.0  # of the outlier that is injected into every key head


@dataclass(frozen=True)
class Recording:
    """scores, errors: of the model as it is. injected_scores, injected_errors: of the same model with one key channel
    made `factor` times as large on purpose, in every key head, which changes none of what it computes. checked_scores:
    of the model measured as bytes are counted: in the dtype `kept`, fed one token at a time.

    seed: of the questions. questions: at each distance. prompt_tokens, chunk: of a question's prompt, and how many of
    them are fed at once. kept: the dtype of the caches whose bytes are counted, which are fed one token at a time.
    model, dtype, torch, threads: what was measured, and with what.
    """

    model: str
    dtype: str
    torch: str
    threads: int
    seed: int
    questions: int
    prompt_tokens: int
    chunk: int
    kept: str
    channel: int
    factor: float
    scores: list[Score]
    errors: list[RoundingError]
    injected_scores: list[Score]
    injected_errors: list[RoundingError]
    checked_scores: list[Score]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path) -> "Recording":
        fields = json.loads(path.read_text(encoding="utf-8"))
        for name in ("scores", "injected_scores", "checked_scores"):
            fields[name] = [score_of(each) for each in fields[name]]
        for name in ("errors", "injected_errors"):
            fields[name] = [RoundingError(**each) for each in fields[name]]
        return cls(**fields)


def score_of(fields: dict) -> Score:
    fields["setting"] = Setting(**fields["setting"])
    fields["more_bits_interval"] = tuple(fields["more_bits_interval"])
    return Score(**fields)


def record(
    name: str,
    model,
    questions: int,
    seed: int,
    on_score: Callable[[Score], None] = lambda score: None,
    workers: int = 1,
) -> Recording:
    """Measure everything. name: of the model. on_score: called after each setting. workers: how many settings are
    measured side by side."""
    ids = torch.from_numpy(held_out().ids[: ROWS * TOKENS].astype("int64")).view(ROWS, TOKENS)
    injected = scale_key_channel_everywhere(model, CHANNEL, FACTOR)
    return Recording(
        name,
        name_of(model.dtype),
        torch.__version__,
        torch.get_num_threads(),
        seed,
        questions,
        PROMPT_TOKENS,
        CHUNK,
        name_of(KEPT),
        CHANNEL,
        FACTOR,
        score_all(model, SETTINGS, questions, seed, on_score, workers=workers),
        errors(model, ids),
        score_all(injected, INJECTED, questions, seed, on_score, workers=workers),
        errors(injected, ids),
        score_all(copy.deepcopy(model).to(KEPT), CHECKED, questions, seed, on_score, chunk=1, workers=workers),
    )
