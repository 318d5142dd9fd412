"""The main job's table: one prompt continued under every cache, and what each saved."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from minigpt.measure.compare import Line
from minigpt.measure.run import Run
from minigpt.measure.sweep import Score

WIDTH = 100  # columns that the table needs: a narrower terminal wraps its lines, but no number is cut


def report(lines: list[Line], uncached: Run, tokenizer, prompt: int, console: Console) -> None:
    """Print the text, the table, and what its words mean."""
    tokens = uncached.tokens[0].tolist()
    none, new = lines[0], len(tokens) - prompt
    plain = {"markup": False, "highlight": False, "soft_wrap": True}
    console.print(tokenizer.decode(tokens[:prompt]), style="dim", end="", **plain)
    console.print(continuation(tokenizer, tokens, prompt), style="bold", **plain)
    console.print()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("cache", no_wrap=True)
    for heading in (
        "oracle's\ntokens",
        "logits\noff by",
        "none's\ntokens",
        "logits\noff by",
        "prefill\nms/tok.",
        "decode\nms/tok.",
        "\nfaster",
        "bytes\nheld",
        "K/V rows\ncomputed",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in lines:
        table.add_row(
            each.cache,
            f"{new if each.tokens_equal else each.first_difference}",
            scientific(each.largest_logit_difference),
            f"{each.exact_tokens}",
            scientific(each.exact_logit_difference),
            f"{each.prefill_ms_per_token:.3f}",
            f"{each.decode_ms_per_token:.2f}",
            f"{each.speedup:.1f} x",
            f"{each.nbytes:,}",
            f"{each.kv_rows_computed:,}",
        )
    console.width = max(console.width, WIDTH)
    console.print(table)
    narrow = [each for each in lines if each.window != none.window]
    console.print()
    lines_below = [
        f"{prompt} prompt tokens, {new} new ones: how many of these, from the first on, are those of the oracle (the",
        "uncached model that sees as much, and reads the rounded numbers where the cache had rounded them) and those",
        "of none. Faster: decode, than none. K/V row: the key and the value of one token in one layer; needed are "
        f"{none.kv_rows_needed:,}.",
        *(f"{each.cache} sees the last {each.window} tokens and the first {each.sinks}." for each in narrow),
        *(f"{each.cache} rounds old tokens; the newest (residual_length) stay exact." for each in lines if each.lossy),
        f"Without a cache the first token's row was computed {none.most_times} times in each layer, an average token's "
        f"{none.mean_times:.1f} times.",
        "With a cache: once.",
    ]
    console.print("\n".join(lines_below), **plain)


def report_scores(scores: list[Score], console: Console) -> None:
    """Print what each setting forgets, if there are any."""
    if not scores:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("\nwhat is kept of the text", no_wrap=True)
    for heading in ("bytes\nheld", *(f"to\n{edge}" for edge in scores[0].by_distance), "bits a\nbyte"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in scores:
        held = f"{each.nbytes:,}"
        table.add_row(each.setting.name, held, *map(str, each.right), f"{each.bits_per_byte:.3f}")
    console.width = max(console.width, WIDTH)
    console.print()
    console.print(table)
    lines_below = [
        "",
        f"Memory questions answered right, of {scores[0].questions} at each distance (tokens from fact to answer); "
        "and surprise",
        "at prose it never read, in bits for each byte of it. Only the newest chunk is exact (residual_length=0).",
        "Few, to be quick: python -m minigpt quality asks more, of more settings, with confidence intervals.",
    ]
    console.print("\n".join(lines_below), markup=False, highlight=False, soft_wrap=True)


def as_json(lines: list[Line], scores: list[Score], uncached: Run, tokenizer, prompt: int, setting: dict) -> dict:
    """The same as one object."""
    tokens = uncached.tokens[0].tolist()
    return {
        "setting": setting | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "prompt": tokenizer.decode(tokens[:prompt]),
        "continuation": continuation(tokenizer, tokens, prompt),
        "prompt_tokens": prompt,
        "new_tokens": len(tokens) - prompt,
        "caches": [asdict(each) for each in lines],
        "quality": [asdict(each) for each in scores],
    }


def continuation(tokenizer, tokens: list[int], prompt: int) -> str:
    """What the new tokens add to the text; decoded together, since a character may be split between tokens."""
    return tokenizer.decode(tokens)[len(tokenizer.decode(tokens[:prompt])) :]


def scientific(difference: float) -> str:
    return f"{difference:.1e}" if difference else "0"


@contextmanager
def progress_bars(names: list[str], steps: int) -> Iterator[Callable[[str], None]]:
    """A live line for each name, on stderr, and only on a terminal. Call what this gives after each step of a name."""
    columns = TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks = {name: bars.add_task(name, total=steps) for name in names}
        yield lambda name: bars.advance(tasks[name])
