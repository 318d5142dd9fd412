"""`python -m minigpt prove` and minigpt.prove: what is wrong is found, what is right passes, and scripts show it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from recorded_version import of_recorded_version
from their_bugs import SHOWN_BY, CropsTooFew, Right

import minigpt
from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache
from minigpt.museum import BUGS
from minigpt.proof.our_caches import our_caches
from minigpt.proof.prove import prove_house
from minigpt.proof.situations import LONG
from minigpt.proof.stories import FEEDS, MEANINGS, SITUATIONS, steps_of
from minigpt.proof.transformers_caches import transformers_caches
from minigpt.show.tables.prove import cell

QUICK = [name for name in SITUATIONS if name not in ("long text", "window edge", "decode")]
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "minigpt" / "proof" / "transformers.md"
OURS = {
    "crop takes back one token too few": "crop",
    "trimmed tokens come back with the next append": "crop",
    "a crop forgets the rounded part": "crop",
    "select forgets the values": "reorder",
    "select reorders the first layer only": "select",
    "reset keeps the tokens": "reset",
    "two conversations share their keys": "two at once",
    "what is older than 256 tokens is forgotten": "long text",
    "overflow moves the counter before it raises": "overflow",
    "every layer has the ring of the narrowest window": "window edge",
}


def shown(script):
    """What a script prints, in a process of its own."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("what", OURS)
def test_a_seeded_bug_of_our_interface_is_found(what):
    (name,) = BUGS[what].noticed_by
    with BUGS[what].planted():
        proof = prove_house(name, our_caches()[name], [OURS[what]])
    assert proof.wrong == [OURS[what]]


@pytest.mark.parametrize("broken", SHOWN_BY, ids=lambda kind: kind.__name__)
def test_a_seeded_bug_of_transformers_interface_is_found_and_its_script_shows_it(broken):
    situation = SHOWN_BY[broken]
    proof = minigpt.prove(broken, [situation])
    assert proof.wrong == [situation]
    *right, wrong = (float(line) for line in shown(proof.verdicts[situation].script))
    assert all(off < 1e-10 for off in right)
    assert wrong > 1e-6
    assert wrong == pytest.approx(proof.verdicts[situation].off, rel=0.05)


def test_a_script_of_our_interface_shows_it_too():
    broken = BUGS["crop takes back one token too few"].kind
    verdict = minigpt.prove(broken, ["crop"]).verdicts["crop"]
    assert f"from minigpt.museum.of_dynamic import {broken.__name__}" in verdict.script
    *right, wrong = (float(line) for line in shown(verdict.script))
    assert all(off < 1e-10 for off in right)
    assert wrong == pytest.approx(verdict.off, rel=0.05)


@pytest.mark.parametrize("make", [DynamicCache, Right, lambda config, **sizes: transformers.DynamicCache()])
def test_a_right_cache_of_either_interface_passes(make):
    situations = [name for name in QUICK if name != "another text"]
    proof = minigpt.prove(make, situations)
    assert [name for name in proof.wrong if name != "refused calls"] == []
    offered = {name: each.verdict for name, each in proof.verdicts.items() if name not in ("overflow", "refused calls")}
    assert set(offered.values()) == {"exact"}
    assert proof.verdicts["overflow"].verdict == "not offered"


FORGETS = "sliding_window", "quantized", "quantized_static"  # so not every crop can be exact


@pytest.mark.parametrize("name", our_caches())
def test_ours_are_never_wrong(name):
    proof = prove_house(name, our_caches()[name], QUICK)
    assert proof.wrong == []
    verdicts = {situation: each.verdict for situation, each in proof.verdicts.items()}
    assert verdicts.pop("another text") == verdicts.pop("refused calls") == "refuses"
    assert verdicts.pop("overflow") == ("refuses" if "static" in name else "not offered")
    assert verdicts.pop("crop") == ("refuses" if name in FORGETS else "exact")
    assert set(verdicts.values()) == {"exact"}


def test_a_cache_that_rounds_and_has_no_oracle_is_told_not_judged():
    proof = minigpt.prove(CACHES["quantized"], ["prefill", "long text"])
    assert [each.verdict for each in proof.verdicts.values()] == ["exact", "rounds"]
    assert proof.verdicts["long text"].off > 1e-6


