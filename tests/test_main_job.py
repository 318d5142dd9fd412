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
    assert any("96 times in each layer" in line for line in printed)


def test_it_prints_the_table_that_the_readme_shows(printed):
    """All but the times, and the last digits of differences that depend on the machine's arithmetic."""
    shown = blocks("text")[0].splitlines()

    def facts(lines):
        rows = [line.split() for line in lines]
        return [(row[0], row[1], row[3], *row[-2:]) for row in rows if row and row[0] in CACHES and "x" in row]

    assert len(facts(shown)) >= 8
    assert set(facts(shown)) <= set(facts(printed)), "other than README.md shows"  # it need not show a new cache
    assert shown[-1] == printed[-1]
