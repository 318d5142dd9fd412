"""One prompt continued under every cache: what each generated, held against its oracle and against `none`."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import CACHES, make_cache
from minigpt.config import GPTConfig
from minigpt.measure.oracle import logits_reading_rounded
from minigpt.measure.run import Run, run, served_by
from minigpt.sampling import greedy, sampler

TEMPERATURE, TOP_K = 0.8, 50  # of drawn text
ROUNDS = 3  # of timing; the medians are kept


@dataclass(frozen=True)
class Line:
    """One line of the table. Times in milliseconds, of the median round; the rest is the same in every round.

    window, sinks: what the model saw through, where the cache wants a window. lossy: whether the cache rounds.
    Its oracle is the uncached model that sees as much, and reads the rounded numbers where the cache had rounded them.
    tokens_equal: to those of the oracle; first_difference: else the first new token that is not.
    largest_logit_difference: to the oracle, over all steps up to there. exact_tokens: how many new tokens, from the
    first on, are those of `none`. exact_logit_difference: to `none`, over all steps up to there.
    decode_ms: a token after the first.
    kv_rows_computed, kv_rows_needed: one row is the key and the value of one token in one layer.
    most_times, mean_times: how often the same row was computed.
    """

    cache: str
    window: int | None
    sinks: int
    lossy: bool
    tokens_equal: bool
    first_difference: int | None
    largest_logit_difference: float
    exact_tokens: int
    exact_logit_difference: float
    prefill_ms_per_token: float
    decode_ms_per_token: float
    speedup: float
    nbytes: int
    kv_rows_computed: int
    kv_rows_needed: int
    most_times: int
    mean_times: float


def compare(
    model,
    ids: Int[Tensor, "1 T"],
    new_tokens: int,
    names: list[str],
    seed: int | None,
    on_step: Callable[[str], None] = lambda name: None,
) -> tuple[list[Line], Run]:
    """A line for each named cache, and the run of `none` that all are held against.

    seed: each run draws its text anew from it (None: greedy). on_step: called with a cache's name after each of its
    ROUNDS x new_tokens steps.
    """
    names = with_none(names)
    served = {name: served_by(name, model) for name in names}
    runs = {name: [] for name in names}
    for _ in range(ROUNDS):  # in turns, so that a busy minute of the machine hits all of them
        for name, gpt in served.items():
            runs[name].append(run(gpt, ids, new_tokens, name, picker(seed, model), partial(on_step, name)))
    lines = []
    for name in names:
        oracle = oracle_of(name, served[name], runs[name][0], runs["none"][0], ids, new_tokens, seed)
        lines.append(line(name, served[name].config, runs[name], oracle, runs["none"], ids.shape[1]))
    return lines, runs["none"][0]


def with_none(names: list[str]) -> list[str]:
    """The caches to run, the one that all are held against first."""
    return ["none", *(name for name in names if name != "none")]


def picker(seed: int | None, model):
    """How a run picks its tokens: greedy, or drawn anew from the seed."""
    return greedy if seed is None else sampler(TEMPERATURE, TOP_K, top_p=1.0, seed=seed, device=model.device)


Told = tuple[Int[Tensor, "1 new"], Float[Tensor, "1 new V"]]  # the new tokens, and the logits behind each


def oracle_of(name: str, model, cached: Run, none: Run, ids: Int[Tensor, "1 T"], new_tokens: int, seed) -> Told:
    """What the uncached model says that a cache must equal. A lossy one's reads the cached run's text, all at once."""
    prompt, pick = ids.shape[1], picker(seed, model)
    if CACHES[name].lossy:
        cache = make_cache(name, model.config, dtype=model.dtype, device=model.device)
        fed = cached.tokens[:, :-1]
        positions = torch.arange(fed.shape[1], device=fed.device)[None]
        with torch.inference_mode():
            logits = logits_reading_rounded(model, cache, fed, positions, [prompt, *[1] * (new_tokens - 1)])
        new = logits[:, prompt - 1 :]
        return torch.stack([pick(each) for each in new.unbind(1)], dim=1), new
    if CACHES[name].needs_window:
        none = run(model, ids, new_tokens, "none", pick)
    return none.tokens[:, prompt:], none.logits


def line(name: str, config: GPTConfig, runs: list[Run], oracle: Told, none: list[Run], prompt: int) -> Line:
    cached = runs[0].tokens[:, prompt:], runs[0].logits
    first, difference = first_difference(cached, oracle)
    exact, exact_difference = first_difference(cached, (none[0].tokens[:, prompt:], none[0].logits))
    slow, fast = decode_ms(none), decode_ms(runs)
    times = runs[0].times[-1]
    return Line(
        cache=name,
        window=config.window,
        sinks=config.sinks,
        lossy=CACHES[name].lossy,
        tokens_equal=first is None,
        first_difference=first,
        largest_logit_difference=difference,
        exact_tokens=cached[0].shape[1] if exact is None else exact,
        exact_logit_difference=exact_difference,
        prefill_ms_per_token=1000 * statistics.median(each.seconds[0] for each in runs) / prompt,
        decode_ms_per_token=fast,
        speedup=slow / fast,
        nbytes=runs[0].nbytes,
        kv_rows_computed=int(times.sum()),
        kv_rows_needed=times.numel(),
        most_times=int(times.max()),
        mean_times=times.sum().item() / times.numel(),
    )


def first_difference(one: Told, other: Told) -> tuple[int | None, float]:
    """The first new token in which they differ, from 0 (None: none does), and by how much the logits do until then."""
    differ = (one[0] != other[0])[0].nonzero().flatten().tolist()
    first = differ[0] if differ else None
    same_text = slice(None if first is None else first + 1)  # from there on they continue different texts
    return first, (one[1] - other[1])[:, same_text].abs().max().item()


def decode_ms(runs: list[Run]) -> float:
    """Milliseconds a token after the first, in the median round (of the first token, where it is the only one)."""
    return 1000 * statistics.median(statistics.mean(each.seconds[1:] or each.seconds) for each in runs)
