"""The notebooks' README: every link leads to a heading that is there, and its lists are whole."""

import re
from urllib.parse import unquote

import jupytext
import pytest

from notebooks.build import FOLDER, SOURCES

README = (FOLDER / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\[([^\]]*)\]\(([^)#]*)(?:#([^)]*))?\)", README)


def part(heading):
    """The text of a section."""
    return re.split(r"(?m)^## ", README.split(f"\n## {heading}\n")[1])[0]


def headings(notebook):
    cells = jupytext.read(notebook.with_suffix(".py"), fmt="py:percent").cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"(?m)^#{2,3} (.*)$", prose)


@pytest.mark.parametrize(("words", "file", "anchor"), LINKS, ids=[f"{file}#{anchor}" for _, file, anchor in LINKS])
def test_a_link_leads_to_a_file_and_to_a_heading_that_are_there(words, file, anchor):
    assert (FOLDER / file).is_file()
    if anchor:
        (heading,) = [each for each in headings(FOLDER / file) if each.replace(" ", "-") == unquote(anchor)]
        assert words == f"{file[:2]}: {heading}"


def test_the_map_has_a_line_for_each_notebook():
    assert re.findall(r"(?m)^\| \[.*?\]\((.*?)\.ipynb\)", part("The map")) == [source.stem for source in SOURCES]


def test_the_lecture_takes_an_hour_without_a_gap():
    rows = re.findall(r"(?m)^\| (\d+)-(\d+) \|", part("An hour's lecture"))
    starts, ends = ([int(minute) for minute in column] for column in zip(*rows, strict=True))
    assert [*starts, 60] == [0, *ends]


def test_there_are_twenty_questions_and_each_names_the_section_that_answers_it():
    questions = re.split(r"(?m)^(?=\d+\. \*\*)", part("Twenty questions"))[1:]
    assert [int(question.split(".")[0]) for question in questions] == list(range(1, 21))
    for question in questions:
        assert re.match(r"\d+\. \*\*[^*]*\?\*\* ", question), question
        assert ".ipynb#" in question, question
