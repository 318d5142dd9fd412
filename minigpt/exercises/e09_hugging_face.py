"""The exercises of notebook 09."""

import torch

from minigpt.check import Exercise


def shared(held, text):
    same = 0
    while same < min(len(held), len(text)) and held[same] == text[same]:
        same += 1
    return same


def back(held, text):
    return len(held) - min(shared(held, text), len(text) - 1)


rounded = Exercise(
    reference=lambda prompt, step, residual: prompt + (step - 1) // residual * residual,
    cases=[(20, 1, 8), (20, 8, 8), (20, 12, 8), (20, 9, 8), (20, 33, 8), (3, 4, 1), (300, 5, 128)],
    mistakes={
        "a full residual is emptied all at once, not a token at a time": lambda prompt, step, residual: (
            prompt + max(0, step - 1 - residual)
        ),
        "this is minigpt's rule: in transformers no token of the prompt stays exact": lambda prompt, step, residual: (
            max(0, prompt + step - 1 - residual)
        ),
        "the residual is emptied after attention has read it: the next step is the first that sees it rounded": (
            lambda prompt, step, residual: prompt + step // residual * residual
        ),
        "the residual is emptied whenever it is full, not only once": lambda prompt, step, residual: (
            prompt + residual * (step > residual)
        ),
        "later tokens are rounded too, once the residual is full": lambda prompt, step, residual: prompt,
    },
)

take_back = Exercise(
    reference=back,
    cases=[
        ([1, 2, 3], [1, 2, 3, 4]),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3], [1, 5, 3, 4]),
        ([1, 2, 3, 4, 5], [1, 2, 3]),
        ([7, 8], [1, 2, 3]),
        ([], [1]),
    ],
    mistakes={
        "one token of the text must be left for the model to read": lambda held, text: len(held) - shared(held, text),
        "tokens that agree behind the first that differs are of another text": lambda held, text: (
            len(held) - min(sum(one == other for one, other in zip(held, text, strict=False)), len(text) - 1)
        ),
        "this is how many to keep, not how many to take back": lambda held, text: min(
            shared(held, text), len(text) - 1
        ),
    },
)

mended = Exercise(
    reference=lambda buffer, old, new: torch.cat([buffer[:old], new]),
    cases=[
        (torch.tensor([1, 2, 3]), 3, torch.tensor([4])),
        (torch.tensor([1, 2, 3]), 2, torch.tensor([4])),
        (torch.tensor([1, 2, 3, 4]), 1, torch.tensor([5, 6])),
        (torch.tensor([1, 2, 3]), 0, torch.tensor([9])),
    ],
    axes="slot",
    mistakes={
        "this still does what the broken one does": lambda buffer, old, new: torch.cat([buffer, new])[
            -(old + len(new)) :
        ],
        "nothing was taken back": lambda buffer, old, new: torch.cat([buffer, new]),
        "the buffer still has slots of tokens that were taken back": lambda buffer, old, new: torch.cat(
            [buffer[:old], new, buffer[old + len(new) :]]
        ),
    },
)
