"""The table of `python -m minigpt recall`."""

from rich.console import Console
from rich.table import Table


def report(
    cache: str, shares: dict[int, float], chance: dict[int, float], bits: float, questions: int, console: Console
) -> None:
    """Print the share of memory questions answered right by distance, and the bits per byte of the held-out play."""
    console.print(f"cache {cache}: {questions} memory questions at each distance", highlight=False)
    table = Table()
    for heading in ("tokens from fact\nto answer", "right", "by chance"):
        table.add_column(heading, justify="right")
    low = 1
    for high, share in shares.items():
        table.add_row(f"{low} to {high}", f"{100 * share:.1f}%", f"{100 * chance[high]:.1f}%")
        low = high + 1
    console.print(table)
    console.print(f"held-out prose: {bits:.3f} bits per byte", highlight=False)
