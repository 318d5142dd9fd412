"""The tables of `python -m minigpt quality` of a model that is asked in plain English."""

from rich.console import Console
from rich.table import Table

from minigpt.measure.quality.real import RealScore
from minigpt.measure.quality.real_recording import RealRecording
from minigpt.recall.plain_english import REST
from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.tables.quality import recall_table
from minigpt.show.tables.setting_names import explained, short_name


def report_real(recording: RealRecording, console: Console) -> None:
    """Print what each setting holds, predicts and remembers."""
    passages = f"{recording.passages} passage{'s' * (recording.passages > 1)}"
    print_words(
        f"{recording.model} in {recording.dtype}: {passages} of {recording.edges[-1]:,} tokens of a "
        f"play, fed {recording.chunk} at once. Bytes: at a passage's end, kept in {recording.kept}, fed one token at a "
        "time. Bits a byte: surprise at the play; more: than the exact cache, its 95% interval. "
        f"{explained(recording.settings)}",
        console,
    )
    print_table(prose_table(recording.scores), console)
    print_words(
        f"Lines begun again at the passage's end (seed {recording.seed}). Right: the share of {REST} tokens of each "
        "that are predicted, with its 95% interval; to N: that share in % for lines up to N tokens back. Not read: for "
        "the same tokens, where nothing was read before.",
        console,
    )
    table = recall_table(recording.scores)
    table.add_row("not read", "", "", *(f"{100 * share:.0f}" for share in recording.chance.values()))
    print_table(table, console)


def prose_table(scores: list[RealScore]) -> Table:
    table = table_of("what is kept", "bytes", "bits a\nbyte", "more", "95%\ninterval")
    for score in scores:
        low, high = score.more_bits_interval
        table.add_row(
            short_name(score.setting),
            f"{score.nbytes:,}",
            f"{score.bits_per_byte:.3f}",
            f"{score.more_bits:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
        )
    return table
