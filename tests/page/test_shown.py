"""The numbers that the page shows in a real browser are those of torch."""

import re

import pytest
import torch
from tabs import SCENES, found

import minigpt
from minigpt.measure.counted.run import run, served_by

PROMPT = "HAMLET.\nTo be"
NEW = 32
STEPS = """() => {
  const rows = [...document.querySelectorAll("details tbody tr")];
  return rows.map(({ cells }) => [2, 3].map((at) => Number(cells[at].textContent)));
}"""


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
    rows = f"With the cache {kept} rows, without it {none:,}: {round(none / kept)} times as many"
    assert re.fullmatch(rf"Same text: yes\. {rows}, and [\d.]+ times as long\.", finding)
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
    refused = tab.text_content(".refused")
    assert "more than the model's 512: shorten the prompt to 321 tokens" in refused
    tokens = len(minigpt.load_tokenizer("recall").encode(". " * 400).ids)
    assert ("Or ask for" in refused) == (tokens + 32 - 1 <= 512)  # 32 is the least


def test_a_race_has_one_clock(visit):
    """A lane takes no less time than its steps, and the one that is done first is not the last to be done."""
    tab = visit(f"scene=race&cache=dynamic&{SCENES['race']}")
    found(tab)
    told = [pane.text_content() for pane in tab.query_selector_all(".race-cost")]
    without, kept = (
        float(number) * {"ms": 1, "s": 1000}[unit]
        for number, unit in (re.search(r"tokens, ([\d.]+) (\w+),", each).groups() for each in told)
    )
    written = int(tab.text_content(".race-flag").split()[-1])
    steps = tab.evaluate(STEPS)
    assert kept >= 0.9 * sum(step[1] for step in steps)  # seconds are shown with one decimal
    assert without >= 0.9 * sum(step[0] for step in steps)
    assert kept >= 0.9 * sum(step[0] for step in steps[:written])


def test_it_is_said_where_a_cache_gains_nothing(visit, runs):
    tab = visit(f"scene=race&{SCENES['race']}")
    found(tab)
    first = int(runs("dynamic").times[0].sum())
    assert f"the first new token needed {first} rows with it and {first} without" in tab.text_content(".foot")


@pytest.mark.parametrize("where", ["race", "grow&cache=none"])
def test_it_is_said_why_rows_computed_again_are_the_same(visit, where):
    tab = visit(f"scene={where}&lang=en")
    tab.wait_for_function("() => document.querySelector('.foot').textContent.includes('are the same as before')")


def test_ctrl_enter_in_the_prompt_starts_a_race(visit):
    tab = visit("scene=race&tokens=32")
    tab.keyboard.press("p")
    tab.keyboard.type("ROMEO.")
    tab.keyboard.press("Control+Enter")
    assert found(tab)
    assert tab.input_value("textarea") == "ROMEO."
