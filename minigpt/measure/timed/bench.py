"""A race of caches and libraries: time to the first token, and time a token, at one batch and context."""

from collections.abc import Callable, Hashable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.measure.timed.contestants import Contestant, as_uncached, going_on
from minigpt.measure.timed.limit import decode, prefill
from minigpt.measure.timed.machine import Speeds
from minigpt.measure.timed.stopwatch import Stopwatch, Took
from minigpt.measure.timed.summary import middle, spread
from minigpt.measure.timed.turns import in_turns, seconds


def prompts(vocab_size: int, batch: int, context: int, seed: int = 0) -> Int[Tensor, "B T"]:
    """Rows of random tokens."""
    return torch.randint(vocab_size, (batch, context), generator=torch.Generator().manual_seed(seed))


def bench(
    contestants: list[Contestant],
    ids: Int[Tensor, "B T"],
    new_tokens: int,
    rounds: int,
    speeds: Speeds,
    *,
    versus: list[str],
    decode_alone: bool = False,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """In so many rounds all take turns, and the machine's own speeds are measured among them.

    Before, each makes a call apart, which may compile, and whose tokens are held against the uncached model's.
    versus: those whose times are divided by each one's. decode_alone: ours alone, each from a cache that was filled
    before. on_turn: called after each turn. Raises ValueError for a wrong token, before any race.
    """
    entries = [Entry(contestant, ids, new_tokens, decode_alone) for contestant in contestants]
    calls: dict[Hashable, Callable[[], Any]] = {
        **speeds.calls,
        **{entry.contestant.name: entry.take for entry in entries},
    }
    took = in_turns(calls, rounds, on_turn=on_turn)
    bytes_per_second, flops_per_second = speeds.per_second(took)
    lines = []
    for entry in entries:
        name, dtype = entry.contestant.name, entry.contestant.model.dtype
        rates = list(zip(bytes_per_second, flops_per_second[dtype], strict=True))
        times = []
        for of, work in entry.works.items():
            mine, *others = ([getattr(each, of) for each in took[one]] for one in (name, *versus))
            times.append({"of": of} | spread(mine, dict(zip(versus, others, strict=True)), work, rates))
        lines.append(entry.told | {"times": times})
    return {
        "batch": len(ids),
        "context": ids.shape[1],
        "bytes_per_second": middle(bytes_per_second),
        "flops_per_second": {str(dtype).removeprefix("torch."): middle(of) for dtype, of in flops_per_second.items()},
        "lines": lines,
    }


class Entry:
    """A contestant at one batch and context. works: of its first token, unless it is to decode alone, and of a token.
    told: what is known of it before the race."""

    def __init__(self, contestant: Contestant, ids: Int[Tensor, "B T"], new_tokens: int, decode_alone: bool):
        batch, prompt = ids.shape
        self.contestant, self.ids, self.generate = contestant, ids, contestant.generate
        self.works = {} if decode_alone else {"first_token": prefill(contestant, prompt, batch)}
        if decode_alone and contestant.keeps:
            self.generate = going_on(contestant, ids, new_tokens)
        elif decode_alone:
            new_tokens = 2  # each costs a pass over the whole text
        self.new_tokens = new_tokens
        self.works["token"] = decode(contestant, prompt, new_tokens, batch)
        first_call = seconds(self.take)
        same = as_uncached(contestant, self.text, prompt)
        self.told = {
            "name": contestant.name,
            "dtype": str(contestant.model.dtype).removeprefix("torch."),
            "tokens": batch * new_tokens,
            "tokens_as_uncached": same,
            "first_call_seconds": first_call,
        }

    def take(self) -> Took:
        """A turn."""
        watch = Stopwatch()
        self.text = self.generate(self.ids, self.new_tokens, watch)
        return watch.took
