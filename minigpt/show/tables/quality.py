"""The tables of `python -m minigpt recall` and of `python -m minigpt quality`."""

from rich.console import Console
from rich.table import Table

from minigpt.measure.quality.recording import Recording
from minigpt.measure.quality.rounding import RoundingError
from minigpt.measure.quality.scores import Score


def report(
    cache: str, shares: dict[int, float], chance: dict[int, float], bits: float, questions: int, console: Console
) -> None:
    """Print the share of memory questions answered right by distance, and the bits per byte of the held-out play."""
    console.print(f"cache {cache}: {questions} memory questions at each distance", highlight=False)
    table = Table()
    for heading in ("tokens from fact\nto answer", "right", "by a guess among\nthe values in view"):
        table.add_column(heading, justify="right")
    low = 1
    for high, share in shares.items():
        table.add_row(f"{low} to {high}", f"{100 * share:.1f}%", f"{100 * chance[high]:.1f}%")
        low = high + 1
    console.print(table)
    console.print(f"held-out prose: {bits:.3f} bits per byte", highlight=False)


def report_recording(recording: Recording, console: Console) -> None:
    """Print the scores of every setting and the rounding errors of every grouping, without and with an outlier,
    and what is measured as bytes are counted."""
    console.print(f"{recording.questions} memory questions at each distance, seed {recording.seed}", highlight=False)
    console.print(
        f"Bytes: of {recording.prompt_tokens} tokens, kept in {recording.kept}, fed one token at a time, at their end "
        "(most: on the way).",
        highlight=False,
    )
    console.print(score_table(recording.scores))
    console.print(error_table(recording.errors))
    console.print(
        f"The same model, key channel {recording.channel} of each head made {recording.factor:g} times as large on "
        "purpose (and its queries as much smaller):",
        highlight=False,
    )
    console.print(score_table(recording.injected_scores))
    console.print(error_table(recording.injected_errors))
    console.print(
        f"Not in {recording.dtype}, fed {recording.chunk} tokens at once, but as bytes are counted:", highlight=False
    )
    console.print(score_table(recording.checked_scores))


def score_table(scores: list[Score]) -> Table:
    edges = list(scores[0].by_distance)
    by_distance = [f"to {edge}" for edge in edges]
    table = table_of(
        "setting", "bytes", "most", "right", "95% interval", *by_distance, "bits/byte", "more, 95% interval"
    )
    for score in scores:
        low, high = score.recall_interval
        more_low, more_high = score.more_bits_interval
        table.add_row(
            score.setting.name,
            f"{score.nbytes:,}",
            f"{score.most_nbytes:,}",
            f"{100 * score.recall:.1f}%",
            f"{100 * low:.1f} to {100 * high:.1f}",
            *(f"{100 * share:.0f}" for share in score.by_distance.values()),
            f"{score.bits_per_byte:.3f}",
            f"{more_low:+.4f} to {more_high:+.4f}",
        )
    return table


def error_table(errors: list[RoundingError]) -> Table:
    table = table_of("group", "bits", "layer", "keys", "scores", "weights", "output of keys", "values", "of values")
    for error in errors:
        figures = error.keys, error.scores, error.weights, error.output_of_keys, error.values, error.output_of_values
        table.add_row(error.group, str(error.bits), str(error.layer), *(f"{figure:.4f}" for figure in figures))
    return table


def table_of(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
