"""The page's scene `break_it` in a browser: its texts against the package's, and where they part."""

import re
from pathlib import Path

import pytest
import torch

import minigpt.page
from minigpt.museum.bugs import BUGS

expect = pytest.importorskip("playwright.sync_api", reason="no Playwright: the page is not tested in a browser").expect
expect.set_options(timeout=60_000)  # a busy machine

NAMES = "wrong_position", "mask_in_the_wrong_corner", "stale_cache", "ring_one_short", "rounded_twice"
PROMPT, MOST = "HAMLET.\nTo be", 40
RING = {"cache_implementation": "sliding_window", "cache_config": {"window": 16, "chunk": 1}, "prefill_chunk_size": 1}
ROUNDED = {"nbits": 4, "q_group_size": 16, "residual_length": 16, "group_key": "channel"}
RIGHT = {  # how the package generates the text without the bug
    "wrong_position": {},
    "mask_in_the_wrong_corner": {},
    "stale_cache": {},
    "ring_one_short": RING,
    "rounded_twice": {"cache_implementation": "quantized", "cache_config": ROUNDED},
}
MUSEUM = {"wrong_position": "positions restart at 0 with each call", "ring_one_short": "the ring is one slot short"}
BEFORE_THE_MARK = """() => [...document.querySelectorAll(".break-text mark")].map((mark) => {
  const range = document.createRange();
  range.setStart(mark.parentElement, 0);
  range.setEndBefore(mark);
  return range.toString();
})"""
TABLE = """() => {
  const rows = [...document.querySelectorAll("details tbody tr")];
  return rows.map(({ cells }) => [...cells].map((cell) => cell.textContent));
}"""


def generated(how):
    model, tokenizer = minigpt.load("recall"), minigpt.load_tokenizer("recall")
    ids = model.generate(torch.tensor([tokenizer.encode(PROMPT).ids]), max_new_tokens=MOST, **how)
    return tokenizer.decode(ids[0].tolist()).replace("\n", "↵")


def found(tab):
    """Waits until all is said of the text that is shown."""
    expect(tab.locator(".finding")).to_be_visible()
    return tab.locator(".finding").text_content()


def texts(tab):
    return [tab.locator(f".break-text-{which} .break-text").text_content() for which in ("right", "broken")]


def rows(tab):
    """The table behind the picture: new token, right, broken, state."""
    return tab.evaluate(TABLE)


def test_the_bugs_are_those_of_the_engine(visit):
    source = (Path(minigpt.page.__file__).parent / "engine" / "bugs.mjs").read_text(encoding="utf-8")
    listed = re.findall(r"^  (\w+): \{", source.split("export const BUGS = {")[1].split("\n};")[0], re.MULTILINE)
    tab = visit("scene=break_it&lang=en")
    shown = tab.locator(".set button").all_text_contents()
    assert [each.replace(" ", "_") for each in shown] == listed == [*NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_the_right_text_is_the_packages_and_the_broken_one_parts_from_it(visit, name):
    tab = visit(f"scene=break_it&bug={name}&length={MOST}&lang=en")
    finding = found(tab)
    right, _ = texts(tab)
    assert right == generated(RIGHT[name])
    parted = next(int(row[0]) for row in rows(tab) if row[1] != row[2])
    assert finding.startswith(f"Token {parted} is ")
    marked = [tab.locator(f".break-text-{which} mark").text_content() for which in ("right", "broken")]
    assert [each.replace(" ", "␣") for each in marked] == rows(tab)[parted - 1][1:3]
    assert len(set(tab.evaluate(BEFORE_THE_MARK))) == 1
    removed, added = tab.locator(".break-code del").text_content(), tab.locator(".break-code ins").text_content()
    assert [removed[:2], added[:2]] == ["✓ ", "✗ "]
    assert removed[2:] != added[2:]


def test_what_a_cache_was_used_for_before_is_told(visit):
    tab = visit("scene=break_it&bug=stale_cache&lang=en")
    expect(tab.locator(".break-line")).to_contain_text("Before, the same cache held another text: “ROMEO.")
    tab.keyboard.press("b")
    expect(tab.locator(".break-line")).not_to_contain_text("Before, the same cache")


@pytest.mark.parametrize("name", MUSEUM)
def test_the_broken_text_is_that_of_the_same_bug_in_the_package(visit, name):
    tab = visit(f"scene=break_it&bug={name}&length={MOST}&lang=en")
    found(tab)
    model, tokenizer = minigpt.load("recall"), minigpt.load_tokenizer("recall")
    how = {**RIGHT[name]}
    if name == "ring_one_short":
        model, how["cache_config"] = model.with_window(16), {"chunk": 1}
    with BUGS[MUSEUM[name]].planted():
        ids = model.generate(torch.tensor([tokenizer.encode(PROMPT).ids]), max_new_tokens=MOST, **how)
    assert texts(tab)[1] == tokenizer.decode(ids[0].tolist()).replace("\n", "↵")


def test_a_short_text_does_not_show_a_ring_that_is_one_slot_short(visit):
    # 7 tokens of the prompt and 9 new ones, of which the last is never fed, fill 15 slots. The 16th is missing.
    tab = visit("scene=break_it&bug=ring_one_short&length=9&lang=en")
    assert "nothing differs" in found(tab)
    right, broken = texts(tab)
    assert right == broken
    assert {row[3] for row in rows(tab)} == {"all numbers are right"}
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".finding")).to_contain_text("Numbers are wrong from token 10 on, yet the text is right")
    expect(tab.locator(".scene")).to_contain_text("layer 0, position 0, “HAM”: its row is missing")
    right, broken = texts(tab)
    assert right == broken


def test_the_keyboard_does_it_all(visit):
    tab = visit("scene=break_it&lang=en")
    press, pressed = tab.keyboard.press, tab.locator(".set [aria-pressed=true]")
    press("ArrowLeft")
    expect(tab.locator(".break-band .break-right")).to_have_count(1)
    press("ArrowRight")
    expect(tab.locator(".break-band .break-wrong")).to_have_count(1)
    for name in ["mask in the wrong corner", "stale cache", "ring one short", "rounded twice"]:
        press("b")
        expect(pressed).to_have_text(name)
        assert "length=1" in tab.url
    press("End")
    expect(tab.locator(".break-band .break-unseen, .break-band .break-wrong")).to_have_count(MOST)
    press("Home")
    press("p")
    press("ControlOrMeta+a")
    tab.keyboard.type("Bb")
    press("Enter")
    expect(tab.locator(".break-prompt").first).to_have_text("Bb")
    expect(pressed).to_have_text("rounded twice")  # the letters were the prompt's
    press("PageDown")  # Enter has left the field
    expect(tab).to_have_url(re.compile("length=2"))
    press("PageUp")
    expect(tab).to_have_url(re.compile("length=1"))


def test_an_empty_prompt_is_refused_and_nothing_is_said_of_it(visit):
    tab = visit("scene=break_it&prompt=&lang=en")
    expect(tab.get_by_role("alert")).to_contain_text("empty")
    expect(tab.locator(".finding")).to_be_hidden()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_is_on_the_screen_and_nothing_runs_over_a_telephones_edge(visit, name):
    tab = visit(
        f"scene=break_it&bug={name}&length=40&lang=en&prompt=The cat sat on the mat and the dog ran to the king"
    )
    expect(tab.locator(".finding")).to_be_in_viewport(ratio=0.99)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
