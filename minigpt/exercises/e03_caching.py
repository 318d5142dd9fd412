"""The exercises of notebook 03."""

import copy
from typing import Any

import torch

from minigpt.cache import make_cache
from minigpt.check import Exercise
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer


@torch.no_grad()
def in_pieces(model, ids, size, upto=None):
    """The logits of the first `upto` tokens (None: of all), fed `size` at a time."""
    cache = make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)
    return torch.cat([model(piece, cache=cache) for piece in ids[:, :upto].split(size, dim=1)], dim=1)


@torch.no_grad()
def each_by_itself(model, ids, size):
    return torch.cat([model(piece) for piece in ids.split(size, dim=1)], dim=1)


MODEL = GPT.from_pretrained("recall", dtype=torch.float64)
IDS = torch.tensor([load_tokenizer("recall").encode("To be, or not to be, that").ids])


class Narrow(GPT):
    """Takes no more tokens at once than `most`, and writes down how many it was fed each time."""

    most: int
    fed: list[int]

    def __repr__(self):
        return f"a model that takes {self.most} at once"

    def forward(self, ids, positions=None, cache=None):
        if ids.shape[1] > self.most:
            raise ValueError(f"{ids.shape[1]} tokens were fed at once: feed {self.most} at most, and each of them once")
        self.fed.append(ids.shape[1])
        return super().forward(ids, positions, cache)


def prompt(rows: int, length: int, size: int) -> tuple[GPT, torch.Tensor, int]:
    model: Any = copy.copy(MODEL)
    model.__class__, model.most, model.fed = Narrow, size, []
    return model, IDS[:, :length].expand(rows, length), size


def lengths(turns):
    """Tokens of the conversation at each turn, before its answer and after it."""
    before = [sum(map(sum, turns[:turn])) + asked for turn, (asked, _) in enumerate(turns)]
    return [(start, start + answered) for start, (_, answered) in zip(before, turns, strict=True)]


def rows(texts, kept):
    """Rows computed for texts that grow from one length to another: without a cache, and with a new one for each."""
    return sum(sum(range(*each)) for each in texts), sum(end - 1 for _, end in texts), kept


prefill = Exercise(
    reference=in_pieces,
    observe=lambda logits, model, ids, size: {"tokens fed each time": str(model.fed), "the logits": logits},
    cases=[prompt(1, 8, 4), prompt(1, 8, 3), prompt(2, 5, 1), prompt(1, 5, 9)],
    axes="text token vocabulary",
    mistakes={
        "one token at a time gives the right logits, but the prompt was to be fed `size` tokens at a time": (
            lambda model, ids, size: in_pieces(model, ids, 1)
        ),
        "each piece is read without the ones before it: they must all go through one cache": each_by_itself,
        "the piece that is left over at the end is never fed": lambda model, ids, size: in_pieces(
            model, ids, size, ids.shape[1] // size * size or None
        ),
        "these are the logits of the last piece only": lambda model, ids, size: in_pieces(model, ids, size)[
            :, (ids.shape[1] - 1) // size * size :
        ],
    },
)

copied = Exercise(
    reference=lambda tokens, step: sum(held for held in range(1, tokens) if held % step == 0),
    cases=[(200, 16), (32, 16), (5, 16), (200, 1)],
    mistakes={
        "full slots are copied only when one more token comes": lambda tokens, step: sum(range(step, tokens + 1, step)),
        "each move copies all that is held, not only what came since the last": lambda tokens, step: (
            (tokens - 1) // step * step
        ),
        "that is how often something is copied, not how many rows": lambda tokens, step: (tokens - 1) // step,
        "that is what torch.cat copies: here some tokens find a slot": lambda tokens, step: sum(range(tokens)),
        "that is what doubling copies": lambda tokens, step: sum(2**n for n in range(tokens) if 2**n < tokens),
    },
)

next_positions = Exercise(
    reference=lambda mask, new: mask.sum(1, keepdim=True) + torch.arange(new),
    cases=[
        (torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]]), 1),
        (torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]), 3),
        (torch.ones(1, 4, dtype=torch.int64), 2),
    ],
    axes="text token",
    mistakes={
        "padding is counted as if it were tokens": lambda mask, new: (
            mask.shape[1] + torch.arange(new).expand(len(mask), new)
        ),
        "that is where the last token stands: the next one stands one further": lambda mask, new: (
            mask.sum(1, keepdim=True) - 1 + torch.arange(new)
        ),
        "each new token stands one further than the one before it": lambda mask, new: mask.sum(1, keepdim=True).expand(
            len(mask), new
        ),
        "each text goes on where it stands itself, not where the longest does": lambda mask, new: (
            mask.sum(1).max() + torch.arange(new).expand(len(mask), new)
        ),
    },
)

chat = Exercise(
    reference=lambda turns: rows(lengths(turns), sum(map(sum, turns)) - 1),
    cases=[([(7, 8)],), ([(7, 8), (5, 10)],), ([(3, 1), (2, 1), (4, 6)],)],
    mistakes={
        "the last token of all is never fed": lambda turns: rows(lengths(turns), sum(map(sum, turns))),
        "each turn reads the whole conversation so far, not only what is asked now": lambda turns: rows(
            [(asked, asked + answered) for asked, answered in turns], sum(map(sum, turns)) - 1
        ),
        "the last token of an answer is not fed in its own turn, but in the next": lambda turns: rows(
            lengths(turns), sum(map(sum, turns)) - len(turns)
        ),
        "a cache that is new in each turn has nothing of the turns before": lambda turns: (
            rows(lengths(turns), 0)[0],
            *[sum(map(sum, turns)) - 1] * 2,
        ),
    },
)
