"""A new cache joins by the places that CONTRIBUTING.md names, and no others: two that the package doesn't have, which
keep tokens in blocks, go through the suite (new_caches.py registers them), and the commands know them."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from blocks import BLOCKS

from minigpt.__main__ import main
from minigpt.cache import CACHES
from minigpt.commands import EXIT_USAGE
from minigpt.measure.forms.caches import FORMS
from minigpt.proof.sameness import assert_unchanged

TESTS = Path(__file__).parent
FILES = [f"test_{each}.py" for each in ("conformance", "threads", "interruptions", "mutants", "caches")]
FILES += [f"measure/test_{each}.py" for each in ("cost", "trace")]
OFTEN = (  # what for each cache is looked at in many more ways, and takes minutes
    "(schedule and not (mixed and GQA)) or (long and time) or (pass and operation) or what_is_counted or any_chunks "
    "or random or collide"
)
OF_ALL = {  # tests that look at the whole registry
    "test_conformance.py": "covers",
    "test_commands.py": "json_says",
    "measure/test_scores.py": "every_setting",
    "show/test_plots.py": "look_alike",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name, (kind, form, _, _) in BLOCKS.items():
        monkeypatch.setitem(CACHES, name, kind)
        monkeypatch.setitem(FORMS, name, form)


def passed(words, files):
    """How many tests, of these words and files, pass where the registry has the new caches."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "new_caches", "-p", "no:cacheprovider", "-k", words]
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*command, *(str(TESTS / file) for file in files)],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return int(done.stdout.split(" passed")[0].split()[-1])


@pytest.mark.parametrize("name", BLOCKS)
def test_the_suite_takes_it_as_it_takes_the_others(name):
    assert passed(f"{name} and not ({OFTEN})", FILES) > 80


def test_the_tests_of_all_caches_take_them_too():
    assert passed(" or ".join(OF_ALL.values()), OF_ALL) >= len(OF_ALL)


@pytest.mark.parametrize("name", BLOCKS)
def test_compare_runs_it(name, capsys):
    assert main(["compare", "--cache", name, "--new-tokens", "20", "--prompt", "To be, or not"]) == 0
    assert any(line.split()[:2] == [name, "20"] for line in capsys.readouterr().out.splitlines())  # as its oracle


def test_compare_says_where_the_oracle_of_a_lossy_one_goes(monkeypatch, capsys):
    monkeypatch.setitem(CACHES, "rough", CACHES["quantized"])
    assert main(["compare", "--cache", "rough", "--new-tokens", "2", "--prompt", "To be"]) == EXIT_USAGE
    assert "no oracle is known of the rough cache, which rounds: a new cache's oracle goes" in capsys.readouterr().err


@pytest.mark.parametrize("name", BLOCKS)
def test_memory_counts_its_blocks(name, capsys):
    assert main(["memory", "gpt2", "--context", "1000", "--json"]) == 0
    lines = {line["cache"]: line for line in json.loads(capsys.readouterr().out)["caches"]}
    assert lines[name]["nbytes"] == 1008 * 2 * 12 * 768 * 2  # 63 blocks of 16 tokens


@pytest.mark.parametrize("name", BLOCKS)
def test_generate_takes_its_name(name, capsys):
    texts = []
    for each in ("none", name):
        assert main(["generate", "To be", "--cache", each, "--new-tokens", "40"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            [1, {"a": ([torch.ones(3), torch.zeros(9)],)}],
            r"state\(\)\[1\]\['a'\]\[0\]\[0\]: tensor\(\[1., 2., 1.\]\) became",
        ),
        ([1, {"a": ([torch.tensor([1.0, 2, 1])],)}], r"\[0\]\[1\]: a tensor \(9,\) of torch.float32 became nothing"),
        (
            [None, {"a": ([torch.tensor([1.0, 2, 1]), torch.zeros(9)],)}],
            r"refused changed state\(\)\[0\]: 1 became None",
        ),
    ],
)
def test_what_changed_in_nested_lists_is_noticed_and_named(now, told):
    before = [1, {"a": ([torch.tensor([1.0, 2, 1]), torch.zeros(9)],)}]
    assert_unchanged(SimpleNamespace(state=lambda: copy.deepcopy(before)), before, "refused")
    with pytest.raises(AssertionError, match=told):
        assert_unchanged(SimpleNamespace(state=lambda: now), before, "refused")
