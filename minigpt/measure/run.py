"""One generation through one cache: what came out, how long it took, what it computed and held."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import CACHES
from minigpt.generate import next_logits
from minigpt.measure.meter import Meter
from minigpt.request import new_cache, plan
from minigpt.sampling import greedy

WINDOW, SINKS = 64, 4  # for a cache that wants a window, where the model has none


@dataclass(frozen=True)
class Run:
    """tokens: (B, T + new). logits: those behind each new token. seconds: of each step, the first being the prefill.
    nbytes: held by the cache at the end. times: how often the K/V row of each position that was fed had been
    computed, in each layer, after each step."""

    tokens: Int[Tensor, "B N"]
    logits: Float[Tensor, "B new V"]
    seconds: list[float]
    nbytes: int
    times: Int[Tensor, "new L fed"]


@torch.inference_mode()
def run(
    model,
    ids: Int[Tensor, "B T"],
    new_tokens: int,
    name: str,
    pick: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]] = greedy,
    on_step: Callable[[], None] = lambda: None,
) -> Run:
    """Generate through the named cache, step by step. pick: the next token from its logits. on_step: after each."""
    text, positions = plan(model, ids, None, new_tokens)
    T, fed = ids.shape[1], text.shape[1] - 1  # the last token is never fed
    implementation = "dynamic" if name == "none" else name
    cache = Meter(new_cache(model, len(ids), fed, name != "none", implementation, {}), model.config)
    logits, seconds, times = [], [], []
    for end in range(T, T + new_tokens):
        synchronize(model.device)
        begin = time.perf_counter()
        logits.append(next_logits(model, text, positions, end, cache))
        text[:, end] = pick(logits[-1])
        synchronize(model.device)
        seconds.append(time.perf_counter() - begin)
        times.append(cache.times[:, :fed].clone())
        on_step()
    return Run(text, torch.stack(logits, dim=1), seconds, cache.nbytes, torch.stack(times))


def served_by(name: str, model):
    """The model that the named cache serves: where that wants a window and the model has none, one with a window."""
    if CACHES[name].needs_window and model.config.window is None:
        return model.with_window(WINDOW, SINKS)
    return model


def synchronize(device: torch.device) -> None:
    """Wait for what was asked of a GPU, which answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
