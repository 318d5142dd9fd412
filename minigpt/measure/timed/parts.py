"""A decode step in parts: its operations are written down, and each part of them is run again by itself."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from minigpt.compiled import CompiledStep
from minigpt.generate import next_logits
from minigpt.measure.counted.observer import Observer
from minigpt.measure.timed.bench import prompts
from minigpt.measure.timed.contestants import ours, slots_for
from minigpt.measure.timed.limit import decode
from minigpt.measure.timed.turns import seconds

AGAIN = 5  # times in a turn: the first finds the processor's caches cold


class Parts(TorchFunctionMode):
    """calls: by part, all that a step calls, with its arguments. head: the weight that gives the logits."""

    def __init__(self, head: torch.Tensor):
        super().__init__()
        self.head = head
        self.calls: dict[str, list[Callable[[], Any]]] = defaultdict(list)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return self.note(self.part(func, args), func, *args, **kwargs or {})

    def part(self, func, args) -> str:
        if func is F.linear:
            return "head" if args[1] is self.head else "weights"
        return "attention" if func is F.scaled_dot_product_attention else "other operations"

    def note(self, part: str, call: Callable, *args, **kwargs) -> Any:
        if getattr(call, "__name__", "") != "__get__":  # to ask for a shape, say, is no operation
            self.calls[part].append(partial(call, *args, **kwargs))
        return call(*args, **kwargs)


class NotedCache(Observer):
    """Its verbs are a part, with all that they do."""

    def __init__(self, cache, parts: Parts):
        super().__init__(cache)
        self.parts = parts

    def admit(self, positions, ids=None):
        with torch._C.DisableTorchFunction():  # its operations are no other part's
            self.parts.note("cache", self.cache.admit, positions, ids)

    def update(self, k, v, layer):
        with torch._C.DisableTorchFunction():
            return self.parts.note("cache", self.cache.update, k, v, layer)


class Step:
    """The decode step at a text of so many tokens, over and over: the cache gives its token back each time.

    parts: by name, the calls of each. nbytes: that must be read and written.
    """

    def __init__(self, model, cache: str, compiled: bool, tokens: int):
        contestant = ours(model, cache, compiled)
        self.model, self.name = contestant.model, contestant.name
        self.nbytes = decode(contestant, tokens - 2, 4, batch=1).nbytes  # of a step in the middle of a run of 4
        self.ids = prompts(model.config.vocab_size, 1, tokens)
        self.cache = slots_for(self.model, cache, self.ids[:, :-2], 4)
        next_logits(self.model, self.ids[:, :-1], None, self.cache)
        parts = Parts(self.model.get_parameter("wte.weight"))
        if compiled:
            self.follow: Any = CompiledStep(self.model, self.cache)
            self.step(self.cache)  # compiles
            self.give_back()
            vars(self.follow)["enter"] = partial(parts.note, "graph", self.follow.enter)
            self.step(self.cache)
            del vars(self.follow)["enter"]
        else:
            self.follow = next_logits
            with parts:
                self.step(NotedCache(self.cache, parts))
        self.give_back()
        self.parts = dict(parts.calls)

    def step(self, cache) -> None:
        self.follow(self.model, self.ids, None, cache)

    def give_back(self) -> None:
        self.cache.crop(self.ids.shape[1] - 1 - self.cache.length)

    def timed(self, calls: list[Callable[[], Any]]) -> float:
        """The seconds of all of them, the fastest time."""
        took = []
        for _ in range(AGAIN):
            took.append(seconds(partial(one_by_one, calls)))
            self.give_back()
        return min(took)

    @property
    def measures(self) -> dict[str, Callable[[], float]]:
        """By what they measure: the whole step, and each of its parts by itself."""
        everything = self.parts | {"whole": [lambda: self.step(self.cache)]}
        return {name: partial(self.timed, calls) for name, calls in everything.items()}

    def told(self, took: dict[str, list[float]]) -> dict:
        """Of the fastest round, since whatever else runs on a machine only adds to a part. What the parts leave of the
        whole is Python's, between them."""
        whole, *parts = (min(took[name]) for name in ("whole", *self.parts))
        split = dict(zip(self.parts, parts, strict=True)) | {"Python": whole - sum(parts)}
        return {"seconds": whole, "parts": split, "nbytes": self.nbytes}


def one_by_one(calls: list[Callable[[], Any]]) -> None:
    """Run them. What each gives is let go at once, as in a step: else the next would wait for memory never used."""
    for call in calls:
        call()
