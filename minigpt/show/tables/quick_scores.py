"""The table of what each setting forgets, measured by few questions and little prose."""

from rich.console import Console

from minigpt.measure.quality.quick_scores import PROSE
from minigpt.measure.quality.reference import PROMPT_TOKENS
from minigpt.measure.quality.scores import KEPT, Score, name_of
from minigpt.recall.exam import CHUNK
from minigpt.show.program import program
from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.tables.setting_names import explained, short_name


def report_scores(scores: list[Score], console: Console) -> None:
    """Print what each setting forgets, if there are any."""
    if not scores:
        return
    print_words(
        f"What is forgotten? To N: memory questions answered right, of {scores[0].questions}, up to N tokens from the "
        f"fact to the answer. Bits a byte: surprise at prose never read before, the first {PROSE:,} tokens that "
        f"training held out. Bytes held: at the end of {PROMPT_TOKENS} tokens, in {name_of(KEPT)}, fed one at a time. "
        f"Texts are read {CHUNK} tokens at once; all before these is rounded. "
        f"{explained(score.setting for score in scores)}",
        console,
    )
    distances = [f"to\n{edge}" for edge in scores[0].by_distance]
    table = table_of("what is kept", "bytes\nheld", *distances, "bits a\nbyte")
    for each in scores:
        table.add_row(short_name(each.setting), f"{each.nbytes:,}", *map(str, each.right), f"{each.bits_per_byte:.3f}")
    print_table(table, console)
    print_words(f"Few, to be quick: {program()} quality asks more, and tells how sure it is.", console)
