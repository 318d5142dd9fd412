"""The numbers that the page shows in a real browser are those of torch."""

import pytest
import torch
from tabs import SCENES, found

import minigpt
from minigpt.measure.counted.run import run, served_by

PROMPT = "HAMLET.\nTo be"
NEW = 32


@pytest.fixture(scope="module")
def runs():
    """By a cache's name: of the race's prompt."""
    model, tokenizer = minigpt.load("recall"), minigpt.load_tokenizer("recall")
    ids = torch.tensor([tokenizer.encode(PROMPT).ids])
    return lambda name: run(served_by(name, model), ids, NEW, name)


@pytest.mark.parametrize("cache", ["dynamic", "sliding_window"])
def test_of_a_race(visit, runs, cache):
    tab = visit(f"scene=race&cache={cache}&{SCENES['race']}")
    finding = found(tab)
    none, kept = (int(runs(name).times[-1].sum()) for name in ("none", cache))
    assert (
        finding
        == f"Same text: yes. With the cache {kept} rows, without it {none:,}: {round(none / kept)} times as many."
    )
    written = minigpt.load_tokenizer("recall").decode(runs(cache).tokens[0].tolist())
    assert [pane.text_content() for pane in tab.query_selector_all(".race-text")] == [written, written]


@pytest.mark.parametrize("step", [1, 4])
def test_of_a_growing_cache(visit, runs, step):
    finding = found(visit(f"scene=grow&cache=none&step={step}"))
    before, after = (int(each.sum()) for each in runs("none").times[step - 1 : step + 1])
    needed = int(runs("dynamic").times[step].sum() - runs("dynamic").times[step - 1].sum())
    rows = after - before
    assert finding == f"Step {step}: {rows} rows computed, {needed} needed. The other {rows - needed} were known."


def test_an_empty_prompt_is_refused(visit):
    tab = visit("scene=race&prompt=%20")
    tab.keyboard.press("p")
    tab.keyboard.press("Delete")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".refused:not([hidden])")
    assert tab.text_content(".refused") == "The prompt is empty: type a word."


def test_a_prompt_that_is_too_long_is_refused(visit):
    tab = visit(f"scene=race&prompt={'.%20' * 400}&tokens=192")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".refused:not([hidden])")
    assert "more than the model's 512: shorten the prompt to 321 tokens" in tab.text_content(".refused")
