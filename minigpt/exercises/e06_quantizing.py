"""The exercises of notebook 06."""

from collections.abc import Callable

import torch

from minigpt.cache.quantized.codec import NAMES, Codec, group_shape
from minigpt.cache.quantized.formats import MinMax
from minigpt.check import Exercise

largest = Exercise(
    reference=lambda low, bits, error: low + 2 * error * (2**bits - 1),
    cases=[(-1.0, 4, 0.05), (0.0, 2, 0.5), (2.5, 8, 0.1)],
    mistakes={
        "a number may be off by half a scale: a scale of two errors will do": lambda low, bits, error: (
            low + error * (2**bits - 1)
        ),
        "from the lowest code to the highest there is one step less than there are codes": lambda low, bits, error: (
            low + 2 * error * 2**bits
        ),
        "that is how far the largest may lie above the smallest: add the smallest": lambda low, bits, error: (
            2 * error * (2**bits - 1)
        ),
    },
)


def codes(count, bits):
    return torch.randint(2**bits, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


def placed(codes, bits, step):
    """Codes in bytes, the first of each byte at the bottom, the next `step` bits higher."""
    places = step * torch.arange(8 // bits, dtype=torch.uint8)
    return (codes.view(-1, 8 // bits) << places).sum(-1, dtype=torch.uint8)


def neighbours(codes, bits):
    """The plainest order: codes that follow each other share a byte."""
    return placed(codes, bits, bits)


packed = Exercise(
    reference=neighbours,
    cases=[(codes(8, 4), 4), (codes(16, 2), 2), (codes(16, 1), 1)],
    axes="byte",
    mistakes={
        "the first code belongs in the lowest bits": lambda codes, bits: neighbours(
            codes.view(-1, 8 // bits).flip(-1).flatten(), bits
        ),
        "each code must move up by the bits of a code, or they overlap": lambda codes, bits: placed(codes, bits, 1),
        "the codes of a byte lie side by side: those half a row apart were taken": lambda codes, bits: neighbours(
            codes.view(8 // bits, -1).T.flatten(), bits
        ),
        "these are the right bytes, each kept in eight: `sum` makes int64 of uint8 unless told its dtype": (
            lambda codes, bits: neighbours(codes, bits).long()
        ),
    },
)


def black_box(name: str):
    """Rounds 8 tokens of 2 heads of 8 channels to 4 bits, and reads them back. It hides what shares a scale."""

    class BlackBox:
        def __call__(self, x):
            codec = Codec(MinMax(4), group_shape(name, 8, 2, 8), (2, 8), x.dtype)
            return codec.read(codec.write(x[None]))[0]

        def __repr__(self):
            return "a black box"

    return BlackBox()


def spoilt(read: Callable, by: float = 0.1):
    """Which numbers come back wrong, by more than that, when the first is made large."""
    x = torch.rand(8, 2, 8, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0] = 1000
    return (read(x) - x).abs() > by


def grouping(read: Callable) -> str:
    wrong = spoilt(read)
    if wrong[:, 1].any():
        return "tensor"
    if wrong[0, 0].any() and wrong[1:, 0, 0].any():
        return "head"
    return "token" if wrong[0, 0].any() else "channel"


shares = Exercise(
    reference=grouping,
    cases=[(black_box(name),) for name in NAMES],
    mistakes={
        "every number comes back a little off, spoilt or not: count only those that are off by much": (
            lambda read: "tensor" if spoilt(read, by=0.0)[:, 1].any() else grouping(read)
        ),
        "the other channels of the token are spoilt by head and by tensor as well: look at another token too": (
            lambda read: "token" if spoilt(read)[0, 0].any() else "channel"
        ),
        "the same channel of other tokens is spoilt by head and by tensor as well: look at other channels too": (
            lambda read: "channel" if spoilt(read)[1:, 0, 0].any() else "token"
        ),
        "by tensor the other head is spoilt too: look there": lambda read: (
            "head" if grouping(read) == "tensor" else grouping(read)
        ),
        "nothing looked spoilt? A group's smallest number comes back exactly: make the numbers differ": (
            lambda read: "channel" if grouping(read) == "token" else "token"
        ),
    },
)


def rounded_before(chunks, residual_length, group, early=0):
    """early: how many tokens before its time one leaves the residual."""
    held = [sum(chunks[:at]) for at in range(len(chunks))]
    return [max(0, each + early - residual_length) // group * group for each in held]


reads_rounded = Exercise(
    reference=rounded_before,
    cases=[([11, 2, 3, 1, 1, 6], 8, 4), ([1] * 14, 8, 4), ([24, 24, 24], 0, 32), ([40], 8, 4)],
    mistakes={
        "a chunk reads itself exactly: count what is held when it comes, without it": lambda chunks, residual, group: (
            rounded_before([*chunks, 0], residual, group)[1:]
        ),
        "only whole groups are rounded": lambda chunks, residual, group: rounded_before(chunks, residual, 1),
        "the newest residual_length tokens stay exact": lambda chunks, residual, group: rounded_before(
            chunks, 0, group
        ),
        "fewer may be held than the residual takes: then none is rounded": lambda chunks, residual, group: [
            (sum(chunks[:at]) - residual) // group * group for at in range(len(chunks))
        ],
        "a token too early: one must have left the residual before it can be rounded": (
            lambda chunks, residual, group: rounded_before(chunks, residual, group, early=1)
        ),
        "all chunks before this one are held, not the last one alone": lambda chunks, residual, group: [
            max(0, each - residual) // group * group for each in [0, *chunks[:-1]]
        ],
    },
)
