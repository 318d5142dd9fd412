"""The tables of `python -m minigpt memory`: for a terminal, in Markdown, and as lines of plain numbers."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from minigpt.show.tables.layout import print_table, print_words, table_of
from minigpt.show.tables.memory_words import foot, head, under
from minigpt.show.words import words

Rows = list[list[str]]  # the first has the heads


def report(results: list[dict], console: Console) -> None:
    """Print what the models keep of a token, what each cache holds of a context, and what is counted."""
    for text, rows in parts(results):
        print_words("\n".join(text), console)
        if rows:
            table = table_of(*rows[0])
            for row in rows[1:]:
                table.add_row(*row)
            print_table(table, console)


def as_markdown(results: list[dict]) -> str:
    written = []
    for text, rows in parts(results):
        written += [line.replace("* ", "\\* ", 1) if line.startswith("* ") else line for line in text if line]
        if rows:
            aligned = ["---", *["---:"] * (len(rows[0]) - 1)]
            heads = [heading.replace("\n", " ").replace("|", "\\|") for heading in rows[0]]
            written.append("\n".join(f"| {' | '.join(row)} |" for row in [heads, aligned, *rows[1:]]))
    return "\n\n".join(written)


def as_csv(results: list[dict]) -> str:
    """A line for each model and cache, after one with the names of the columns; nothing stands for null."""
    of_the_model = ("model", "context", "batch")
    file = io.StringIO()
    columns = [*of_the_model, *results[0]["caches"][0]]
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for line in result["caches"]:
            writer.writerow({key: result[key] for key in of_the_model} | line)
    return file.getvalue()


def parts(results: list[dict]) -> list[tuple[list[str], Rows]]:
    """Lines of text, each with the table that follows (none after the last)."""
    text = [line for result in results for line in head(result)]
    if len(results) == 1:
        return [([*text, under(results[0])], one(results[0])), (foot(results), [])]
    names = short_names([result["model"] for result in results])
    tables = [([*text, under(results[0])], compared(results, names, "bytes held", held))]
    tables.append((["The most at any moment:"], compared(results, names, "at the peak", peak)))
    if results[0]["memory"] is not None:
        tables.append((["Longest context that fits:"], compared(results, names, room(results[0]), longest)))
    return [*tables, (foot(results), [])]


def one(result: dict) -> Rows:
    heads = ["cache", "bytes\nheld", "at its\npeak", "a token\nmore adds", "in slower\nmemory"]
    columns: list[Callable[[dict], str]] = [
        held,
        peak,
        lambda line: f"{line['nbytes_of_next_token']:,}",
        lambda line: words(line["nbytes_below"]) if line["nbytes_below"] else "",
    ]
    if result["memory"] is not None:
        heads.append(f"longest\n{room(result)}")
        columns.append(longest)
    return [heads, *([label(line), *(column(line) for column in columns)] for line in result["caches"])]


def compared(results: list[dict], names: list[str], what: str, cell: Callable[[dict], str]) -> Rows:
    """A row for each cache that serves any of the models, a column for each model."""
    columns = [{label(line): cell(line) for line in result["caches"]} for result in results]
    most = max(columns, key=len)
    return [[what, *names], *([cache, *(column.get(cache, "") for column in columns)] for cache in most)]


def held(line: dict) -> str:
    return words(line["nbytes"])


def peak(line: dict) -> str:
    return "*" if line["nbytes_peak"] is None else words(line["nbytes_peak"])


def longest(line: dict) -> str:
    return "any" if line["longest_context"] is None else f"{line['longest_context']:,}"


def label(line: dict) -> str:
    return line["cache"] if line["bits"] == 16 else f"{line['cache']} {line['bits']} bit{'s' * (line['bits'] > 1)}"


def room(result: dict) -> str:
    return f"in {words(result['memory'])}"


def short_names(names: list[str]) -> list[str]:
    """The last part of a path, if these differ."""
    short = [Path(name.removesuffix("config.json")).name or name for name in names]
    return short if len(set(short)) == len(short) else names