def test_what_the_uncached_run_of_transformers_model_says_depends_on_every_token():
    """An oracle that is blind somewhere would prove nothing there."""
    from minigpt.proof.their_model import model

    ids = torch.arange(12)[None]
    with torch.no_grad():
        want = model("full")(ids, use_cache=False).logits[0, -1]
        for column in range(12):
            changed = ids.clone()
            changed[0, column] = 40
            got = model("full")(changed, use_cache=False).logits[0, -1]
            assert (got - want).abs().max() > 1e-3, f"token {column} does not matter"


def test_steps_are_read_as_they_are_written():
    assert steps_of("rows 0 3; feed 9; try crop 4; reset") == [
        ("rows", [0, 3], False),
        ("feed", [9], False),
        ("crop", [4], True),
        ("reset", [], False),
    ]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_story_fits_into_the_texts(situation):
    for story in SITUATIONS[situation]:
        assert sum(numbers[0] for verb, numbers, _ in steps_of(story) if verb in FEEDS) < LONG


def test_a_class_that_no_module_has_is_proved_and_its_script_says_where_it_goes(monkeypatch):
    """One of a notebook, whose __main__ has no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    for module in ("__main__", __name__):
        mine = type("Mine", (BUGS["crop takes back one token too few"].kind,), {"__module__": module})
        mine.__qualname__ = "Mine" if module == "__main__" else "test.<locals>.Mine"
        proof = minigpt.prove(mine, ["crop"])
        assert proof.wrong == ["crop"]
        assert "# here goes your Mine" in proof.verdicts["crop"].script
        assert "cache = Mine(gpt.config, " in proof.verdicts["crop"].script


@pytest.mark.parametrize(
    "verb", sorted({verb for of_one in SITUATIONS.values() for story in of_one for verb, *_ in steps_of(story)})
)
def test_every_word_of_a_story_is_explained(verb):
    assert verb in MEANINGS


# The command


def test_it_prints_one_script_and_says_how_to_see_the_others(tmp_path, monkeypatch, capsys):
    broken = "class Both(CropsTooFew, SelectsKeys):\n    pass\n"
    (tmp_path / "two.py").write_text(f"from minigpt.museum.of_dynamic import CropsTooFew, SelectsKeys\n{broken}")
    monkeypatch.chdir(tmp_path)
    assert main(["prove", "two:Both", "--only", "crop", "reorder"]) == 1
    told = capsys.readouterr().out
    assert told.count("import torch") == 1
    assert "A script that shows crop, two:Both:" in told
    assert "--only SITUATION shows another's script (reorder, two:Both); --markdown shows all." in (
        " ".join(told.split())
    )
    assert main(["prove", "two:Both", "--only", "crop", "reorder", "--markdown"]) == 1
    assert capsys.readouterr().out.count("import torch") == 2


def test_it_proves_a_class_of_a_module_in_the_working_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text("from their_bugs import CropsTooFew as Broken, Right\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["prove", "mine:Broken", "--only", "chunks", "crop"]) == 1
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines() if line.startswith(("chunks ", "crop "))] == [
        ["chunks", "exact"],
        ["crop", "WRONG"],
    ]
    assert f"from their_bugs import {CropsTooFew.__name__}" in told
    assert "In a story, rows: how many pads each row has on its left; feed: tokens of each row; crop: tokens" in (
        " ".join(told.split())
    )
    assert main(["prove", "mine:Right", "--only", "chunks", "crop"]) == 0
    assert "Nothing is wrong, in texts of up to 591 tokens." in capsys.readouterr().out


def test_a_class_of_the_package_may_be_named(capsys):
    assert main(["prove", "minigpt.cache:DynamicCache", "--only", "crop"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing is wrong, in texts of up to 591 tokens."


def test_its_tables_are_80_columns_wide_at_most(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    for caches in ("minigpt", "transformers"):
        main(["prove", caches, "--only", "overflow", "refused calls"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["static"], "prove takes minigpt, transformers or MODULE:NAME, got static"),
        (["nowhere.to_be:Found"], "nowhere.to_be can't be imported: No module named 'nowhere'"),
        (["minigpt.cache:Nothing"], "minigpt.cache:Nothing can't be found"),
        (["divides:x"], "divides can't be imported: ZeroDivisionError: division by zero (line 2 of "),
        (["unfinished:x"], "unfinished can't be imported: "),
        (["builtins:dict"], "in minigpt's interface or in transformers'; <class 'dict'> gives none"),
        (["--only", "cropp"], "no situation is named cropp; there are prefill, chunks,"),
        (["--markdown", "--json"], "--markdown and --json are each an output of its own"),
    ],
)
def test_a_wrong_argument_is_told(arguments, told, tmp_path, monkeypatch, capsys):
    (tmp_path / "divides.py").write_text("x = 1\nx / 0\n", encoding="utf-8")
    (tmp_path / "unfinished.py").write_text("def x(:\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["prove", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_without_transformers_it_says_what_to_install(monkeypatch, capsys):
    for name in ("transformers", "transformers.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["prove", "transformers"]) == 2
    assert "pip install transformers" in capsys.readouterr().err
    assert main(["prove", "minigpt.cache:ConcatCache", "--only", "prefill"]) == 0


# Those of transformers


def test_their_dynamic_cache_is_exact_in_what_it_offers():
    proof = prove_house("DynamicCache", transformers_caches()["DynamicCache"], QUICK)
    verdicts = {name: each.verdict for name, each in proof.verdicts.items()}
    assert set(verdicts.values()) <= {"exact", "refuses", "wrong", "not offered"}
    exact = ("prefill", "chunks", "left padding", "crop", "reorder", "repeat", "select", "reset", "fork", "two at once")
    assert {verdicts[name] for name in exact} == {"exact"}


@of_recorded_version
@pytest.mark.parametrize("situation", ["prefill", "overflow", "crop", "refused calls"])
def test_the_recorded_page_says_what_is_so(situation):
    found = {
        name: cell(prove_house(name, house, [situation]).verdicts[situation])
        for name, house in transformers_caches().items()
        if "QuantizedCache" not in name and "offloading" not in name  # which depend on other libraries, and on a GPU
    }
    first, *_ = re.findall(r"\| \|.*?\n\n", PAGE.read_text(encoding="utf-8").replace("|  |", "| |"), re.DOTALL)
    rows = [[each.strip() for each in line.strip("|").split("|")] for line in first.strip().splitlines()]
    (said,) = (row for row in rows if row[0] == situation)
    assert dict(zip(rows[0][1:], said[1:], strict=True)) == found


@of_recorded_version
def test_each_script_of_the_recorded_page_shows_what_it_is_there_for():
    page = PAGE.read_text(encoding="utf-8")
    scripts = dict(re.findall(r"\n([^\n]+):\n\n```python\n(.*?)\n```", page, re.DOTALL))
    assert {title.partition(", ")[0] for title in scripts} >= {"another text", "crop", "refused calls", "overflow"}
    assert float(shown(scripts["crop, StaticCache, window"])[-1]) > 1
    assert float(shown(scripts["refused calls, DynamicCache, window"])[-1]) > 1
    *_, cached, uncached = shown(scripts["another text, DynamicCache"])
    assert cached != uncached
    with pytest.raises(AssertionError, match="IndexError"):
        shown(scripts["overflow, StaticCache"])


def test_what_no_cache_of_an_interface_can_help_is_said_and_is_no_failure(capsys):
    for cache, theirs in (("their_bugs:Right", True), ("minigpt.cache:DynamicCache", False)):
        assert main(["prove", cache, "--only", "another text"]) == 0
        told = capsys.readouterr().out
        assert (
            "What no cache of this interface can help (no failure, by the exit code):\nanother text: `generate` feeds"
            in told
        ) == theirs
    assert main(["prove", "their_bugs:CropsTooFew", "--only", "another text", "crop"]) == 1


class Crash(DynamicCache):
    def place(self, layer):
        raise IndexError("oops")


def test_a_cache_that_takes_in_no_text_is_not_called_right(capsys):
    assert minigpt.prove(Crash, ["prefill"]).serves_nothing
    assert not minigpt.prove(Right, ["prefill"]).serves_nothing
    assert main(["prove", "test_prove:Crash", "--only", "prefill"]) == 1
    assert "Takes in no text at all: test_prove:Crash." in capsys.readouterr().out


def test_a_cache_that_crashes_where_there_is_a_window_is_not_taken_for_one_that_refuses_it():
    def make(config, **sizes):
        if config.window is not None:
            raise IndexError("oops")
        return DynamicCache(config, **sizes)

    with pytest.raises(ValueError, match="minigpt's: IndexError: oops"):
        minigpt.prove(make, ["prefill"])


def test_a_situation_may_be_named_alone_and_must_be_one():
    assert [*minigpt.prove(DynamicCache, "crop").verdicts] == ["crop"]
    with pytest.raises(ValueError, match="no situation is named crap; there are prefill"):
        minigpt.prove(DynamicCache, ["crap"])
