"""The museum: the conformance suite must catch every bug of it, and what is recorded of each is so."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.cache.text import Text
from minigpt.museum import BUGS
from minigpt.museum.bug import BrokenCache, ChangedWord
from minigpt.museum.shown import ByCheck, ByStory, Seen, first_check, recorded
from minigpt.proof.oracles import one_pass
from minigpt.proof.situations import model, new_cache, rule_for

ROOT = Path(__file__).parents[1]
IDS = [pytest.param(what, id=f"{bug.where}: {what}") for what, bug in BUGS.items()]


@pytest.fixture(autouse=True)
def _no_reference_outlives_its_mutant():
    one_pass.cache_clear()
    yield
    one_pass.cache_clear()


@pytest.mark.parametrize("what", IDS)
def test_the_suite_catches(what):
    bug = BUGS[what]
    if isinstance(bug, BrokenCache):
        with bug.planted():
            new_cache(bug.cache, model(rule_for(bug.cache)), 1)  # one that can't be made proves nothing
    assert first_check(bug) is not None, f"nothing noticed that {what}"


HARMLESS = [
    ChangedWord("grows by more", "minigpt.cache.dynamic:grow", "2 * old", "3 * old", ("dynamic",)),
    ChangedWord(
        "adds 1 the other way", "minigpt.cache.text:Text.next_position", "(last + 1)", "(1 + last)", ("dynamic",)
    ),
]


@pytest.mark.parametrize("change", HARMLESS, ids=lambda change: change.what)
def test_the_suite_lets_a_harmless_change_pass(change):
    """Or else a suite that always fails would catch every bug."""
    assert first_check(change) is None


# What is recorded of each: python -m minigpt bugs --measure minigpt/museum/shortest.json


def test_the_shortest_text_of_every_bug_is_recorded_and_of_no_other():
    assert {what for what, bug in BUGS.items() if in_package(bug)} == {*recorded()}


def in_package(bug):
    return isinstance(bug, ChangedWord) or bug.kind.__module__.startswith("minigpt.")


def runs():
    """What a run of each shows in a process of its own, where no annotation is checked: that would refuse some."""
    code = """
import json
from dataclasses import asdict
from minigpt.museum import BUGS
from minigpt.museum.shown import recorded
runs = {what: shown.run(BUGS[what]) for what, (shown, _) in recorded().items()}
print(json.dumps({what: seen and asdict(seen) for what, seen in runs.items()}))"""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_each_recorded_text_shows_its_bug_as_recorded():
    now_shown = runs()
    for what, (shown, seen) in recorded().items():
        assert now_shown[what] is not None, f"{what}: {shown} shows nothing"
        now = Seen(**now_shown[what])
        assert now.token == seen.token, what
        assert now.off == (None if seen.off is None else pytest.approx(seen.off, rel=1e-3, abs=1e-10)), what
        told = errors(seen.says)  # in words of torch, which change
        assert errors(now.says) == told if told else now.says == seen.says, what


def errors(says):
    """The kinds of errors that it tells of."""
    return re.findall(r"\b[A-Z]\w+(?=: )", says)


@pytest.mark.parametrize("what", [what for what, (shown, _) in recorded().items() if isinstance(shown, ByCheck)])
def test_a_check_is_recorded_only_if_it_is_the_first(what):
    assert first_check(BUGS[what]) == recorded()[what][0]


@pytest.mark.parametrize("change", HARMLESS, ids=lambda change: change.what)
def test_a_text_shows_nothing_where_nothing_is_wrong(change):
    for shown, _ in recorded().values():
        if isinstance(shown, ByStory) and shown.cache == "dynamic":
            assert shown.run(change) is None


# How a bug is planted


def test_a_bug_is_gone_when_it_is_no_longer_planted():
    right = Text.append
    with BUGS["ragged rows get the positions of row 0"].planted():
        assert Text.append is not right
    assert Text.append is right


def test_a_bug_whose_place_has_changed_says_so():
    lost = ChangedWord("no more", "minigpt.cache.text:Text.append", "what was never there", "")
    with (
        pytest.raises(ValueError, match="append no longer says 'what was never there': the bug needs a new place"),
        lost.planted(),
    ):
        pass
