"""The tables of `python -m minigpt recall`."""

from rich.console import Console
from rich.table import Table

from minigpt.config import Config
from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.words import in_view


def report(
    cache: str,
    config: Config,
    questions: int,
    shares: dict[int, float],
    chance: dict[int, float],
    bits: float,
    tokens: int,
    console: Console,
) -> None:
    """Print the share of memory questions answered right by distance, and the bits per byte of the held-out text.

    config: of the model, with its window. tokens: of that text.
    """
    print_words(
        f"Read through the cache {cache}{window_of(config)}: {questions} memory questions at each distance, the tokens "
        "from the fact to the answer. A guess is among the values in view.",
        console,
    )
    print_table(by_distance(shares, chance, "by a guess"), console)
    print_words(
        f"Surprise at prose never read before, all {tokens:,} tokens that training held out: {bits:.3f} bits a byte.",
        console,
    )


def report_plain(
    cache: str,
    config: Config,
    asked: int,
    shares: dict[int, float],
    unread: dict[int, float],
    bits: float,
    tokens: int,
    console: Console,
) -> None:
    """The same of a model that finishes lines of The Tempest which it has read. unread: of the same tokens, the share
    that is predicted where nothing was read. tokens: of the passages."""
    print_words(
        f"Read through the cache {cache}{window_of(config)}: lines of The Tempest are begun again, and should go on as "
        f"they did; {asked} tokens at each distance from where a line stood to where it recurs.",
        console,
    )
    print_table(by_distance(shares, unread, "not read"), console)
    print_words(f"Surprise at {tokens:,} tokens of The Tempest: {bits:.3f} bits a byte.", console)


def window_of(config: Config) -> str:
    return "" if config.window is None else f", each token seeing {in_view(config.window, config.sinks)}"


def by_distance(shares: dict[int, float], chance: dict[int, float], without: str) -> Table:
    table = table_of("distance", "right", without)
    for low, high in zip([1, *(edge + 1 for edge in shares)], shares, strict=False):
        table.add_row(f"{low} to {high}", f"{100 * shares[high]:.1f}%", f"{100 * chance[high]:.1f}%")
    return table
