"""The table of `python -m minigpt bench`."""

from rich.console import Console

from minigpt.show.tables.layout import print_table, print_words, table_of


def report(result: dict, console: Console) -> None:
    """Print each contestant's tokens a second, and how many times as fast as `versus` it is."""
    versus, rounds = result["versus"], result["rounds"]
    print_words(
        f"Tokens a second: prefill included, the median of {rounds} rounds in which all took turns. Times as fast as "
        f"{versus}: the median of the rounds' ratios, and the lowest and the highest of them.",
        console,
    )
    table = table_of("", "tokens\na second", f"times as fast\nas {versus}", "lowest\nto highest")
    for line in result["lines"]:
        low, high = line["ratio_low"], line["ratio_high"]
        table.add_row(
            line["name"], f"{line['tokens_per_second']:,.0f}", f"{line['ratio']:.2f}", f"{low:.2f} to {high:.2f}"
        )
    print_table(table, console)
    print_words(", ".join(f"{key} {value}" for key, value in result["machine"].items()), console)
