"""How tables and the words around them are set: in 80 columns, as a terminal has at least."""

import textwrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80  # columns that words take; a table of small numbers takes no more
ROOM = 400  # columns that a table may take: where a terminal has fewer, it wraps lines, but no number is cut


def table_of(first: str, *others: str, gap: int = 2) -> Table:
    """Words in the first column, numbers in the others. gap: spaces between two columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(Text(first), no_wrap=True, vertical="bottom")
    for heading in others:
        table.add_column(Text(heading), justify="right", no_wrap=True, vertical="bottom")
    return table


def print_words(text: str, console: Console) -> None:
    """A paragraph, after an empty line. A line of the text that is too wide goes on in the next one."""
    words = textwrap.TextWrapper(WIDTH, break_on_hyphens=False, break_long_words=False)
    lines = "\n".join(map(words.fill, text.splitlines()))
    console.print("\n" + lines, markup=False, highlight=False, soft_wrap=True)


def print_table(table: Table, console: Console) -> None:
    """After an empty line."""
    console.width = max(console.width, ROOM)
    console.print()
    console.print(table)
