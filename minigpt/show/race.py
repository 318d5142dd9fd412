"""A race on the terminal: two panes while it runs, or plain lines where there is no terminal; then the verdict."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from tokenizers import Tokenizer

from minigpt.cache import CACHES
from minigpt.measure.timed.race import Lane
from minigpt.show.escapes import visible
from minigpt.show.words import in_view

PICTURES = 12  # a second
MOST_LINES = 24  # of a pane
COUNTS = 3  # lines of them above the text
REPORTS = 4  # plain lines of each lane
COLOURS = {"none": "dark_orange3"}  # of a pane's frame; a cache's is blue


def title(lane: Lane) -> str:
    return "without a cache" if lane.name == "none" else f"with a cache: {lane.name}"


def figures(lane: Lane) -> str:
    return (
        f"{lane.made} of {tokens(lane.wanted)}, {lane.rows:,} K/V rows, {lane.seconds:.2f} s, "
        f"{1000 * lane.seconds / max(1, lane.made):.2f} ms a token"
    )


def tokens(count: int) -> str:
    return f"{count:,} token" if count == 1 else f"{count:,} tokens"


@contextmanager
def panes(lanes: list[Lane], tokenizer: Tokenizer, console: Console) -> Iterator[Callable[[Lane], None]]:
    """Gives what to call after each step: it draws the panes, or where there is no terminal prints now and then."""
    if not (console.is_terminal and sys.stderr.isatty()):  # Ctrl-C brings the cursor back by way of stderr
        yield lambda lane: report(lane, console)
        return
    with Live(console=console, auto_refresh=False) as live:
        drawn = 0.0

        def draw(_: Lane) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= 1 / PICTURES or all(lane.done for lane in lanes):
                live.update(picture(lanes, tokenizer, console), refresh=True)
                drawn = time.monotonic()

        yield draw


def report(lane: Lane, console: Console) -> None:
    if lane.made * REPORTS // lane.wanted > (lane.made - 1) * REPORTS // lane.wanted:
        name = "without a cache" if lane.name == "none" else lane.name
        console.print(f"{name}: {figures(lane)}", highlight=False)


def picture(lanes: list[Lane], tokenizer: Tokenizer, console: Console) -> Table:
    height = max(8, min(MOST_LINES, console.height - 6))  # below it the verdict has its place
    width = console.width // len(lanes)
    side_by_side = Table.grid(expand=True)
    for _ in lanes:
        side_by_side.add_column(width=width)
    side_by_side.add_row(*(pane(lane, tokenizer, console, width, height) for lane in lanes))
    return side_by_side


def pane(lane: Lane, tokenizer: Tokenizer, console: Console, width: int, height: int) -> Panel:
    """What it cost so far, and the end of the text."""
    counts = Text(figures(lane).replace(", ", "\n", 2), style="bold")
    frame, gap = 2, 1
    lines = Text(visible(tokenizer.decode(lane.tokens))).wrap(console, max(1, width - 4))
    text = Text("\n").join(lines[-(height - frame - COUNTS - gap) :])
    colour = COLOURS.get(lane.name, "blue")
    return Panel(Text.assemble(counts, "\n\n", text), title=title(lane), border_style=colour, height=height)


def verdict(uncached: Lane, cached: Lane, console: Console) -> None:
    """What came out, and why if it differs; what both could see; and what each took."""
    one, other = uncached.tokens, cached.tokens
    if one == other:
        said = f"the same text: yes, {tokens(uncached.made)}"
    else:
        at = next(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b) - uncached.prompt
        said = f"the same text: no, they part at new token {at + 1:,}{reason(cached)}"
    ratio = uncached.seconds / cached.seconds
    faster = f"{ratio:.1f} times faster" if ratio > 1 else f"{1 / ratio:.1f} times slower"
    fewer = f"{uncached.rows / cached.rows:.0f} times fewer" if uncached.rows > cached.rows else "the same"
    lines = [
        said,
        *seen(cached),
        f"K/V rows computed: {uncached.rows:,} without a cache, {cached.rows:,} with {cached.name}: {fewer}",
        f"time here: {uncached.seconds:.2f} s and {cached.seconds:.2f} s: {faster}",
    ]
    for line in lines:
        console.print(line, highlight=False)


def reason(cached: Lane) -> str:
    """Why the texts may part though nothing is wrong."""
    if CACHES[cached.name].lossy:
        return f" ({cached.name} rounds what it keeps)"
    if cached.dtype.itemsize < torch.float32.itemsize:
        return f" ({str(cached.dtype).removeprefix('torch.')} rounds, and a near tie can flip: see notebook 03)"
    return ""


def seen(cached: Lane) -> list[str]:
    """A line if the model, with a cache and without, sees a part of the text only."""
    window, sinks = cached.config.window, cached.config.sinks
    return [] if window is None else [f"what a token sees, without a cache too: {in_view(window, sinks)}"]
