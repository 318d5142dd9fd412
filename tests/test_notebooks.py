"""Each notebook is what its source makes, runs from top to bottom, and says nothing that its own run doesn't show."""

import base64
import getpass
import html
import io
import re
import socket
import sys
from pathlib import Path

import matplotlib.image
import nbformat
import pytest

from minigpt.museum import BUGS
from notebooks.build import METADATA, SECONDS, SOURCES, execute, read

MAX_BYTES = 500_000
NOT_WRITTEN = "not written yet"

# Warnings of the kernel's libraries, which are not this package's.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem, scope="module"),
]


def committed(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


@pytest.fixture(scope="module")
def rerun(source):
    """A run in a fresh kernel. Behind each solution stand two cells more: its code, and the exercise's check again."""
    notebook = read(source)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if "solution" in tags(cell):
            check = next(each for each in reversed(cells) if "check" in tags(each))
            cells += [nbformat.v4.new_code_cell(text, id=f"{cell.id}-{at}", metadata={"tags": ["solved"]})
                      for at, text in enumerate([solution(cell), check.source])]  # fmt: skip
    clock = nbformat.v4.new_code_cell("import time\nprint(time.process_time())", metadata={"tags": ["solved", "clock"]})
    notebook.cells = [*cells, clock]
    return execute(notebook)


def tags(cell):
    return cell.metadata.get("tags", [])


def solution(cell):
    (code,) = re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    return code


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(cell):
    """All that a cell prints, shows as its value, or says beside a figure."""
    parts = []
    for output in cell.get("outputs", []):
        parts += [output.get("text", "")] + [
            output.get("data", {}).get(kind, "") for kind in ("text/plain", "text/markdown")
        ]
    return "".join(parts)


def images(cell):
    """(alt text, PNG) of each figure."""
    shown = "".join(output.get("data", {}).get("text/html", "") for output in cell.get("outputs", []))
    found = re.findall(r'<img alt="([^"]*)" width="\d+" src="data:image/png;base64,([^"]*)">', shown)
    return [(html.unescape(alt), base64.b64decode(png)) for alt, png in found]


def test_it_is_what_its_source_makes(source):
    want, got = read(source), committed(source)
    assert got.metadata == METADATA
    for cell in code_cells(got):
        cell.outputs, cell.execution_count = [], None
    assert got.cells == want.cells, f"run: python notebooks/build.py {source.stem}"


def test_it_runs_without_error_or_stderr(source, rerun):
    for cell in code_cells(rerun):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"


def test_it_takes_less_than_a_minute(source, rerun):
    """Of the processor's time, with its solutions: a busy machine changes nothing in it."""
    (clock,) = [cell for cell in code_cells(rerun) if "clock" in tags(cell)]
    assert float(text(clock)) < SECONDS


def test_its_committed_outputs_are_those_of_a_run(source, rerun):
    again = [cell for cell in code_cells(rerun) if "solved" not in tags(cell)]
    for kept, cell in zip(code_cells(committed(source)), again, strict=True):
        assert kept.source == cell.source
        if "timed" in tags(cell):
            assert [output.output_type for output in kept.outputs] == [output.output_type for output in cell.outputs]
            continue
        assert text(kept) == text(cell), cell.source
        for (alt, png), (alt_again, png_again) in zip(images(kept), images(cell), strict=True):
            assert alt == alt_again
            one, other = (matplotlib.image.imread(io.BytesIO(each)) for each in (png, png_again))
            assert one.shape == other.shape
            assert abs(one - other).mean() < 0.02  # another version of matplotlib sets letters a little differently


def test_cells_are_numbered_in_the_order_of_the_run(source):
    numbers = [cell.execution_count for cell in code_cells(committed(source)) if "skip-execution" not in tags(cell)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_exercise_is_a_stub_then_a_check_then_a_folded_solution(source):
    cells = committed(source).cells
    exercises = [at for at, cell in enumerate(cells) if "exercise" in tags(cell)]
    assert 2 <= len(exercises) <= 4
    for at in exercises:
        stub, check, folded = cells[at : at + 3]
        assert "raise NotImplementedError" in stub.source
        assert "check" in tags(check)
        assert NOT_WRITTEN in text(check), "the stub as it stands must raise NotImplementedError"
        assert "solution" in tags(folded)
        assert folded.source.startswith("<details>")
        assert folded.source.endswith("</details>")


def test_each_solution_passes_its_check(source, rerun):
    solved = [text(cell) for cell in code_cells(rerun) if tags(cell) == ["solved"]]
    assert solved, "no solution was run"
    for said in solved[1::2]:
        assert "✓" in said
        assert NOT_WRITTEN not in said


def test_a_mutant_that_a_solution_names_is_one_of_the_suite(source):
    prose = "".join(cell.source for cell in committed(source).cells if "solution" in tags(cell))
    for name in re.findall(r"the mutant \*([^*]*)\*", prose):
        assert name in BUGS


def test_each_numbered_section_claims_asks_for_a_prediction_asserts_and_answers(source):
    sections = re.split(r"(?m)^# ## (?=\d)", source.read_text(encoding="utf-8"))[1:]
    assert sections
    for section in sections:
        heading = section.splitlines()[0]
        assert "**Claim.**" in section, heading
        assert "**Predict.**" in section, heading
        assert re.search(r"(?m)^\s*(assert|with refused)\b", section), heading
        assert section.find("**Predict.**") < section.find("\n# **Answer.** "), heading


def test_what_comes_out_before_the_answer_is_hidden_and_nothing_else_is(source):
    """In JupyterLab, until the cell is run."""
    asked = False
    for cell in committed(source).cells:
        asked = "**Predict.**" in cell.source or (asked and "**Answer.**" not in cell.source)
        hidden = cell.metadata.get("jupyter", {}).get("outputs_hidden", False)
        exercise = {"exercise", "check"} & {*tags(cell)}
        assert hidden == (cell.cell_type == "code" and asked and not exercise), cell.source


def test_its_head_has_a_chinese_summary_and_a_glossary(source):
    head = committed(source).cells[:4]
    assert head[0].source.startswith(f"# {source.name[:2]} ")
    assert any("**中文提要**" in cell.source for cell in head)
    assert glossary(source)


def test_a_word_of_the_glossary_is_translated_the_same_in_every_notebook(source):
    mine = glossary(source)
    for other in SOURCES:
        for english, chinese in glossary(other).items():
            assert mine.get(english, chinese) == chinese, f"{english} in {other.name}"


def glossary(source):
    """English: Chinese."""
    (cell,) = [cell for cell in read(source).cells if "| English | 中文 |" in cell.source]
    rows = [row.strip("| ").split(" | ") for row in cell.source.splitlines() if row.startswith("|")]
    return dict(row[:2] for row in rows[2:])


def test_it_needs_no_network_to_be_read(source):
    """TeX and pictures from elsewhere would."""
    for cell in committed(source).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
            assert "$" not in prose
            assert not re.search(r"!\[|<img|<script", prose)


def test_every_figure_has_an_alt_text_that_says_what_it_shows(source):
    for cell in code_cells(committed(source)):
        for output in cell.outputs:
            assert not any(kind.startswith("image/") for kind in output.get("data", {})), "show it by show(figure, alt)"
        assert str(cell.outputs).count("<img") == len(images(cell))
        for alt, _ in images(cell):
            assert len(alt.split()) >= 8, alt


def test_it_is_small_and_names_no_path_no_machine_and_no_time(source):
    written = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(written.encode()) <= MAX_BYTES
    said = re.sub(r"base64,[^\"\\]*", "", written)
    names = [str(Path(__file__).parent.parent), str(Path.home()), sys.prefix, socket.gethostname(), getpass.getuser()]
    for name in names:
        assert len(name) < 5 or name not in said  # a short one may be a word
    assert not re.search(r"site-packages|/tmp/|/home/|/Users/|[A-Z]:\\\\", said)
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|0x[0-9a-f]{6}", said)


NUMBER = r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w]|[.,]\d)"


def numbers(prose):
    return {number.replace(",", "") for number in re.findall(NUMBER, prose, re.ASCII)}


def test_every_number_in_its_prose_is_one_of_its_code_or_of_its_run(source):
    """Prose is not code, a heading's number, the name of a notebook or exercise, a link, or a paper's number."""
    notebook = committed(source)
    known = set()
    for cell in code_cells(notebook):
        run = cell.source + (text(cell) if "timed" not in tags(cell) else "")
        known |= set(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", run)))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", cell.source, flags=re.DOTALL)
            prose = re.sub(r"(?m)^#+ [\d.]+ ", "", prose)
            prose = re.sub(r"(?i)(exercise|notebooks?|section|arXiv|python) [\d.]+(( to |, | and )\d+)*", "", prose)
            assert not numbers(prose) - known, prose
