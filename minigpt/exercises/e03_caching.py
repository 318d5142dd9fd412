"""The exercises of notebook 03."""

import copy

import torch

from minigpt.attention import NEVER, sees
from minigpt.cache import make_cache
from minigpt.cache.dynamic import grow
from minigpt.check import Exercise
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer


@torch.no_grad()
def whole(model, ids, size):
    return model(ids)


@torch.no_grad()
def in_pieces(model, ids, starts_and_ends, cache=None):
    """The logits of pieces, fed one after the other."""
    cache = cache or make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)
    return torch.cat([model(ids[:, start:end], cache=cache) for start, end in starts_and_ends], dim=1)


def by_size(ids, size):
    return [(start, start + size) for start in range(0, ids.shape[1], size)]


def chunk(held, new):
    """The mask of `new` tokens when a cache holds `held` before them."""
    return sees(torch.arange(held, held + new)[None], torch.arange(held + new)[None])[0, 0]


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def grow_but(first, last):
    """A wrong `grow`: it copies from slot `first`, and stops `last` slots before the end."""

    def wrong(buffer, used, slots):
        longer = buffer.new_zeros(buffer.shape[0], max(slots, 2 * buffer.shape[1]), *buffer.shape[2:])
        longer[:, first : max(used - last, 0)] = buffer[:, first : max(used - last, 0)]
        return longer

    return wrong


MODEL = GPT.from_pretrained("recall", dtype=torch.float64)
IDS = torch.tensor([load_tokenizer("recall").encode("To be, or not to be, that").ids])


class Narrow(GPT):
    """Takes no more tokens at once than `most`, so that a prompt must really be fed in pieces."""

    most: int

    def forward(self, ids, positions=None, cache=None):
        if ids.shape[1] > self.most:
            raise ValueError(f"{ids.shape[1]} tokens were fed at once: feed {self.most} at most, and each of them once")
        return super().forward(ids, positions, cache)


def prompt(rows: int, length: int, size: int) -> tuple[GPT, torch.Tensor, int]:
    model = copy.copy(MODEL)
    model.__class__, model.most = Narrow, size
    return model, IDS[:, :length].expand(rows, length), size


prefill = Exercise(
    reference=lambda model, ids, size: whole(MODEL, ids, size),
    cases=[prompt(1, 8, 4), prompt(1, 8, 3), prompt(2, 5, 1), prompt(1, 5, 9)],
    axes="row token vocabulary",
    mistakes={
        "each piece is read without the ones before it: they must all go through one cache": lambda model, ids, size: (
            torch.cat([whole(model, piece, size) for piece in ids.split(size, dim=1)], dim=1)
        ),
        "the piece that is left over at the end is never fed": lambda model, ids, size: in_pieces(
            model,
            ids,
            [(start, end) for start, end in by_size(ids, size) if end <= ids.shape[1]] or [(0, ids.shape[1])],
        ),
        "these are the logits of the last piece only": lambda model, ids, size: in_pieces(
            model, ids, by_size(ids, size)
        )[:, (ids.shape[1] - 1) // size * size :],
    },
)

positions_of = Exercise(
    reference=lambda mask: (mask.cumsum(1) - 1).masked_fill(mask == 0, NEVER),
    cases=[
        (torch.ones(1, 4, dtype=torch.int64),),
        (torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]),),
        (torch.tensor([[0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]),),
    ],
    axes="row token",
    mistakes={
        "the first real token stands at 1: positions begin at 0": lambda mask: mask.cumsum(1).masked_fill(
            mask == 0, NEVER
        ),
        "a pad stands at -1, before everyone, so that everyone sees it: NEVER is after everyone": lambda mask: (
            mask.cumsum(1) - 1
        ),
        "padding is counted as if it were tokens": lambda mask: (
            torch.arange(mask.shape[1]).expand(mask.shape).masked_fill(mask == 0, NEVER)
        ),
        "pads stand at 0, where the first token stands, and are seen": lambda mask: (mask.cumsum(1) - 1).clamp(min=0),
    },
)

chunk_mask = Exercise(
    reference=chunk,
    cases=[(0, 3), (4, 1), (4, 3), (1, 5)],
    axes="query key",
    mistakes={
        "the triangle begins in the upper left: it must end in the lower right": lambda held, new: torch.ones(
            new, held + new, dtype=torch.bool
        ).tril(),
        "a new token must not see those fed with it that come later": lambda held, new: torch.ones(
            new, held + new, dtype=torch.bool
        ),
        "a token must see itself": lambda held, new: chunk(held, new).tril(held - 1),
    },
)

mended = Exercise(
    reference=grow,
    cases=[
        (numbers(1, 0, 2), 0, 4),
        (numbers(1, 4, 2), 4, 5),
        (numbers(2, 4, 3), 3, 5),
        (numbers(1, 4, 2), 4, 30),
        (numbers(1, 1, 2), 1, 2),
    ],
    axes="row slot channel",
    mistakes={
        "this still does what the broken one does": grow_but(1, 0),
        "now the newest token is lost": grow_but(0, 1),
    },
)
