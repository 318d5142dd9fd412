"""The table of what each setting forgets, measured by few questions and little prose."""

from rich import box
from rich.console import Console
from rich.table import Table

from minigpt.measure.quality.reference import PROMPT_TOKENS
from minigpt.measure.quality.scores import KEPT, Score, name_of
from minigpt.recall.exam import CHUNK
from minigpt.show.program import program
from minigpt.show.tables.compare import WIDTH


def report_scores(scores: list[Score], console: Console) -> None:
    """Print what each setting forgets, if there are any."""
    if not scores:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("\nwhat is kept of the text", no_wrap=True)
    for heading in ("bytes\nheld", *(f"to\n{edge}" for edge in scores[0].by_distance), "bits a\nbyte"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in scores:
        held = f"{each.nbytes:,}"
        table.add_row(each.setting.name, held, *map(str, each.right), f"{each.bits_per_byte:.3f}")
    console.width = max(console.width, WIDTH)
    console.print()
    console.print(table)
    lines_below = [
        "",
        f"Bytes held: at the end of {PROMPT_TOKENS} tokens, kept in {name_of(KEPT)}, fed one at a time.",
        f"To N: memory questions answered right, of {scores[0].questions}, up to N tokens from the fact to the answer.",
        f"Bits a byte: surprise at prose never read before. Read {CHUNK} tokens at once; int: all before is rounded.",
        f"Few, to be quick: {program()} quality asks more, of more settings, with confidence intervals.",
    ]
    console.print("\n".join(lines_below), markup=False, highlight=False, soft_wrap=True)
