"""The exercises of notebook 18."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minigpt.check import Exercise


def merged(read_1: Tensor, lse_1: Tensor, read_2: Tensor, lse_2: Tensor) -> dict:
    lse = torch.logaddexp(lse_1, lse_2)
    return {"read": (lse_1 - lse).exp() * read_1 + (lse_2 - lse).exp() * read_2, "lse": lse}


def parts(*sizes: int, queries: int = 2, scale: float = 1.0) -> tuple:
    """What two queries read in parts of so many keys, with the log-sum-exp of each."""
    generator = torch.Generator().manual_seed(sum(sizes))
    found = []
    for size in sizes:
        scores = scale * torch.randn(queries, size, generator=generator, dtype=torch.float64)
        values = torch.randn(size, 3, generator=generator, dtype=torch.float64)
        lse = scores.logsumexp(-1, keepdim=True)
        found += [(scores - lse.clamp(min=-1e300)).exp() @ values, lse]
    return tuple(found)


def changed_in(name: str, change: Callable) -> Callable:
    """A merge that makes one of the two otherwise."""
    return lambda *four: {**merged(*four), name: change(*four)}


merge = Exercise(
    reference=merged,
    cases=[parts(3, 3), parts(5, 1), parts(4, 0), parts(0, 4), parts(3, 2, scale=2000.0)],
    axes="T D",
    mistakes={
        "both parts count alike, and the one with the larger sum of exponentials must count more": changed_in(
            "read", lambda read_1, lse_1, read_2, lse_2: (read_1 + read_2) / 2
        ),
        "the logs are added, which multiplies the sums: take them out of the log, add, and take the log again": (
            changed_in("lse", lambda read_1, lse_1, read_2, lse_2: lse_1 + lse_2)
        ),
        "exp of a large score is infinite: take the largest off before exp, as logaddexp and softmax do": (
            lambda read_1, lse_1, read_2, lse_2: {
                "read": (lse_1.exp() * read_1 + lse_2.exp() * read_2) / (lse_1.exp() + lse_2.exp()),
                "lse": (lse_1.exp() + lse_2.exp()).log(),
            }
        ),
        "each part is weighted with the other's share": changed_in(
            "read", lambda read_1, lse_1, read_2, lse_2: merged(read_2, lse_1, read_1, lse_2)["read"]
        ),
        "a part is weighted by the log of its sum, and its share is the sum itself over that of both": changed_in(
            "read", lambda read_1, lse_1, read_2, lse_2: (lse_1 * read_1 + lse_2 * read_2) / (lse_1 + lse_2)
        ),
        "an empty part's log-sum-exp is -inf, and -inf + inf is NaN: take the larger off both, whichever it is": (
            changed_in("lse", lambda read_1, lse_1, read_2, lse_2: lse_1 + (1 + (lse_2 - lse_1).exp()).log())
        ),
        "both parts' sums make the joined one, not the larger alone": changed_in(
            "lse", lambda read_1, lse_1, read_2, lse_2: torch.maximum(lse_1, lse_2)
        ),
    },
)


def share_of(tokens: int, part: int, machines: int, block: int) -> int:
    return sum(token // block % machines == part for token in range(tokens))


share = Exercise(
    reference=share_of,
    cases=[(22, 0, 2, 4), (22, 1, 2, 4), (3, 1, 2, 4), (17, 2, 3, 2), (100, 1, 3, 16), (5, 0, 1, 2)],
    mistakes={
        "tokens come in blocks, not one by one in turn": lambda tokens, part, machines, block: share_of(
            tokens, part, machines, 1
        ),
        "the last block may be cut short, wherever it lies": lambda tokens, part, machines, block: (
            block * share_of(-(-tokens // block), part, machines, 1)
        ),
        "the last block counts too, however few tokens it has": lambda tokens, part, machines, block: (
            block * share_of(tokens // block, part, machines, 1)
        ),
        "after the last machine's block comes another of machine 0: there are many rounds": (
            lambda tokens, part, machines, block: min(max(tokens - part * block, 0), block)
        ),
        "machine 0 has the first block, and the last machine is number machines - 1": (
            lambda tokens, part, machines, block: share_of(tokens, machines - 1 - part, machines, block)
        ),
    },
)


def fewest(token: int, machines: int, memory: int, collectives: int, latency: float, sent: int, link: int) -> int:
    lost = collectives * latency + sent / link
    return math.ceil(lost / (token * (1 - 1 / machines) / memory))


pays = Exercise(
    reference=fewest,
    cases=[
        (1000, 2, 10**9, 10, 0.0001, 5000, 10**6),
        (1000, 4, 10**9, 10, 0.0001, 5000, 10**6),
        (131_072, 2, 3_350_000_000_000, 32, 0.00003, 264_192, 12_500_000_000),
        (131_072, 8, 100_000_000_000, 32, 0.0001, 1_849_344, 125_000_000),
    ],
    mistakes={
        "each collective is waited for, however little it carries": (
            lambda token, machines, memory, collectives, latency, sent, link: fewest(
                token, machines, memory, 0, latency, sent, link
            )
        ),
        "there is a collective in each layer, and each is waited for": (
            lambda token, machines, memory, collectives, latency, sent, link: fewest(
                token, machines, memory, 1, latency, sent, link
            )
        ),
        "a machine still reads its own part: what it saves is the rest": (
            lambda token, machines, memory, collectives, latency, sent, link: math.ceil(
                (collectives * latency + sent / link) / (token / memory)
            )
        ),
        "it saves what the others read, not what it reads itself": (
            lambda token, machines, memory, collectives, latency, sent, link: math.ceil(
                (collectives * latency + sent / link) / (token / machines / memory)
            )
        ),
        "what is sent goes over the link, not through the memory": (
            lambda token, machines, memory, collectives, latency, sent, link: fewest(
                token, machines, memory, collectives, latency, sent, memory
            )
        ),
        "at one token fewer it does not pay yet: round up": (
            lambda token, machines, memory, collectives, latency, sent, link: (
                fewest(token, machines, memory, collectives, latency, sent, link) - 1
            )
        ),
    },
)
