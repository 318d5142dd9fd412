"""The tables of `python -m minigpt`: one prompt continued under every cache, whether it stayed the same, and what each
saved."""

from dataclasses import asdict

import torch
from rich.console import Console
from rich.text import Text

from minigpt.measure.counted.run import Run
from minigpt.measure.quality.line import Line
from minigpt.measure.quality.scores import Score
from minigpt.measure.timed.machine import machine
from minigpt.recall.questions import BINS
from minigpt.show.escapes import visible
from minigpt.show.short_text import ShortText
from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.words import in_view


def report(lines: list[Line], uncached: Run, short: ShortText, tokenizer, prompt: int, console: Console) -> None:
    """Print the text, and two tables, each after what its words mean."""
    tokens = uncached.tokens[0].tolist()
    new = len(tokens) - prompt
    text = Text(visible(tokenizer.decode(tokens[:prompt])), style="dim")
    text.append(visible(continuation(tokenizer, tokens, prompt)), style="bold")
    console.print(text, soft_wrap=True)
    report_sameness(lines, short, prompt, new, console)
    report_savings(lines, short, console)


def report_sameness(lines: list[Line], short: ShortText, prompt: int, new: int, console: Console) -> None:
    none = lines[0]
    reasons = [
        f" {each.cache} sees {in_view(each.window, each.sinks)}." for each in lines if each.window != none.window
    ]
    reasons += [
        f" {each.cache} has rounded nothing yet: it keeps the newest {short.exact[each.cache]} tokens exact."
        if each.cache in short.exact
        else f" {each.cache} rounds old tokens; the newest stay exact."
        for each in lines
        if each.lossy
    ]
    print_words(
        f"The same text? {new} new tokens after {prompt} of the prompt, without a cache (none) and through each. A "
        "cache must equal its oracle: the model without a cache, seeing only as much of the text, and reading rounded "
        "numbers where the cache had rounded them. Same tokens: how many, up to the first that differs. Logit "
        f"difference: the largest up to there.{''.join(reasons)}",
        console,
    )
    table = table_of(
        "cache",
        "same tokens\nas its oracle",
        "logit difference\nto its oracle",
        "same tokens\nas none",
        "logit difference\nto none",
    )
    for each in lines:
        table.add_row(
            each.cache,
            f"{new if each.tokens_equal else each.first_difference}",
            scientific(each.largest_logit_difference),
            f"{each.exact_tokens}",
            scientific(each.exact_logit_difference),
        )
    print_table(table, console)


def report_savings(lines: list[Line], short: ShortText, console: Console) -> None:
    none, cached = lines[0], lines[1:]
    once = f"; with a cache, {often(max(each.most_times for each in cached))}" if cached else ""
    slots = [
        f" {name} had its {count} slots from the start, for {short.fed} tokens." for name, count in short.slots.items()
    ]
    print_words(
        "What did it save? A K/V row is the key and the value of one token in one layer; "
        f"{none.kv_rows_needed:,} are needed. Without a cache, the first token's was computed {often(none.most_times)} "
        f"in each layer, an average token's {none.mean_times:.1f} times{once}. Prefill reads the prompt, "
        f"decode adds one token at a time. Bytes are held at the end.{''.join(slots)} Times are medians.",
        console,
    )
    table = table_of(
        "cache", "prefill,\nms a token", "decode,\nms a token", "decode\nfaster", "bytes\nheld", "K/V rows\ncomputed"
    )
    for each in lines:
        table.add_row(
            each.cache,
            f"{each.prefill_ms_per_token:.3f}",
            f"{each.decode_ms_per_token:.2f}",
            f"{each.speedup:.1f} x",
            f"{each.nbytes:,}",
            f"{each.kv_rows_computed:,}",
        )
    print_table(table, console)


def often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def as_json(lines: list[Line], scores: list[Score], uncached: Run, tokenizer, prompt: int, setting: dict) -> dict:
    """The same as one JSON object."""
    tokens = uncached.tokens[0].tolist()
    return {
        "setting": setting | machine(torch.device(setting["device"])),
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
