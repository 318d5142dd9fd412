"""One prompt continued under every cache: what each generated, compared with its oracle and with `none`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import CACHES, make_cache
from minigpt.measure.counted.run import Run, run, served_by
from minigpt.measure.quality.line import Continuation, Line, line
from minigpt.measure.quality.oracle import ORACLES
from minigpt.sampling import greedy, sampler

TEMPERATURE, TOP_K = 0.8, 50  # for drawn text
ROUNDS = 3  # of timing; the medians are kept


def compare(
    model,
    ids: Int[Tensor, "1 T"],
    new_tokens: int,
    names: list[str],
    seed: int | None,
    on_step: Callable[[str], None] = lambda name: None,
) -> tuple[list[Line], Run]:
    """A line for each named cache, and the run of `none`, with which all are compared.

    seed: each run draws its text anew from it (None: greedy). on_step: called with a cache's name after each of its
    ROUNDS x new_tokens steps.
    """
    names = with_none(names)
    served = {name: served_by(name, model) for name in names}
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(ROUNDS):  # in turns, so that a busy minute of the machine hits all of them
        for name, gpt in served.items():
            runs[name].append(run(gpt, ids, new_tokens, name, picker(seed, model), partial(on_step, name)))
    lines = []
    for name in names:
        oracle = oracle_of(name, served[name], runs[name][0], runs["none"][0], ids, seed)
        lines.append(line(name, served[name].config, runs[name], oracle, runs["none"], ids.shape[1]))
    return lines, runs["none"][0]


def with_none(names: list[str]) -> list[str]:
    """The caches to run, first `none`, with which all are compared."""
    return list(dict.fromkeys(["none", *names]))


def picker(seed: int | None, model):
    """How a run picks its tokens: greedy, or drawn anew from the seed."""
    return greedy if seed is None else sampler(TEMPERATURE, TOP_K, top_p=1.0, seed=seed, device=model.device)


def oracle_of(name: str, model, cached: Run, none: Run, ids: Int[Tensor, "1 T"], seed) -> Continuation:
    """What a cache must equal, from the uncached model: `none`. Where rounding or a window changes what is seen, one
    pass over the cached run's text, which up to the first token that differs is the uncached run's."""
    prompt, pick = ids.shape[1], picker(seed, model)
    if not (CACHES[name].lossy or CACHES[name].needs_window):
        return none.tokens[:, prompt:], none.logits
    with torch.inference_mode():
        new = one_pass(name, model, cached)[:, prompt - 1 :].float()
    return torch.stack([pick(each) for each in new.unbind(1)], dim=1), new


def one_pass(name: str, model, cached: Run) -> Float[Tensor, "1 fed V"]:
    """The logits of the uncached model, which reads the text of a cached run, rounded where the cache rounds."""
    fed = cached.tokens[:, :-1]
    if not CACHES[name].lossy:
        return model(fed)
    if name not in ORACLES:
        where = "a new cache's oracle goes into minigpt/measure/quality/oracle.py"
        raise ValueError(f"no oracle is known of the {name} cache, which rounds: {where}")
    cache: Any = make_cache(name, model.config, dtype=model.dtype, device=model.device)
    positions = torch.arange(fed.shape[1], device=fed.device)[None]
    return ORACLES[name](model, cache, fed, positions, cached.fed)
