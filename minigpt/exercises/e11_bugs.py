"""The exercises of notebook 11. Each answer is tried on the caches themselves, right and broken."""

from typing import Any

import torch

from minigpt.cache import DynamicCache, KVCache
from minigpt.check import Exercise
from minigpt.config import GPTConfig
from minigpt.exercises.noticing import noticed, shown_by
from minigpt.museum import BUGS
from minigpt.proof.situations import model, random_model, text

late: Any = BUGS["from the second turn on, the ring writes one slot too early"]


@torch.no_grad()
def tokens_that_show_it(window: int) -> int:
    """Fed one at a time to the broken ring, until the logits of one are not those of the uncached model."""
    gpt = random_model(GPTConfig(vocab_size=53, context=64, n_layer=1, n_head=1, n_embd=16, window=window))
    ids, _ = text([0], 64)
    cache = late.kind(gpt.config, chunk=1, dtype=torch.float64)
    got = torch.cat([gpt(token, cache=cache) for token in ids.split(1, dim=1)], dim=1)
    right = (got - gpt(ids)).abs().amax((0, 2)) < 1e-10
    return right.tolist().index(False) + 1


long_enough = Exercise(
    reference=tokens_that_show_it,
    cases=[(3,), (5,), (8,), (20,)],
    mistakes={
        "that fills the ring once, and nothing has been written over yet": lambda window: window,
        "in the first turn it writes as it should: that is where the second begins": lambda window: window + 1,
        "the second turn is still right: that is its last token": lambda window: 2 * window,
        "slot 0 has no slot before it, so the first token of the third time round is still right": (
            lambda window: 2 * window + 1
        ),
        "three times round is more than it takes": lambda window: 3 * window,
    },
)


refused_call = Exercise(
    reference=lambda: "rows 1; fill -1; try fill 1; fill 0",
    observe=shown_by,
    cases=[()],
    mistakes={
        "no call fails in it, and only in one that fails is the counter moved": lambda: "rows 1; fill 0",
        "the model refuses it before the cache is asked: the row needs a pad": (
            lambda: "rows 0; fill -1; try fill 1; fill 0"
        ),
        "up to its end both do the same, and refuse: feed something before the refusal, and after it what still fits": (
            lambda: "rows 1; fill -1; try fill 1"
        ),
        "what it feeds after the refusal fits into neither: the right cache must be able to go on": (
            lambda: "rows 1; fill 0; try fill 1; feed 1"
        ),
    },
)


class Held(DynamicCache):
    """A cache that holds a text, and shows it as what it is."""

    def __repr__(self):
        return f"a cache that holds {self.ids[0].tolist()}"


@torch.no_grad()
def holding(held: list[int], prompt: list[int]) -> tuple[KVCache, list[int]]:
    gpt = model("full")
    cache = Held(gpt.config, dtype=torch.float64)
    gpt(torch.tensor([held]), cache=cache)
    return cache, prompt


@torch.no_grad()
def goes_on(_, cache, prompt) -> dict:
    """What the answer has left in the cache, and whether the rest of the prompt, fed now, gives the right logits."""
    gpt, kept, rest = model("full"), cache.ids[0].tolist(), prompt[cache.length :]
    off = (gpt(torch.tensor([rest]), cache=cache) - gpt(torch.tensor([prompt]))[:, -len(rest) :]) if rest else None
    return {"left in the cache": kept, "the next logits are right": off is not None and bool(off.abs().max() < 1e-10)}


def left(cache, prompt) -> int:
    """Tokens that may stay."""
    same = [one == other for one, other in zip(cache.ids[0].tolist(), prompt, strict=False)]
    return min([*same, False].index(False), len(prompt) - 1)


def crop_to(count):
    """An answer that leaves so many tokens."""
    return lambda cache, prompt: cache.crop(count(cache, prompt) - cache.length)


made_ready = Exercise(
    reference=crop_to(left),
    observe=goes_on,
    cases=[
        holding([5, 6, 7, 8, 9], [5, 6, 3, 8, 9, 4]),
        holding([5, 6, 7], [5, 6, 7, 8]),
        holding([5, 6, 7], [5, 6, 7]),
        holding([5, 6, 7, 8], [5, 6]),
        holding([5, 6, 7], [8, 9]),
    ],
    mistakes={
        "that goes by lengths: the tokens that stay must be those of the prompt": crop_to(
            lambda cache, prompt: min(cache.length, len(prompt) - 1)
        ),
        "the logits are right, but more was forgotten than had to be": crop_to(lambda cache, prompt: 0),
        "what comes after the first token that differs can't stay, even if it is the same again": crop_to(
            lambda cache, prompt: min(
                sum(one == other for one, other in zip(cache.ids[0].tolist(), prompt, strict=False)), len(prompt) - 1
            )
        ),
        "where the whole prompt is held, nothing is left to feed, and no logits come: one token must go": crop_to(
            lambda cache, prompt: min(left(cache, [*prompt, -1]), len(prompt))
        ),
    },
)


def steps(rows="rows 0 1", prompt="feed 18", two="another; feed 4; swap", crop="crop 1; feed 1", order="reorder 1 0"):
    return "; ".join(filter(None, [rows, prompt, two, "feed 1", crop, order, "feed 1"]))


one_story = Exercise(
    reference=steps,
    observe=noticed,
    cases=[()],
    mistakes={
        "no row has padding when a single token is fed": lambda: steps(rows="rows 0 0"),
        "nothing is taken back": lambda: steps(crop=""),
        "no row changes its place": lambda: steps(order=""),
        "there is only one cache": lambda: steps(two=""),
        "it is too short: nothing is ever older than 16 tokens": lambda: steps(prompt="feed 4"),
    },
)
