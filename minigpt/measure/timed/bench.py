"""Tokens a second, cache by cache and against transformers, in turns so that all meet the same machine."""

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.measure.counted.run import served_by

Name = TypeVar("Name")


def bench(contestants: dict[Name, Callable[[], Tensor]], rounds: int) -> dict[Name, list[float]]:
    """Seconds that each call took in each of so many rounds, in which they take turns, after a round of warm-up."""
    seconds: dict[Name, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, call in contestants.items():
            begin = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def contestants(
    model, folder: Path, ids: Int[Tensor, "B T"], new_tokens: int, names: list[str], peer: str | None
) -> dict[str, Callable[[], Tensor]]:
    """A greedy generation for each cache, and one by the peer with the same weights.

    Raises ValueError if one doesn't generate the tokens of its uncached model: then a race would say nothing.
    """
    calls: dict[str, Callable[[], Tensor]] = {}
    served = {}
    for name in names:
        served[name] = served_by(name, model)
        calls[name] = partial(served[name].generate, ids, max_new_tokens=new_tokens, cache_implementation=name)
    if peer == "transformers":
        served[peer], calls[peer] = model, transformers_peer(folder, model, ids, new_tokens)
    uncached = {gpt: gpt.generate(ids, max_new_tokens=new_tokens, use_cache=False) for gpt in {*served.values()}}
    for name, call in calls.items():
        if not torch.equal(call(), uncached[served[name]]):
            raise ValueError(f"{name} generates other tokens than its uncached model: there is nothing to compare")
    return calls


def transformers_peer(folder: Path, model, ids: Int[Tensor, "B T"], new_tokens: int) -> Callable[[], Tensor]:
    """transformers' GPT-2 with the same weights and its default (dynamic) cache, eager."""
    try:
        from transformers import GPT2LMHeadModel, logging
    except ImportError as error:
        raise ValueError("--peer transformers needs it installed: pip install transformers") from error
    logging.disable_progress_bar()
    theirs = GPT2LMHeadModel.from_pretrained(folder, dtype=model.dtype).to(model.device).eval()
    how = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": False, "pad_token_id": 0}
    return lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), **how)


def summary(seconds: dict[str, list[float]], new_tokens: int, rows: int, versus: str) -> list[dict]:
    """For each its median tokens a second, and how many times as fast as `versus` it is: median, lowest, highest."""
    lines = []
    for name, took in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(seconds[versus], took, strict=True)]
        lines.append(
            {
                "name": name,
                "tokens_per_second": rows * new_tokens / statistics.median(took),
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
            }
        )
    return lines


def machine() -> dict:
    """What a measured time depends on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
