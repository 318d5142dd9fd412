"""`python -m minigpt bugs`: the list, one bug with its code and a run, and what is recorded."""

import json
import re

import pytest

from minigpt.__main__ import main
from minigpt.museum import BUGS, record
from minigpt.museum.reports import REPORTS
from minigpt.museum.shortest import shortest
from minigpt.museum.shown import ByStory, recorded

RING = "the ring is one slot short"


def said(capsys, *arguments):
    assert main(["bugs", *arguments]) == 0
    return capsys.readouterr().out


def test_the_list_has_every_bug_with_what_shows_it_and_its_report(capsys):
    told = " ".join(said(capsys).split())
    for what in BUGS:
        assert what in told
    for report in REPORTS.values():
        assert report.url in told
    for shown, _ in recorded().values():
        assert f"{shown}: " in told
    assert f"{len(BUGS)} bugs; {len(REPORTS)} have public reports." in told


def test_the_list_is_80_columns_wide_at_most(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, said(capsys).splitlines())) <= 80


def test_words_choose_from_the_list(capsys):
    told = said(capsys, "too", "the", "window", "is")
    assert "the window is one too wide" in told
    assert "the window is one too narrow" in told
    assert RING not in told
    assert "2 bugs; 2 have public reports." in told


def test_a_cache_that_is_broken_is_shown_with_its_class_and_a_run(capsys):
    told = said(capsys, *RING.split())
    assert "class ShortRing(SlidingWindowCache):" in told
    shown, seen = recorded()[RING]
    *_, last = shown.story.split("; ")
    assert re.search(rf"^{last} +\S+ +WRONG, {seen.off:.2g}$", told, re.MULTILINE)
    assert f"{shown}: token {seen.token}, off by {seen.off:.2g}\n" in told
    assert REPORTS[RING].url in told


def test_a_changed_word_is_shown_as_a_diff(capsys):
    told = said(capsys, "wide")
    assert "-        near = k > q - window\n+        near = k >= q - window\n" in told


def test_a_bug_that_only_a_check_notices_says_what_the_check_says(capsys):
    told = said(capsys, "a crop keeps a view of all that was there")
    assert "the suite's nbytes(concat, full): after " in " ".join(told.split())
    assert "what it keeps is" in " ".join(told.split())


def test_json_tells_of_each_bug_what_is_recorded_and_reported(capsys):
    (ring,) = json.loads(said(capsys, *RING.split(), "--json"))["bugs"]
    shown, seen = recorded()[RING]
    assert [ring[key] for key in ("cache", "rule", "story")] == [shown.cache, shown.rule, shown.story]
    assert [ring[key] for key in ("token", "off", "check")] == [seen.token, seen.off, None]
    assert ring["report"] == REPORTS[RING].url
    everything = json.loads(said(capsys, "--json"))["bugs"]
    assert [each["bug"] for each in everything] == [*BUGS]
    assert all(each["code"] and (each["story"] or each["check"]) for each in everything)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rinq"], "no bug is named rinq, and none has these words"),
        (["--measure", "x.json", "ring"], "--measure records all bugs: give neither WORDS nor --json"),
        (["--measure", "x.json", "--json"], "--measure records all bugs: give neither WORDS nor --json"),
    ],
)
def test_a_wrong_argument_is_told(arguments, told, capsys):
    assert main(["bugs", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_each_report_is_of_a_bug_and_has_an_address():
    assert {*REPORTS} <= {*BUGS}
    for report in REPORTS.values():
        assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", report.url)
        assert report.said.endswith(".")


# How the shortest text is found


@pytest.mark.parametrize("what", [RING, "crop takes back one token too few", "select forgets the values"])
def test_what_is_recorded_is_what_is_found(what):
    assert shortest(BUGS[what]) == recorded()[what][0]


def test_measure_records_what_is_found(tmp_path, monkeypatch):
    few = [RING, "codes are packed in the wrong order"]
    monkeypatch.setattr(record, "BUGS", {what: BUGS[what] for what in few})
    assert main(["bugs", "--measure", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [*found] == few
    assert ByStory(**found[RING][0]) == recorded()[RING][0]


def test_a_run_that_shows_nothing_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(ByStory, "run", lambda shown, bug: None)
    assert main(["bugs", *RING.split()]) == 2
    assert "shows nothing; python -m minigpt bugs --measure FILE" in capsys.readouterr().err
