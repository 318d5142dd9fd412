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
    },
)
