"""How tables and the words around them are set: in 80 columns, as a terminal has at least."""

import textwrap
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from minigpt.measure.quality.settings import Setting

WIDTH = 80  # columns that words take; a table of small numbers takes no more
ROOM = 400  # columns that a table may take: where a terminal has fewer, it wraps lines, but no number is cut


def table_of(first: str, *others: str, gap: int = 2) -> Table:
    """Words in the first column, numbers in the others. gap: spaces between two columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, no_wrap=True, vertical="bottom")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    return table


def print_words(text: str, console: Console) -> None:
    """A paragraph, after an empty line."""
    lines = textwrap.fill(text, WIDTH, break_on_hyphens=False)
    console.print("\n" + lines, markup=False, highlight=False, soft_wrap=True)


def print_table(table: Table, console: Console) -> None:
    """After an empty line."""
    console.width = max(console.width, ROOM)
    console.print()
    console.print(table)


def short_name(setting: Setting) -> str:
    """int2 channel/token, for 2 bits with keys by channel and values by token"""
    return setting.name.replace(", keys by ", " ").replace(", values by ", "/")


def explained(settings: Iterable[Setting]) -> str:
    """What such a name means, by the first that rounds keys and values in two ways; nothing where none does."""
    for setting in settings:
        key, value = (setting.options.get(f"group_{each}") for each in ("key", "value"))
        if key != value:
            bits = setting.options["nbits"]
            return f"{short_name(setting)}: {bits} bits; keys share a scale by {key}, values by {value}."
    return ""
