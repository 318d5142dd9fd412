"""The decode step as one graph: the same modules, the same cache, and no Python from layer to layer."""

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from sysconfig import get_path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.fx.experimental import _config as shapes

from minigpt.cache import Cache, CacheError, KVCache
from minigpt.cache.state import alone
from minigpt.cache.text import Text
from minigpt.generate import next_logits
from minigpt.one_row import backend
from minigpt.shortcut import Shortcut, shortcut

COMPILERS = {"win32": "cl", "darwin": "clang++"}  # elsewhere g++
GRAPHS = 256  # of one function: after 8 models, torch would compile no more


class CompiledStep:
    """`next_logits` where one token is new: by a graph that is compiled when it is first called.

    What takes Python comes before the graph: the checks and counts of the cache, and where its keys and values go. The
    graph is given the outcome as tensors. One size of theirs grows with the text, that of the slots in use, and the
    graph leaves it open. So it is compiled once, for texts and caches of all lengths.
    Raises CacheError for a cache whose shapes don't stand still, ValueError where there is no compiler.
    """

    def __init__(self, model, cache: KVCache):
        if cache.moves:
            raise CacheError(
                f"a compiled step wants shapes that stand still, and this cache {cache.moves}: take static, "
                "or quantized_static, or sliding_window where each layer has a window"
            )
        check_compiler(model.device)
        self.compiled = False
        self.shortcut: Shortcut | None = None
        self.graph = torch.compile(logits, fullgraph=True, dynamic=False, backend=backend)

    def __call__(
        self, model, text: Int[Tensor, "B n"], positions: Tensor | None, cache: Cache, chunk_size: int | None = None
    ) -> Float[Tensor, "B V"]:
        new = text[:, cache.length :]
        if new.shape[1] > 1:
            return next_logits(model, text, positions, cache, chunk_size)
        at = slice(cache.length, text.shape[1])
        return self.step(model, new, None if positions is None else positions[:, at], cache).float()

    def step(self, model, ids: Int[Tensor, "B 1"], positions: Tensor | None, cache: Cache) -> Float[Tensor, "B V"]:
        """The logits, in the model's dtype."""
        cache.admit(positions, ids)
        out = self.enter(model, fresh(ids), InGraph(cache, typical=not self.compiled))
        written(cache)
        self.compiled = True
        return out

    def enter(self, model, ids: Int[Tensor, "B 1"], cache: "InGraph") -> Float[Tensor, "B V"]:
        """The graph: at a text's first step by torch, which looks whether it is the one for this model and cache and
        compiles it if there is none, and then by the shortcut."""
        given = [ids, *cache.given]
        if self.shortcut and self.shortcut.leads(cache.kept, model):
            return self.shortcut(given)
        cache.leave_sizes_open()
        with contextlib.nullcontext() if self.compiled else compiling():  # which takes 0.1 ms
            out = self.graph(model, ids, cache)
        self.shortcut = shortcut(given, cache.kept, model)
        return out


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Settings of the compiler, which has no public names for them. A size that is left open is taken as any number:
    else it would ask how the slots in use compare with all slots, and compile once more for a full cache."""
    open_sizes = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    with torch._dynamo.config.patch(cache_size_limit=GRAPHS), open_sizes:
        yield


def logits(model, ids: Tensor, cache: KVCache) -> Tensor:
    """What is compiled."""
    return model.lm_head(model.hidden(ids, None, cache)[:, -1])


class InGraph(KVCache):
    """A cache that has admitted one token, as the graph sees it. From token to token other tensors are `given`; the
    `kept` ones are the cache's own, which the graph writes into."""

    def __init__(self, cache: Any, typical: bool):
        self.positions = fresh(cache.positions[:, -1:])
        rows, at = torch.arange(cache.batch_size, device=cache.device)[:, None], newest_slots(cache)
        new, self.open_sizes = cache.in_graph(typical)
        text = Text(self.positions.expand(2, -1, -1), 1, 1)
        tables = [each for each in new.values() if isinstance(each, Tensor)]
        self.given, self.kept = [self.positions, text.positions, rows, at, *tables], [*itertools.chain(*cache.kv)]
        self.cache = cache.sharing(**new, text=text, place=lambda layer: (rows, at[layer]))

    def leave_sizes_open(self) -> None:
        for each in self.open_sizes:
            torch._dynamo.maybe_mark_dynamic(each, 1)

    def admit(self, positions, ids=None):
        """It has been."""

    def update(self, k, v, layer):
        return self.cache.store(k, v, layer)


def newest_slots(cache: Cache) -> Int[Tensor, "layers B 1"]:
    """Each layer's `place`, in one form for all: the slot of each row's token."""
    layers = range(cache.config.n_layer)
    slots = torch.arange(max(map(cache.slots, layers)), device=cache.device).expand(cache.batch_size, -1)
    return torch.stack([slots[cache.place(layer)] for layer in layers])


def fresh(x: Tensor) -> Tensor:
    """The same numbers, in strides that depend on the shape alone."""
    return x.clone(memory_format=torch.contiguous_format)


@alone
def written(cache: Cache) -> None:
    """All layers have stored the token."""
    cache.layers_written = cache.config.n_layer


def check_compiler(device: torch.device) -> None:
    """Raises ValueError where what torch generates for a CPU can't be compiled."""
    compiler = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    header = Path(get_path("include"), "Python.h")
    missing = [what for what, there in ((compiler, shutil.which(compiler)), (header, header.exists())) if not there]
    if missing and device.type == "cpu":
        raise ValueError(
            f"compiling wants a C++ compiler and Python's headers, and {missing[0]} is not found: install it (Debian: "
            "g++, python3-dev; on Windows begin in a prompt of Visual Studio), or name another compiler in the "
            "environment variable CXX, or leave out compile=True"
        )
