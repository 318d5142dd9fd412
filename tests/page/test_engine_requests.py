"""What the page's engine refuses, and how its worker serves a run."""

import re

import pytest
from engine_asked import NEEDS_NODE, SPEECH, asked, is_noticed, mutant

pytestmark = NEEDS_NODE

REQUESTS = {
    "refused empty": {"kind": "refused", "request": {"prompt": ""}},
    "refused long": {"kind": "refused", "request": {"prompt": "To be " * 300}},
    "refused cache": {"kind": "refused", "request": {"prompt": "To be", "cache": "lru"}},
    "refused ring": {"kind": "refused", "request": {"prompt": "To be", "cache": "sliding_window"}},
    "refused bits": {"kind": "refused", "request": {"prompt": "To be", "cache": "quantized", "options": {"nbits": 3}}},
    "refused group": {
        "kind": "refused",
        "request": {"prompt": "To be", "cache": "quantized", "options": {"q_group_size": 48}},
    },
    "all of the context": {"kind": "refused", "request": {"prompt": "\n", "newTokens": 512, "cache": "dynamic"}},
    "served": {"kind": "served", "request": {"prompt": SPEECH, "newTokens": 8}, "read": 100},
    "stopped": {"kind": "served", "request": {"prompt": SPEECH, "newTokens": 8}, "read": 3},
    "served empty": {"kind": "served", "request": {"prompt": ""}, "read": 3},
}

REFUSED = {
    "empty": "the prompt is empty: type a word",
    "long": r"\d+ tokens and 20 new ones: the model reads 512 at most, shorten either",
    "cache": "no cache is named lru; there are none, dynamic, sliding_window, quantized",
    "ring": "this model sees all tokens before, and a ring wants a window: choose one",
    "bits": "nbits must be 1, 2, 4 or 8, got 3",
    "group": "groups by token want a q_group_size that divides 64 or is a multiple of it, got 48",
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_request_is_refused_in_words(answers, what):
    assert re.fullmatch(REFUSED[what], answers[f"refused {what}"])


def test_a_text_may_fill_the_context(answers):
    assert answers["all of the context"] == 512


def test_the_worker_gives_the_steps_of_the_engine(answers, tokenizer):
    served = answers["served"]
    assert len(served["steps"]) == 8
    assert [token["id"] for token in served["tokens"]] == tokenizer.encode(SPEECH).ids
    assert "".join(token["text"] for token in served["tokens"]) == SPEECH
    assert served["asked"].count("next") == 9, "eight steps, and that there are no more"


def test_a_run_that_is_left_computes_nothing_more_and_is_forgotten(answers):
    assert answers["stopped"]["steps"] == answers["served"]["steps"][:3]
    assert answers["stopped"]["asked"] == ["load", "begin", *["next"] * 3, "end", "tokens"]


def test_a_refusal_in_the_worker_reaches_the_page(answers):
    assert answers["served empty"]["error"] == REFUSED["empty"]


def test_a_run_that_nobody_ends_is_noticed(tmp_path):
    is_noticed(
        test_a_run_that_is_left_computes_nothing_more_and_is_forgotten,
        {name: REQUESTS[name] for name in ("served", "stopped")},
        mutant(tmp_path, "client", 'this.ask("end", { run });', ""),
    )
