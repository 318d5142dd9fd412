"""The main job: one prompt continued under every cache, and what each saved."""

import statistics
import sys
from dataclasses import asdict, dataclass
from functools import partial

import torch
from jaxtyping import Int
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import Tensor

from minigpt.cache import CACHES
from minigpt.config import GPTConfig
from minigpt.measure.run import Run, run, served_by
from minigpt.sampling import greedy, sampler

TEMPERATURE, TOP_K = 0.8, 50  # of drawn text
ROUNDS = 3  # of timing; the table shows medians
WIDTH = 100  # columns that the table needs: a narrower terminal wraps its lines, but no number is cut


@dataclass(frozen=True)
class Line:
    """One line of the table. Times in milliseconds, of the median round; the rest is the same in every round.

    window, sinks: what the model saw through, where the cache wants a window; its oracle is the uncached model that
    sees as much. tokens_equal: to those of the oracle; first_difference: else the first new token that is not.
    lossy: whether the cache rounds, so that they may differ; it is then held to the uncached model all the same.
    largest_logit_difference: to the oracle, over all steps up to there. exact_tokens: how many new tokens, from the
    first on, are those of `none`. decode_ms: a token after the first.
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
    prefill_ms_per_token: float
    decode_ms_per_token: float
    speedup: float
    nbytes: int
    kv_rows_computed: int
    kv_rows_needed: int
    most_times: int
    mean_times: float


def compare(
    model, ids: Int[Tensor, "1 T"], new_tokens: int, names: list[str], seed: int | None
) -> tuple[list[Line], Run]:
    """A line for each named cache, and the run of `none` that all are held against. Shows progress on a terminal.

    seed: each run draws its text anew from it (None: greedy).
    """
    names = ["none", *(name for name in names if name != "none")]
    served = {name: served_by(name, model) for name in names}
    runs = {name: [] for name in names}
    with progress_bar() as bar:
        tasks = {name: bar.add_task(name, total=ROUNDS * new_tokens) for name in names}
        for _ in range(ROUNDS):  # in turns, so that a busy minute of the machine hits all of them
            for name, task in tasks.items():
                on_step = partial(bar.advance, task)
                runs[name].append(run(served[name], ids, new_tokens, name, picker(seed, model), on_step))
    none, prompt = runs["none"], ids.shape[1]
    lines = []
    for name in names:
        same_view = served[name].config == model.config
        oracle = none[0] if same_view else run(served[name], ids, new_tokens, "none", picker(seed, model))
        lines.append(line(name, served[name].config, runs[name], oracle, none, prompt))
    return lines, none[0]


def picker(seed: int | None, model):
    """How a run picks its tokens: greedy, or drawn anew from the seed."""
    return greedy if seed is None else sampler(TEMPERATURE, TOP_K, top_p=1.0, seed=seed, device=model.device)


def line(name: str, config: GPTConfig, runs: list[Run], oracle: Run, none: list[Run], prompt: int) -> Line:
    cached = runs[0]
    first = first_difference(cached, oracle, prompt)
    same_text = slice(None if first is None else first + 1)  # from there on they continue different texts
    difference = (cached.logits - oracle.logits)[:, same_text].abs().max().item()
    exact = first_difference(cached, none[0], prompt)
    slow, fast = decode_ms(none), decode_ms(runs)
    times = cached.times[-1]
    return Line(
        cache=name,
        window=config.window,
        sinks=config.sinks,
        lossy=CACHES[name].lossy,
        tokens_equal=first is None,
        first_difference=first,
        largest_logit_difference=difference,
        exact_tokens=cached.tokens.shape[1] - prompt if exact is None else exact,
        prefill_ms_per_token=1000 * statistics.median(each.seconds[0] for each in runs) / prompt,
        decode_ms_per_token=fast,
        speedup=slow / fast,
        nbytes=cached.nbytes,
        kv_rows_computed=int(times.sum()),
        kv_rows_needed=times.numel(),
        most_times=int(times.max()),
        mean_times=times.sum().item() / times.numel(),
    )


def first_difference(one: Run, other: Run, prompt: int) -> int | None:
    """The first new token in which two runs differ, counted from 0; None where they are equal."""
    differ = (one.tokens != other.tokens)[0].nonzero().flatten().tolist()
    return differ[0] - prompt if differ else None


def decode_ms(runs: list[Run]) -> float:
    """Milliseconds a token after the first, in the median round (of the first token, where it is the only one)."""
    return 1000 * statistics.median(statistics.mean(each.seconds[1:] or each.seconds) for each in runs)


def report(lines: list[Line], uncached: Run, tokenizer, prompt: int, console: Console) -> None:
    """Print the text, the table, and what they say in a sentence."""
    tokens = uncached.tokens[0].tolist()
    plain = {"markup": False, "highlight": False, "soft_wrap": True}
    console.print(tokenizer.decode(tokens[:prompt]), style="dim", end="", **plain)
    console.print(continuation(tokenizer, tokens, prompt), style="bold", **plain)
    console.print()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("cache", no_wrap=True)
    for heading in (
        "tokens\nequal",
        "logits\ndiffer by",
        "exact\ntokens",
        "prefill\nms/tok.",
        "decode\nms/tok.",
        "faster",
        "bytes\nheld",
        "K/V rows\ncomputed / needed",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in lines:
        table.add_row(
            each.cache,
            "yes" if each.tokens_equal else "lossy" if each.lossy else f"to {each.first_difference}",
            f"{each.largest_logit_difference:.1e}" if each.largest_logit_difference else "0",
            f"{each.exact_tokens}",
            f"{each.prefill_ms_per_token:.3f}",
            f"{each.decode_ms_per_token:.2f}",
            f"{each.speedup:.1f} x",
            f"{each.nbytes:,}",
            f"{each.kv_rows_computed:,} / {each.kv_rows_needed:,}",
        )
    console.width = max(console.width, WIDTH)
    console.print(table)
    none, new = lines[0], len(tokens) - prompt
    narrow = [each for each in lines if each.window != none.window]
    console.print()
    lines_below = [
        f"{prompt} prompt tokens, {new} new ones. Equal, differ: to the uncached model that sees as much. Exact,",
        "faster (decode): than none. A K/V row is the key and the value of one token in one layer.",
        *(f"{each.cache} sees the last {each.window} tokens and the first {each.sinks}." for each in narrow),
        *(f"{each.cache} rounds what it keeps." for each in lines if each.lossy),
        f"Without a cache the first token's row was computed {none.most_times} times in each layer, an average token's "
        f"{none.mean_times:.1f} times.",
        "With a cache: once.",
    ]
    console.print("\n".join(lines_below), **plain)


def as_json(lines: list[Line], uncached: Run, tokenizer, prompt: int, setting: dict) -> dict:
    """The same as one object."""
    tokens = uncached.tokens[0].tolist()
    return {
        "setting": setting | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "prompt": tokenizer.decode(tokens[:prompt]),
        "continuation": continuation(tokenizer, tokens, prompt),
        "prompt_tokens": prompt,
        "new_tokens": len(tokens) - prompt,
        "caches": [asdict(each) for each in lines],
    }


def continuation(tokenizer, tokens: list[int], prompt: int) -> str:
    """What the new tokens add to the text; decoded together, since a character may be split between tokens."""
    return tokenizer.decode(tokens)[len(tokenizer.decode(tokens[:prompt])) :]


def progress_bar() -> Progress:
    """A live line for each task, on stderr, and only on a terminal."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
