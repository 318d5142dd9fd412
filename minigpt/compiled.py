"""The decode step as one graph: the same modules and the same cache, compiled once, with no Python from layer to layer."""

import copy
import itertools
import os
import shutil
import sys

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import CacheError, KVCache
from minigpt.cache.state import alone
from minigpt.cache.text import Text
from minigpt.one_row import backend

COMPILERS = {"win32": "cl", "darwin": "clang++"}  # elsewhere g++


class CompiledStep:
    """Feeds a model one token of each row, and gives the logits of the next. The cache is one whose shapes stand still.

    What takes Python comes first: the checks and counts of the cache, and where its keys and values go. The graph is
    given the outcome as tensors. One dimension of theirs grows with the text, that of the slots in use, and the graph
    leaves it open; so it is compiled once. Raises CacheError for other caches, ValueError where no compiler is found.
    """

    def __init__(self, model, cache: KVCache):
        if cache.moves:
            raise CacheError(
                f"a compiled step wants shapes that stand still, and this cache {cache.moves}: take static, or "
                "sliding_window where each layer has a window"
            )
        check_compiler(model.device)
        self.model, self.cache, self.read = model, cache, cache.capacity
        self.graph = torch.compile(next_logits, fullgraph=True, dynamic=False, backend=backend)

    @torch.inference_mode()
    def __call__(self, ids: Int[Tensor, "B 1"], positions: Int[Tensor, "B 1"] | None = None) -> Float[Tensor, "B V"]:
        """positions None: they go on from what the cache holds."""
        self.cache.serve(self.model, len(ids))
        self.cache.admit(positions, ids)
        logits = self.graph(self.model, fresh(ids), InGraph(self.cache, self.read))
        written(self.cache)
        self.read = None
        return logits


def next_logits(model, ids: Tensor, cache: KVCache) -> Tensor:
    """The graph."""
    return model.lm_head(model.hidden(ids, None, cache)[:, -1])


class InGraph(KVCache):
    """A cache that has admitted one token, as the graph sees it: from token to token only its tensors change."""

    def __init__(self, cache: KVCache, read: int | None):
        self.positions, layers = fresh(cache.positions[:, -1:]), range(cache.config.n_layer)
        at = [index(cache.place(layer), cache.batch_size, cache.slots(layer), cache.device) for layer in layers]
        self.cache = copy.copy(cache)
        self.cache.become(text=Text(torch.stack([self.positions] * 2), 1, 1), place=lambda layer: at[layer])
        if cache.capacity is not None:  # slots are taken in turn: those behind the text are not read
            used = slice(read or max(2, cache.length))
            kv = [tuple(each[:, used] for each in layer) for layer in cache.kv]
            self.cache.become(kv=kv, slot_positions=fresh(cache.slot_positions[:, used]))
            for each in (*itertools.chain(*kv), self.cache.slot_positions):
                torch._dynamo.maybe_mark_dynamic(each, 1)

    def admit(self, positions, ids=None):
        """It has been."""

    def update(self, k, v, layer):
        return self.cache.store(k, v, layer)


def index(place: tuple, rows: int, slots: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The same place, (B, 1) twice: row, slot."""
    number = torch.arange(slots, device=device).expand(rows, slots)[place]
    return torch.arange(rows, device=device)[:, None], fresh(number)


def fresh(x: Tensor) -> Tensor:
    """The same numbers, in strides that depend on the shape alone."""
    return x.clone(memory_format=torch.contiguous_format)


@alone
def written(cache: KVCache) -> None:
    """All layers have stored the token."""
    cache.layers_written = cache.config.n_layer


def check_compiler(device: torch.device) -> None:
    compiler = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise ValueError(
            f"compiling wants a C++ compiler, and {compiler} is not found: install it, or name another in the "
            "environment variable CXX (on Windows: start from a prompt of Visual Studio), or leave out compile=True"
        )
