"""The table of `python -m minigpt bench`."""

from rich.console import Console
from rich.table import Table


def report(result: dict, console: Console) -> None:
    """Print each contestant's tokens a second, and how many times as fast as `versus` it is."""
    versus, rounds, machine = result["versus"], result["rounds"], result["machine"]
    console.print(f"median of {rounds} rounds, all in turn", highlight=False)
    table = Table()
    table.add_column("")
    for heading in ("tokens/s", f"times {versus}\n(median of ratios)", "lowest, highest"):
        table.add_column(heading, justify="right")
    for line in result["lines"]:
        low, high = line["ratio_low"], line["ratio_high"]
        table.add_row(
            line["name"], f"{line['tokens_per_second']:,.0f}", f"{line['ratio']:.2f}", f"{low:.2f}, {high:.2f}"
        )
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()), style="dim", highlight=False)
