"""The exercises of notebook 04."""

import torch
import torch.nn.functional as F

from minigpt.attention import NEVER
from minigpt.check import Exercise


def padded_with(value):
    return lambda held, capacity: F.pad(held, (0, capacity - held.shape[1]), value=value)


slots_reported = Exercise(
    reference=padded_with(NEVER),
    cases=[
        (torch.arange(3)[None], 5),
        (torch.tensor([[NEVER, 0, 1], [0, 1, 2]]), 4),
        (torch.arange(4)[None], 4),
    ],
    axes="row slot",
    mistakes={
        "an empty slot stands at 0, where the first token stands, and is seen": padded_with(0),
        "an empty slot stands at -1, before everyone, and is seen: NEVER is after everyone": padded_with(-1),
        "these are the filled slots only: the shape must not depend on how many there are": lambda held, capacity: held,
    },
)

slots_read = Exercise(
    reference=lambda prompt, new_tokens, capacity: capacity * new_tokens,
    cases=[(1, 1, 4), (7, 5, 16), (100, 50, 512)],
    mistakes={
        "that is what is read if each step takes only the filled slots": lambda prompt, new_tokens, capacity: sum(
            prompt + step for step in range(new_tokens)
        ),
        "prefill is a step too, and gives the first new token": lambda prompt, new_tokens, capacity: (
            capacity * (new_tokens - 1)
        ),
        "prefill is one step, however long the prompt is": lambda prompt, new_tokens, capacity: (
            capacity * (prompt + new_tokens - 1)
        ),
    },
)

mended = Exercise(
    reference=lambda held, new, capacity: held + new <= capacity,
    cases=[(0, 1, 4), (3, 1, 4), (3, 3, 4), (4, 1, 4), (2, 3, 4), (0, 4, 4), (0, 5, 4), (1, 1, 4)],
    mistakes={
        "this still does what the broken one does": lambda held, new, capacity: held + new <= capacity + 1,
        "now the last slot is never used": lambda held, new, capacity: held + new < capacity,
        "one empty slot is not enough for several tokens": lambda held, new, capacity: held < capacity,
    },
)
