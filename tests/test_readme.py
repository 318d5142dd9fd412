"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

import pytest
from test_bad_input import CATALOGUE

from minigpt.__main__ import main, parser
from minigpt.cache import CACHES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_python_runs():
    (code,) = blocks("python")
    exec(code, {})  # noqa: S102


def test_its_first_command_prints_the_table_that_it_shows(capsys):
    """All but the times, and the last digits of differences that depend on the machine's arithmetic."""
    assert main([]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = blocks("text")[0].splitlines()

    def facts(lines):
        rows = [line.split() for line in lines]
        return [(row[0], row[1], row[3], *row[-2:]) for row in rows if row and row[0] in CACHES and "x" in row]

    assert len(facts(shown)) == len(CACHES)
    assert facts(shown) == facts(printed)
    assert shown[-1] == printed[-1]


@pytest.mark.parametrize("command", re.findall(r"`python -m minigpt ([^`]*)`", README))
def test_each_command_that_it_names_is_one(command):
    """Those that finish in seconds are run by tests/test_commands.py; the words of all are checked here."""
    arguments = shlex.split(command)
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            parser().parse_args(arguments)
    else:
        parser().parse_args(arguments)


def test_the_errors_that_it_shows_are_in_the_catalogue_of_bad_input():
    errors = blocks("text")[1].strip().splitlines()
    assert len(errors) == 3
    for error in errors:
        assert any(re.search(bad.message, error) for bad in CATALOGUE), error


def test_each_file_that_it_links_is_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r'src(?:set)?="([^"]+)"', README):
        assert (ROOT / link).exists(), link


def test_it_lists_every_cache():
    table = README[README.index("## The caches") :]
    for name in CACHES:
        assert f"| `{name}` |" in table


def test_it_counts_the_mutants_right():
    from test_mutants import MUTANTS

    assert f"{len(MUTANTS)} seeded bugs" in README


def test_its_figures_say_what_the_figures_say():
    """Their alt text is computed when they are drawn."""
    drawn = dict(re.findall(r'src="([^"]+)" alt="([^"]+)"', (ROOT / "figures/README.md").read_text(encoding="utf-8")))
    shown = dict(re.findall(r'src="figures/([^"]+)" alt="([^"]+)"', README))
    assert len(shown) >= 4
    assert shown.items() <= drawn.items()
