"""A section of a committed notebook: its cells, with the outputs of their run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

UNSEEN = {"exercise", "check", "solution"}  # tags


@dataclass(frozen=True)
class Cell:
    """kind: markdown or code. outputs: of each what it says, by MIME type."""

    kind: str
    text: str
    tags: set[str]
    outputs: list[dict[str, str]]


def section(path: Path, heading: str) -> list[Cell]:
    """What is under a heading, up to the next heading of any kind. The heading itself is not among it."""
    cells: list[Cell] = []
    found = False
    for cell in read(path):
        above = re.match(r"#+ (.*)\n*", cell.text) if cell.kind == "markdown" else None
        if found and above:
            return cells
        if above and above[1] == heading:
            found = True
            cell = Cell(cell.kind, cell.text[above.end() :], cell.tags, [])
        if found and not cell.tags & UNSEEN:
            cells.append(cell)
    if not found:
        raise ValueError(f"{path}: no section {heading!r}, which the table of the hour names")
    return cells


def read(path: Path) -> list[Cell]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no notebook that can be read ({error!r}): build.py beside it makes it") from error
    return [
        Cell(
            cell["cell_type"],
            text,
            set(cell["metadata"].get("tags", [])),
            [{kind: "".join(said) for kind, said in each.items()} for each in map(said_by, cell.get("outputs", []))],
        )
        for cell in cells
        for text in under_headings(cell)
    ]


def under_headings(cell: dict) -> list[str]:
    """A cell's text; that of one with headings in it cut before each."""
    text = "".join(cell["source"])
    return re.split(r"(?m)^(?=##+ )", text) if cell["cell_type"] == "markdown" else [text]


def said_by(output: dict) -> dict:
    return output.get("data") or {"text/plain": output.get("text", "")}
