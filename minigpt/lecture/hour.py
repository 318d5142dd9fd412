"""What is told when: the table of the hour in the notebooks' README."""

import re
from dataclasses import dataclass
from pathlib import Path

HALF = 30  # minutes
ROW = re.compile(r"^\| (\d+)-(\d+) \| (.*?) \| (.*) \|$", re.MULTILINE)
LINK = re.compile(r"\[\d\d: ([^\]]*)\]\(([^)#]*)#")


@dataclass(frozen=True)
class Part:
    """Minutes of the hour, what is told in them, and the sections, as (file of the notebook, heading)."""

    start: int
    end: int
    what: str
    sections: list[tuple[str, str]]

    @property
    def ends_half_an_hour(self) -> bool:
        return self.start < HALF <= self.end


def hour(readme: str) -> list[Part]:
    """The rows of the table, in order."""
    table = chapter(readme, "An hour's lecture")
    parts = [
        Part(int(start), int(end), what, [(file, heading) for heading, file in LINK.findall(where)])
        for start, end, what, where in ROW.findall(table)
    ]
    if not parts or not all(part.sections for part in parts):
        raise ValueError(
            "the table of the hour in the notebooks' README wants rows like | 0-5 | what | [02: Heading](file#it) |"
        )
    return parts


def questions(readme: str) -> list[tuple[str, str]]:
    """The list of questions, each with its answer in Markdown."""
    listed = re.split(r"(?m)^\d+\. (?=\*\*)", chapter(readme, "Twenty questions"))[1:]
    return [re.findall(r"\*\*(.*?)\*\*\s+(.*?)(?=\n#|\Z)", each, re.DOTALL)[0] for each in listed]


def chapter(readme: str, heading: str) -> str:
    """The text under a heading, up to the next of its kind."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"the README of the notebooks has no part {heading!r}, from which the lecture is made")
    return found[1]


def read_readme(notebooks: Path) -> str:
    try:
        return (notebooks / "README.md").read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"{error.filename}: {error.strerror}. The lecture is made of the notebooks, which are not part of the "
            "installed library: run this in a clone of the project, or say where they are with --notebooks FOLDER"
        ) from error
