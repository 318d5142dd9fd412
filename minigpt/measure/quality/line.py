"""One cache's line in the comparison: what it generated, compared with its oracle and with `none`."""

import statistics
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from minigpt.cache import CACHES
from minigpt.config import Config
from minigpt.measure.counted.run import Run

Continuation = tuple[Int[Tensor, "1 new"], Float[Tensor, "1 new V"]]  # the new tokens, and the logits behind each


@dataclass(frozen=True)
class Line:
    """One line of the table. Times in milliseconds, of the median round; the rest is the same in every round.

    window, sinks: those of the model that the cache served. lossy: whether the cache rounds.
    Its oracle is the uncached model that sees as much, and reads the rounded numbers where the cache had rounded them.
    tokens_equal: whether all new tokens are the oracle's; first_difference: the first that is not (None: all are).
    largest_logit_difference: from the oracle's, over all steps up to there. exact_tokens: how many new tokens, from the
    first on, are those of `none`. exact_logit_difference: from those of `none`, over all steps up to there.
    decode_ms_per_token: for each token after the first. speedup: in decode, over `none`.
    kv_rows_computed, kv_rows_needed: one row is the key and the value of one token in one layer.
    most_times, mean_times: how often the same row was computed.
    """

    cache: str
    window: int | list | tuple | None
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


def line(name: str, config: Config, runs: list[Run], oracle: Continuation, none: list[Run], prompt: int) -> Line:
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


def first_difference(one: Continuation, other: Continuation) -> tuple[int | None, float]:
    """The index of the first new token that differs (None: none), and by how much the logits do, at most, up to it."""
    differ = (one[0] != other[0])[0].nonzero().flatten().tolist()
    first = differ[0] if differ else None
    same_text = slice(None if first is None else first + 1)  # from there on they continue different texts
    return first, (one[1] - other[1])[:, same_text].abs().max().item()


def decode_ms(runs: list[Run]) -> float:
    """Milliseconds for each token after the first, in the median round (for the first, if there is no other)."""
    return 1000 * statistics.median(statistics.mean(each.seconds[1:] or each.seconds) for each in runs)
