"""CONTRIBUTING.md: the files and commands that it names are there, and say what it shows."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.museum import BUGS
from minigpt.proof.texts import long_schedule_equals_uncached

OK = pytest.ExitCode.OK
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


def test_each_choice_of_tests_that_it_shows_is_valid_and_chooses_some():
    """In one process, since torch takes seconds to import."""
    commands = [*dict.fromkeys(re.findall(r"python -m pytest ([^`\n]*-k [^`\n]*)", WORDS))]
    assert len(commands) >= 5
    chosen = collected([shlex.split(command.replace("NAME", "dynamic")) for command in commands])
    assert dict(zip(commands, chosen, strict=True)) == dict.fromkeys(commands, OK)


def test_a_choice_that_is_invalid_or_chooses_none_would_be_noticed():
    file = "tests/test_contributing.py"
    wrong = collected([[file, "-k", "part of what goes wrong"], [file, "-k", "no_such_cache"]])
    assert wrong == [pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED]


def collected(choices: list[list[str]]) -> list[int]:
    """With which code pytest ends that only lists the tests, for each of these words on its command line."""
    code = f"""
import json, sys, pytest
codes = [int(pytest.main([*choice, "--collect-only", "-q", "-p", "no:cacheprovider"])) for choice in {choices!r}]
print(json.dumps(codes), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    return json.loads(done.stderr.splitlines()[-1])


def test_a_failing_check_says_what_it_shows():
    bug = BUGS["what is older than 256 tokens is forgotten"]
    with bug.planted(), pytest.raises(AssertionError) as failed:
        long_schedule_equals_uncached("dynamic", "full", "from edge to edge")
    (shown,) = re.findall(r"```text\n(.*?)\n```", WORDS, re.DOTALL)
    assert str(failed.value) == shown
