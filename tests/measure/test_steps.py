"""What a decode step asks of Python doesn't grow with the text: the same calls, operations and objects after 300 tokens
as after 1,000. Not timed: counted."""

import gc
import sys
import tracemalloc
from concurrent.futures import Future

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from minigpt.arguments import plan
from minigpt.cache import CACHES, DynamicCache
from minigpt.cache.offloaded import files
from minigpt.cache_arguments import new_cache
from minigpt.config import GPTConfig
from minigpt.generate import steps
from minigpt.model import GPT
from minigpt.sampling import greedy

SHORT, LONG = 300, 1000
WARM, SPARE = 3, 8  # steps before: a cache that doubles has done so; more slots than are needed


class Operations(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **kwargs or {})


class AtOnce:
    """Instead of a thread: its calls are counted too, and none waits for it, or not, as it happens."""

    def __init__(self, threads):
        pass

    def submit(self, work, *arguments):
        done = Future()
        done.set_result(work(*arguments))
        return done


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(files, "ThreadPoolExecutor", AtOnce)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=64, context=LONG + 16, n_layer=2, n_head=2, n_embd=32)
    return GPT(config).eval()


@torch.inference_mode()
def counted(model, cache, tokens):
    """Python calls, torch operations, and bytes of Python objects at the peak, of one step after so many tokens."""
    ids = torch.randint(64, (1, tokens), generator=torch.Generator().manual_seed(0))
    text, positions = plan(model, ids, None, WARM + 3)
    decode = steps(model, text, positions, tokens, cache, greedy)
    for _ in range(WARM):
        next(decode)
    calls = 0

    def on_call(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(on_call)
    try:
        next(decode)
    finally:
        sys.setprofile(None)
    with Operations() as operations:
        next(decode)
    gc.collect()
    tracemalloc.start()
    try:
        next(decode)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return calls, operations.count, peak


def grown(model, make):
    """By how much the three are more after a long text than after a short one."""
    counted(model, make(model, SHORT), SHORT)  # what the first pass of all imports and remembers
    short, long = (counted(model, make(model, tokens), tokens) for tokens in (SHORT, LONG))
    return [more - less for less, more in zip(short, long, strict=True)]


def maker(name):
    return lambda model, tokens: new_cache(model, 1, tokens + SPARE, name, {})


@pytest.mark.parametrize("name", CACHES)
def test_no_step_does_python_work_that_grows_with_the_text(name, model):
    served = model.with_window(32, sinks=2) if CACHES[name].needs_window else model
    calls, operations, nbytes = grown(served, maker(name))
    assert (calls, operations) == (0, 0)
    assert nbytes < LONG - SHORT  # not a byte for a token


class ListsPositions(DynamicCache):
    def update(self, k, v, layer):
        self.positions.tolist()
        return super().update(k, v, layer)


class OperatesOnEachToken(DynamicCache):
    def update(self, k, v, layer):
        keys, values, positions = super().update(k, v, layer)
        return torch.stack([keys[:, t] for t in range(keys.shape[1])], dim=1), values, positions


class CallsForEachToken(DynamicCache):
    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        for token in range(self.length):
            abs(token)


@pytest.mark.parametrize(("worse", "at"), [(CallsForEachToken, 0), (OperatesOnEachToken, 1), (ListsPositions, 2)])
def test_one_that_does_is_noticed(worse, at, model):
    more = grown(model, lambda model, tokens: worse(model.config))[at]
    assert more >= LONG - SHORT
