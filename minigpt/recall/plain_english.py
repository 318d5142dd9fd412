"""What any model remembers of a play in plain English: a line that it has read is begun again, and it should go on as
that line did.

A passage is read once, and all lines are begun at its end. How many of the same tokens it predicts if it has *not* read
the passage is measured too: those it owes to the language, and not to its memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer
from torch import Tensor

from minigpt.recall.corpus import WEIGHTS, held_out

BINS = [(1, 250), (251, 500), (501, 1000), (1001, 2000), (2001, 4000)]  # tokens from where it stood to where it recurs
CUE, REST = 5, 5  # tokens of a line that are given, and that are then to be predicted
EACH = 8  # lines of a text at each distance


@dataclass(frozen=True)
class Recital:
    """ids: (1, N), a line of each bin of distance, the nearest first, begun again. asked: (1, N), which of these tokens
    are to be predicted. distances: of each line, how many tokens back it stands in the text."""

    ids: Int[Tensor, "1 N"]
    asked: Bool[Tensor, "1 N"]
    distances: list[int]


@dataclass(frozen=True)
class Passage:
    """ids: of a passage of the play. nbytes: how many bytes of UTF-8 each token adds. recitals: EACH of them, each of
    other lines, to be read after the passage one at a time."""

    ids: Int[Tensor, "1 T"]
    nbytes: Int[Tensor, " T"]
    recitals: list[Recital]


class PlainEnglish:
    """Makes passages of The Tempest, without its empty lines, in a tokenizer's tokens."""

    def __init__(self, tokenizer: Tokenizer):
        play = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")).decode(held_out().ids.tolist())
        lines = [with_nbytes(tokenizer, f"{line}\n") for line in play.splitlines() if line.strip()]
        self.ids, self.nbytes = (torch.tensor([each for line in lines for each in line[part]]) for part in (0, 1))
        self.lengths = [len(ids) for ids, _ in lines]
        self.starts = np.cumsum([0, *self.lengths])[:-1]
        self.line_end = tokenizer.encode("\n", add_special_tokens=False).ids

    def passage(self, seed: int, number: int, bins: list[tuple[int, int]] = BINS) -> Passage:
        """Passage `number` is as long as the largest distance, and begins where the one before ends, round and round.
        seed: other seeds begin other lines. Raises ValueError where a bin has too few."""
        rng, length = np.random.default_rng((seed, number)), bins[-1][1]
        places = torch.arange(number * length, (number + 1) * length) % len(self.ids)
        ids = self.ids[places]
        lines, found = self.lines_in(ids, number * length), []
        for at, (low, high) in enumerate(bins):
            end = length + len(self.line_end) + at * (CUE + REST + len(self.line_end))  # where the line recurs
            found.append([(line, end - line) for line in lines if low <= end - line <= high])
            if len(found[-1]) < EACH:
                there = f"{length} tokens have {len(found[-1])} lines"
                raise ValueError(f"{there} to begin again at {low} to {high}, {EACH} are wanted")
        while True:
            chosen = [rng.choice(each, EACH, replace=False).tolist() for each in found]
            if len({line for each in chosen for line, _ in each}) == EACH * len(bins):  # none recurs twice
                recitals = [self.recital(ids, again) for again in zip(*chosen, strict=True)]
                return Passage(ids[None], self.nbytes[places], recitals)

    def lines_in(self, ids: Int[Tensor, " T"], first: int) -> list[int]:
        """Where lines begin that are long enough, and begin like no other. first: where in the play the ids stand."""
        long = self.starts[np.array(self.lengths) > CUE + REST]  # the line's end is not asked for
        inside = sorted(int(each) for each in (long - first) % len(self.ids) if each + CUE + REST < len(ids))
        cues = [tuple(cue) for cue in ids.unfold(0, CUE, 1).tolist()]
        return [line for line in inside if cues.count(cues[line]) == 1]

    def recital(self, ids: Int[Tensor, " T"], lines: tuple[list[int], ...]) -> Recital:
        """lines: where each begins in the text, and how far back that is."""
        again, asked = [*self.line_end], [False] * len(self.line_end)
        for line, _ in lines:
            again += [*ids[line : line + CUE + REST].tolist(), *self.line_end]
            asked += [False] * CUE + [True] * REST + [False] * len(self.line_end)
        return Recital(torch.tensor([again]), torch.tensor([asked]), [distance for _, distance in lines])


def with_nbytes(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int]]:
    """Its tokens, and how many bytes each of them adds to those before."""
    found = tokenizer.encode(text, add_special_tokens=False)
    ends = [len(text[:end].encode()) for _, end in found.offsets[:-1]] + [len(text.encode())]
    return found.ids, np.diff(np.maximum.accumulate(ends), prepend=0).tolist()


def bins_of(model) -> list[tuple[int, int]]:
    """The bins whose passages the model can read, and the recital after them. Raises ValueError where there is none."""
    room = 2 * len(BINS) * (CUE + REST)  # the lines of a recital and their ends
    bins = [(low, high) for low, high in BINS if high + room <= model.config.longest]
    if not bins:
        least = BINS[0][1] + room
        raise ValueError(f"recall in plain English takes {least} tokens, the context is {model.config.context}")
    return bins
