"""The tables of `python -m minigpt quality`."""

from rich.console import Console
from rich.table import Table

from minigpt.measure.quality.real import RealScore
from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.rounding import RoundingError
from minigpt.measure.quality.scores import Score
from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.tables.setting_names import explained, short_name


def report_recording(recording: Recording, console: Console) -> None:
    """Print the scores of every setting and the rounding errors of every grouping, without and with an outlier,
    and what is measured as bytes are counted."""
    print_words(
        f"{recording.questions} memory questions at each distance, seed {recording.seed}. Right: their share, with its "
        "95% interval; to N: the share in % up to N tokens from the fact to the answer. Bits a byte: surprise at "
        "prose never read before; more: than without a cache, its 95% interval. Bytes: of "
        f"{recording.prompt_tokens} tokens, kept in {recording.kept}, fed one token at a time, at their end (most: on "
        f"the way). {explained(score.setting for score in recording.scores)}",
        console,
    )
    report_scores(recording.scores, console)
    print_words(
        "Rounding errors, relative; of scores, the root mean square. Output: when only the keys, or only the values, "
        "are rounded. The numbers of a group share a scale.",
        console,
    )
    print_table(error_table(recording.errors), console)
    print_words(
        f"The same model, key channel {recording.channel} of each head made {recording.factor:g} times as large on "
        "purpose (and its queries as much smaller):",
        console,
    )
    report_scores(recording.injected_scores, console)
    print_table(error_table(recording.injected_errors), console)
    print_words(f"Not in {recording.dtype}, fed {recording.chunk} tokens at once, but as bytes are counted:", console)
    report_scores(recording.checked_scores, console)


def report_scores(scores: list[Score], console: Console) -> None:
    """Two tables, since one would be wider than a terminal."""
    print_table(recall_table(scores), console)
    print_table(prose_table(scores), console)


def recall_table(scores: list[Score] | list[RealScore]) -> Table:
    table = table_of(
        "what is kept", "right", "95%\ninterval", *(f"to\n{edge}" for edge in scores[0].by_distance), gap=1
    )
    for score in scores:
        low, high = score.recall_interval
        table.add_row(
            short_name(score.setting),
            f"{100 * score.recall:.1f}%",
            f"{100 * low:.1f} to {100 * high:.1f}",
            *(f"{100 * share:.0f}" for share in score.by_distance.values()),
        )
    return table


def prose_table(scores: list[Score]) -> Table:
    table = table_of("what is kept", "bytes", "most", "bits a\nbyte", "more,\n95% interval")
    for score in scores:
        low, high = score.more_bits_interval
        table.add_row(
            short_name(score.setting),
            f"{score.nbytes:,}",
            f"{score.most_nbytes:,}",
            f"{score.bits_per_byte:.3f}",
            f"{low:+.4f} to {high:+.4f}",
        )
    return table


def error_table(errors: list[RoundingError]) -> Table:
    table = table_of(
        "group", "bits", "layer", "keys", "scores", "weights", "output\nof keys", "values", "output\nof values"
    )
    for error in errors:
        figures = error.keys, error.scores, error.weights, error.output_of_keys, error.values, error.output_of_values
        table.add_row(error.group, str(error.bits), str(error.layer), *(f"{figure:.4f}" for figure in figures))
    return table
