"""The exercises of notebook 04."""

import functools
import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

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


def replayed(write):
    """Records a call of write(keys, k, count), and replays it. Returns what then stands in the slots, and the count."""

    def replays(slots, tokens):
        try:
            recording = make_fx(write)(torch.zeros(slots, 2), torch.zeros(1, 2), torch.tensor([0]))
        except RuntimeError as error:
            if "tracing tensor" not in str(error):
                raise
            said = (
                "a recording has no numbers to give to Python: int(count), count.item() and count[0] as an index ask "
            )
            raise TypeError(f"{said}for one, the tensor `count` itself as an index does not").with_traceback(
                error.__traceback__
            ) from None
        keys, count = torch.zeros(slots, 2), torch.tensor([0])
        for token in range(tokens):
            recording(keys, torch.full((1, 2), token + 1.0), count)
        return {"the slots": keys, "the count": count}

    signature = inspect.signature(replays)  # for the message, which should also have the student's line
    recorded: Any = functools.update_wrapper(replays, write)
    recorded.__signature__ = signature
    return recorded


def counts(keys, k, count):
    keys[count % len(keys)] = k
    count += 1


def makes_a_new_count(keys, k, count):
    keys[count % len(keys)] = k
    count = count + 1


def wraps_the_count(keys, k, count):
    keys[count] = k
    count.add_(1).remainder_(len(keys))


def makes_new_keys(keys, k, count):
    slot = torch.arange(len(keys))[:, None]
    keys = torch.where(slot == count % len(keys), k, keys)
    count += 1


def counts_first(keys, k, count):
    count += 1
    keys[count % len(keys)] = k


def adds(keys, k, count):
    slot = torch.arange(len(keys))[:, None]
    keys += (slot == count % len(keys)) * k
    count += 1


write = Exercise(
    reference=replayed(counts),
    cases=[(4, 3), (4, 4), (3, 8)],
    axes="slot channel",
    mistakes={
        "the count stays as it was, so each replay begins at the first slot: change it in place (`count = count + 1` "
        "makes a new tensor)": replayed(makes_a_new_count),
        "count says how many have come: it goes on past the slots": replayed(wraps_the_count),
        "this makes new keys: the slots that are there stay empty": replayed(makes_new_keys),
        "the first token goes to slot 0: write, then count": replayed(counts_first),
        "a slot that is used again still holds its old token: write over it": replayed(adds),
    },
)


def ceil(tokens, block):
    return -(-tokens // block)


def cost(tokens, block, graph):
    return sum(ceil(held, block) * block for held in range(1, tokens + 1)) + ceil(tokens, block) * graph


block_cost = Exercise(
    reference=cost,
    cases=[(10, 4, 7), (8, 4, 3), (5, 8, 2), (3, 1, 1)],
    mistakes={
        "the first capacity needs a graph, too": lambda tokens, block, graph: cost(tokens, block, graph) - graph,
        "each step reads the empty slots, too": lambda tokens, block, graph: (
            tokens * (tokens + 1) // 2 + ceil(tokens, block) * graph
        ),
        "a last block that is not full is there all the same": lambda tokens, block, graph: (
            sum(held // block * block for held in range(1, tokens + 1)) + tokens // block * graph
        ),
        "the new token needs its slot in its own step": lambda tokens, block, graph: (
            cost(tokens - 1, block, 0) + ceil(tokens, block) * graph
        ),
        "a step reads all blocks that there are, not the newest one alone": lambda tokens, block, graph: (
            tokens * block + ceil(tokens, block) * graph
        ),
        "a graph is made once for each capacity, not at each step": lambda tokens, block, graph: (
            cost(tokens, block, 0) + tokens * graph
        ),
    },
)
