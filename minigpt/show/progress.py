"""How far a measurement is, live on the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bars(names: list[str], steps: int) -> Iterator[Callable[[str], None]]:
    """A live line for each name, on stderr, and only on a terminal. Call what this gives after each step of a name."""
    columns = TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks = {name: bars.add_task(name, total=steps) for name in names}
        yield lambda name: bars.advance(tasks[name])
