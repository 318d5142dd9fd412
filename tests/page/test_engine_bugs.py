"""The bugs of the page's engine: each is one changed line, noticed before the text goes wrong."""

import pytest
from engine_asked import CHANNELS, NEEDS_NODE, SPEECH, asked, is_noticed, mutant

pytestmark = NEEDS_NODE

BUGS = "wrong_position", "mask_in_the_wrong_corner", "stale_cache", "ring_one_short", "rounded_twice"

RIGHT = {
    "dynamic": {"cache": "dynamic"},
    "dynamic used before": {"cache": "dynamic", "earlier": "ROMEO.\nO Juliet"},
    "ring": {"cache": "sliding_window", "options": {"window": 16, "chunk": 1, "sinks": 2}},
    "quantized": {"cache": "quantized", "options": {"nbits": 2, **CHANNELS}},
}

REQUESTS = {
    **{f"bug {bug}": {"kind": "compared", "request": {"prompt": SPEECH, "newTokens": 20, "bug": bug}} for bug in BUGS},
    **{
        f"right {name}": {"kind": "compared", "request": {"prompt": SPEECH, "newTokens": 12, **RIGHT[name]}}
        for name in RIGHT
    },
    "bugs": {"kind": "bugs"},
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_noticed_before_the_text_goes_wrong(answers, bug):
    found = answers[f"bug {bug}"]
    wrong, right = found["texts"]
    assert wrong != right
    first = found["first"]
    assert first["step"] == found["at"] >= 0
    assert {"layer", "position", "token", "what", "difference"} < first.keys()
    assert first["layer"] == 0


def test_where_each_bug_shows_first(answers, tokenizer):
    prompt = tokenizer.encode(SPEECH).ids
    firsts = {bug: answers[f"bug {bug}"]["first"] for bug in BUGS}
    assert {bug: (first["step"], first["position"], first["what"]) for bug, first in firsts.items()} == {
        "wrong_position": (1, len(prompt), "keys"),  # the prompt's positions are right
        "mask_in_the_wrong_corner": (1, 0, "attention"),  # all of it goes to the first key
        "stale_cache": (0, 0, "keys"),
        "ring_one_short": (0, len(prompt) - 16, "missing"),  # the oldest of the window
        "rounded_twice": (0, 0, "keys"),
    }
    assert firsts["ring_one_short"]["token"] == tokenizer.decode([prompt[-16]])


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_engine_is_not_taken_for_a_wrong_one(answers, name):
    assert answers[f"right {name}"]["first"] is None
    assert answers[f"right {name}"]["at"] == -1
    assert len(set(answers[f"right {name}"]["texts"])) == 1


def test_a_bug_is_one_changed_line(answers):
    assert [bug["name"] for bug in answers["bugs"]] == list(BUGS)
    for bug in answers["bugs"]:
        right, wrong = bug["right"].splitlines(), bug["wrong"].splitlines()
        apart = [(a.strip(), b.strip()) for a, b in zip(right, wrong, strict=True) if a != b]
        assert apart == [(bug["before"], bug["after"])]


def test_a_bug_that_is_right_is_noticed(tmp_path):
    is_noticed(
        lambda answers: test_each_bug_is_noticed_before_the_text_goes_wrong(answers, "ring_one_short"),
        {"bug ring_one_short": REQUESTS["bug ring_one_short"]},
        mutant(tmp_path, "bugs", "this.largestChunk - 2", "this.largestChunk - 1"),
    )
