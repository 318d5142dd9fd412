"""One generation through one cache: what came out, how long it took, what it computed and held."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.arguments import plan
from minigpt.cache import CACHES
from minigpt.cache_arguments import new_cache
from minigpt.generate import steps
from minigpt.measure.counted.meter import Meter
from minigpt.sampling import greedy

WINDOW, SINKS = 64, 4  # for a cache that needs a window, if the model has none


@dataclass(frozen=True)
class Run:
    """tokens: (B, T + new). logits: those behind each new token. seconds: of each step, the first being the prefill.
    nbytes: held by the cache at the end. times: after each step, how often each fed position's K/V row had been
    computed in each layer. fed: tokens of a row in each forward pass."""

    tokens: Int[Tensor, "B N"]
    logits: Float[Tensor, "B new V"]
    seconds: list[float]
    nbytes: int
    times: Int[Tensor, "new L fed"]
    fed: list[int]


@torch.inference_mode()
def run(
    model,
    ids: Int[Tensor, "B T"],
    new_tokens: int,
    name: str,
    pick: Callable[[Float[Tensor, "B V"]], Int[Tensor, " B"]] = greedy,
    on_step: Callable[[], None] = lambda: None,
) -> Run:
    """Generate through the named cache. pick: gives the next token for its logits. on_step: called after each step."""
    text, positions = plan(model, ids, None, new_tokens)
    T, fed = ids.shape[1], text.shape[1] - 1  # the last token is never fed
    cache = Meter(new_cache(model, len(ids), fed, name, {}), model.config, fed)
    logits, seconds, times = [], [], []
    synchronize(model.device)
    begin = time.perf_counter()
    for _, each in steps(model, text, positions, T, cache, pick):
        synchronize(model.device)
        seconds.append(time.perf_counter() - begin)
        logits.append(each)
        times.append(cache.times[:, :fed].clone())
        on_step()
        begin = time.perf_counter()
    return Run(text, torch.stack(logits, dim=1), seconds, cache.nbytes, torch.stack(times), cache.fed)


def served_by(name: str, model):
    """The model for the named cache: itself; or with a window, if the cache needs one and the model has none."""
    if CACHES[name].needs_window and model.config.window is None:
        return model.with_window(WINDOW, SINKS)
    return model


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked to; the calls return before that."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
