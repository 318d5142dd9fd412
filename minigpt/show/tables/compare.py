"""The table of `python -m minigpt`: one prompt continued under every cache, and what each saved."""

import textwrap
from dataclasses import asdict

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from minigpt.measure.counted.run import Run
from minigpt.measure.quality.line import Line
from minigpt.measure.quality.scores import Score
from minigpt.recall.questions import BINS
from minigpt.show.escapes import visible

WIDTH = 100  # columns that the table needs: a narrower terminal wraps its lines, but no number is cut


def report(lines: list[Line], uncached: Run, tokenizer, prompt: int, console: Console) -> None:
    """Print the text, the table, and what its words mean."""
    tokens = uncached.tokens[0].tolist()
    none, new = lines[0], len(tokens) - prompt
    plain = {"markup": False, "highlight": False, "soft_wrap": True}
    console.print(visible(tokenizer.decode(tokens[:prompt])), style="dim", end="", **plain)
    console.print(visible(continuation(tokenizer, tokens, prompt)), style="bold", **plain)
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
        *textwrap.wrap(
            f"{prompt} prompt tokens, {new} new ones. Oracle's tokens: how many, from the first on, are those "
            "of the oracle, the uncached model that sees as much, and reads rounded numbers where the cache had "
            "rounded them. None's tokens: how many are those of none. Logits off by: the largest difference up to "
            "there. Faster: in decode, than none. K/V row: one token's key and value in one layer; "
            f"{none.kv_rows_needed:,} are needed.",
            WIDTH,
        ),
        *(f"{each.cache} sees the last {each.window} tokens and the first {each.sinks}." for each in narrow),
        *(f"{each.cache} rounds old tokens; the newest (residual_length) stay exact." for each in lines if each.lossy),
        f"Without a cache the first token's row was computed {none.most_times} times in each layer, an average token's "
        f"{none.mean_times:.1f} times.",
        "With a cache: once.",
    ]
    console.print("\n".join(lines_below), **plain)


def as_json(lines: list[Line], scores: list[Score], uncached: Run, tokenizer, prompt: int, setting: dict) -> dict:
    """The same as one JSON object."""
    tokens = uncached.tokens[0].tolist()
    return {
        "setting": setting | {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "prompt": tokenizer.decode(tokens[:prompt]),
        "continuation": continuation(tokenizer, tokens, prompt),
        "prompt_tokens": prompt,
        "new_tokens": len(tokens) - prompt,
        "caches": [asdict(each) for each in lines],
        "distances": [high for _, high in BINS],
        "quality": [asdict(each) for each in scores],
    }


def continuation(tokenizer, tokens: list[int], prompt: int) -> str:
    """What the new tokens add to the text; decoded together, since a character may be split between tokens."""
    return tokenizer.decode(tokens)[len(tokenizer.decode(tokens[:prompt])) :]


def scientific(difference: float) -> str:
    return f"{difference:.1e}" if difference else "0"
