"""The main job as its first user meets it: `python -m minigpt`, once, in another folder and without a network."""

import os
import subprocess
import sys

import pytest
from test_readme import blocks

from minigpt.cache import CACHES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def job(folder):
    """The ended process, of an interpreter that treats warnings as errors."""
    environment = dict(os.environ, HTTPS_PROXY="http://127.0.0.1:9")
    command = [sys.executable, "-W", "error", "-m", "minigpt"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def printed(job):
    return job.stdout.splitlines()


def test_it_runs_from_another_folder_without_a_network_and_leaves_nothing(job, folder):
    assert job.returncode == 0, job.stderr
    assert job.stderr == "", "progress is for terminals"
    assert list(folder.iterdir()) == []


def test_it_compares_every_cache_and_says_yes(printed):
    for name in CACHES:
        assert any(line.split()[:2] == [name, "96"] for line in printed), f"{name}: 96 tokens as its oracle"
    assert "computed 96 times in each layer" in " ".join(printed)


def test_it_prints_what_the_readme_shows(printed):
    """All but the times, and the last digits of differences that depend on the machine's arithmetic."""
    shown = blocks("text")[0].splitlines()
    rows, of_this_run = ([row for row in map(facts, lines) if row] for lines in (shown, printed))
    assert len(rows) >= 2 * 8, "a row for each cache in each of two tables"
    assert {*rows} <= {*of_this_run}, "other than README.md shows"  # it need not show a new cache
    assert shown[-1] == printed[-1]


def facts(line):
    """Of a row: the cache, and what is the same on every machine: the numbers of tokens, or bytes and K/V rows."""
    words = line.split()
    if not words or words[0] not in CACHES or len(words) not in (5, 7):
        return None
    return (words[0], words[1], words[3]) if len(words) == 5 else (words[0], *words[-2:])


def test_no_line_is_wider_than_80_columns(printed):
    assert max(map(len, printed)) <= 80


def test_each_table_comes_after_what_its_heads_mean(printed):
    for said, head in [("Same tokens:", "as its oracle"), ("K/V row is", "K/V rows"), ("Bits a byte:", "bits a")]:
        words, heads = (next(at for at, line in enumerate(printed) if each in line) for each in (said, head))
        assert words < heads
