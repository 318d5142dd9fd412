"""CONTRIBUTING.md: the files and commands that it names are there, and say what it shows."""

import re
import shlex
from pathlib import Path

import pytest
from bugs import BUGS
from conformance import long_schedule_equals_uncached

from minigpt.cache import CACHES

ROOT = Path(__file__).parents[1]
WORDS = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_each_file_that_it_names_is_there():
    named = re.findall(r"\]\(([^)#:]+)\)", WORDS) + re.findall(r"`((?:minigpt|tests)/[\w/.]+)`", WORDS)
    assert len(named) > 10
    for file in named:
        assert file == "minigpt/cache/NAME.py" or (ROOT / file).exists(), file


def test_each_test_that_it_runs_is_there():
    commands = re.findall(r"```sh\n(.*)\n```", WORDS)
    assert len(commands) >= 4
    for command in commands:
        python, m, pytest_, *files = shlex.split(command)
        assert (python, m, pytest_) == ("python", "-m", "pytest")
        for file in files:
            assert (ROOT / file).exists() or not file.endswith(".py"), file


def test_a_failing_check_says_what_it_shows(monkeypatch):
    monkeypatch.setitem(CACHES, *BUGS["what is older than 256 tokens is forgotten"])
    with pytest.raises(AssertionError) as failed:
        long_schedule_equals_uncached("dynamic", "full", "from edge to edge")
    (shown,) = re.findall(r"```text\n(.*?)\n```", WORDS, re.DOTALL)
    assert str(failed.value) == shown
