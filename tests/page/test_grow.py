"""The page's scene `grow` in a browser: what it shows against the package's own caches, fed the same text."""

import re
from functools import cache

import pytest
import torch
from tabs import found

import minigpt
from minigpt.attention import NEVER
from minigpt.cache import make_cache
from minigpt.cache.quantized.formats import unpack
from minigpt.measure.counted.meter import Meter

expect = pytest.importorskip("playwright.sync_api", reason="no Playwright: the page is not tested in a browser").expect
expect.set_options(timeout=60_000)  # a busy machine

PROMPT, LAST = "HAMLET.\nTo be", 17
RING = {"window": 8, "sinks": 2}
CHANNEL = {"q_group_size": 4, "residual_length": 4, "group_key": "channel", "group_value": "channel"}
TOKEN = CHANNEL | {"q_group_size": 64, "group_key": "token", "group_value": "token"}
CACHES = {"none": {}, "dynamic": {}, "sliding_window": {"chunk": 1}, "quantized": {"nbits": 4, **CHANNEL}}
TABLE = """() => {
  const rows = [...document.querySelectorAll("details tbody tr")];
  return rows.map(({ cells }) => [...cells].map((cell) => cell.textContent));
}"""


@cache
def tokenizer():
    return minigpt.load_tokenizer("recall")


class Followed:
    """The package's run of the same text: ids, and after each step the slots, the cache, and how often rows came."""

    def __init__(self, name, step, options=None):
        self.model = minigpt.load("recall")
        if name == "sliding_window":
            self.model = self.model.with_window(**RING)
        self.cache = make_cache(name, self.model.config, **(options or CACHES[name]))
        self.meter = Meter(self.cache, self.model.config)
        self.ids = tokenizer().encode(PROMPT).ids
        self.rows = []  # computed in each step
        with torch.no_grad():
            for _ in range(step + 1):
                self.step(name)

    def step(self, name):
        before, fresh = int(self.meter.times.sum()), self.ids if name == "none" else self.ids[self.cache.length :]
        for chunk in [[each] for each in fresh] if name == "sliding_window" else [fresh]:
            logits = self.model(torch.tensor([chunk]), cache=self.meter)
        self.rows.append(int(self.meter.times.sum()) - before)
        self.ids = [*self.ids, int(logits[0, -1].argmax())]


def shown(tab):
    """The table behind the picture, without its head."""
    rows = tab.evaluate(TABLE)
    assert rows
    return rows


def arrived(tab, step):
    expect(tab.locator(".finding")).to_contain_text(re.compile(rf"Step {step}\b"))
    return tab


def signs(text):
    return text.replace("\n", "↵").replace(" ", "␣")


@pytest.mark.parametrize("name", CACHES)
def test_the_rows_and_the_text_are_those_of_the_package(visit, name):
    tab = arrived(visit(f"scene=grow&step=12&cache={name}"), 12)
    run = Followed(name, 12)
    assert f"{run.rows[-1]} rows computed, 3 needed" in tab.locator(".finding").text_content()
    assert tab.locator(".grow-text").text_content() == tokenizer().decode(run.ids).replace("\n", "↵")
    position = [int(row[1].split()[0]) for row in shown(tab)]
    assert [int(row[-2]) for row in shown(tab)] == [int(run.meter.times[1, each]) for each in position]


def test_without_a_cache_all_but_the_newest_row_are_computed_again(visit):
    tab = arrived(visit("scene=grow&step=12"), 12)
    assert tab.locator(".grow-picture .grow-again").count() == 3 * 18
    assert tab.locator(".grow-picture .grow-new").count() == 3
    assert {row[5] for row in shown(tab)} == {"12"}  # the step in which they were computed last


def test_the_ring_turns_as_the_packages_does(visit):
    tab = arrived(visit("scene=grow&step=0&cache=sliding_window"), 0)
    for step in range(LAST + 1):
        (_, _, held), *_ = Followed("sliding_window", step).cache.kv
        expected = ["–" if each == NEVER else str(each) for each in held[0].tolist()]
        assert [row[1].split()[0] for row in shown(tab)] == expected
        if step < LAST:
            tab.keyboard.press("ArrowRight")
            arrived(tab, step + 1)


def test_the_slot_that_is_marked_is_written_next_and_the_token_that_leaves_is_named(visit):
    tab = arrived(visit("scene=grow&step=9&cache=sliding_window"), 9)
    marked = tab.locator(".grow-picture .grow-coming [data-slot]").first.get_attribute("data-slot")
    leaving = shown(tab)[int(marked)][1].split(" ", 1)[1]
    tab.keyboard.press("ArrowRight")
    arrived(tab, 10)
    assert tab.locator(".grow-picture .grow-new").first.get_attribute("data-slot") == marked
    assert f"“{leaving}” left the window" in tab.locator(".finding").text_content()


def test_tokens_that_a_long_prompt_has_pushed_out_of_the_window_are_counted(visit):
    tab = arrived(visit("scene=grow&cache=sliding_window&prompt=The cat sat on the mat and the dog ran to the king"), 0)
    tokens = len(tokenizer().encode("The cat sat on the mat and the dog ran to the king").ids)
    gone = tokens - sum(RING.values())
    assert f"{3 * tokens} rows computed, {3 * tokens} needed. {gone} tokens have already left" in found(tab)


@pytest.mark.parametrize("name", ["dynamic", "sliding_window"])
def test_the_bytes_are_those_of_the_rows_that_there_is_room_for(visit, name):
    tab = arrived(visit(f"scene=grow&cache={name}&step=8"), 8)
    told = tab.locator(".grow-legend").text_content()
    held = int(re.search(r"([\d,]+) bytes held", told)[1].replace(",", ""))
    room = int(re.search(r"room for (\d+) tokens", told)[1]) if name == "dynamic" else sum(RING.values())
    assert held == room * 3 * 2 * 128 * 4  # layers, keys and values, numbers, bytes of each
    assert room >= len([row for row in shown(tab) if row[1] != "–"])


def test_at_its_last_step_it_says_why_there_is_no_other(visit):
    tab = arrived(visit(f"scene=grow&step={LAST}"), LAST)
    expect(tab.locator(".grow-step")).to_have_text(f"step {LAST} of {LAST}")
    expect(tab.get_by_role("button", name="Next token")).to_be_disabled()
    expect(tab.get_by_role("button", name="Next token")).to_have_attribute(
        "title", f"{LAST} steps are all that are shown"
    )


def test_earlier_tokens_are_told_of_and_come_into_sight(visit):
    tab = arrived(visit(f"scene=grow&cache=dynamic&step={LAST}&prompt=The cat sat on the mat and the dog ran"), LAST)
    expect(tab.locator(".grow-legend")).to_contain_text("not all tokens fit")
    row = tab.locator(".grow-picture [data-slot='3'][data-layer='1']")
    expect(row).not_to_be_in_viewport()
    for _ in range(len(shown(tab)) - 4):
        tab.keyboard.press("ArrowUp")
    expect(row).to_have_attribute("aria-pressed", "true")
    expect(row).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize(("group", "options"), [("channel", CHANNEL), ("token", TOKEN)])
def test_the_codes_are_those_that_the_package_holds(visit, group, options, bits):
    tab = arrived(visit(f"scene=grow&step=13&cache=quantized&bits={bits}&group={group}&layer=2&token=6"), 13)
    run = Followed("quantized", 13, {"nbits": bits, **options})
    codec, _ = run.cache.codecs
    packed = run.cache.kv[2][2].split(codec.widths, dim=-1)[0]
    codes = codec.join(unpack(packed, bits).unflatten(-1, (codec.groups, -1))).flatten(2)[0]
    assert tab.locator(".grow-picture [data-layer='2'].grow-codes").count() == len(codes)
    told = [f"{code:0{bits}b}" for code in codes[6, :4].tolist()]
    assert tab.locator(".grow-details dd").nth(1).text_content() == " ".join(told)


def test_groups_leave_the_residual_when_they_leave_the_packages(visit):
    tab = arrived(visit("scene=grow&step=0&cache=quantized"), 0)
    for step in range(9):
        run = Followed("quantized", step)
        rounded = run.cache.codecs[0].tokens_in(run.cache.kv[0][2])
        assert tab.locator(".grow-picture [data-layer='0'].grow-codes").count() == rounded
        tab.keyboard.press("ArrowRight")
        arrived(tab, step + 1)


def test_attention_is_that_of_the_newest_token_in_the_layer_and_head_that_are_chosen(visit):
    tab = arrived(visit("scene=grow&step=12&cache=dynamic&layer=2&head=1"), 12)
    run, asked = Followed("dynamic", 11), []
    run.model.attentions[2].c_attn.register_forward_hook(lambda _, __, out: asked.append(out))
    with torch.no_grad():
        run.step("dynamic")
    query, keys = asked[0][0, -1, 64:128], run.cache.kv[2][0][0, : run.cache.length, 1]
    weights = (keys @ query / 8).softmax(0)
    assert [float(row[-1]) for row in shown(tab)] == pytest.approx(weights.tolist(), abs=6e-4)  # three decimals


def test_the_keyboard_does_it_all(visit):
    tab = arrived(visit("scene=grow"), 0)
    press, pressed = (
        tab.keyboard.press,
        lambda name: tab.locator(f".set:has(kbd:text-is('{name}')) [aria-pressed=true]"),
    )
    for step in (1, 2, 1):
        press("ArrowLeft" if step == 1 and "step=2" in tab.url else "ArrowRight")
        arrived(tab, step)
    for name in ("dynamic", "sliding_window", "quantized"):
        press("c")
        expect(pressed("C")).to_have_text(name)
        expect(tab).to_have_url(re.compile(f"cache={name}"))
    press("b")
    expect(pressed("B")).to_have_text("2")
    press("g")
    expect(pressed("G")).to_have_text("token")
    press("h")
    expect(pressed("H")).to_have_text("1")
    press("y")
    press("ArrowUp")
    expect(tab.locator(".grow-details")).to_contain_text("position 6, layer 2")
    press("Home")
    arrived(tab, 0)
    press("p")
    press("ControlOrMeta+a")
    tab.keyboard.type("cb")
    press("Enter")
    expect(tab.locator(".grow-picture .grow-line").nth(1)).to_contain_text("c")
    press("ArrowRight")  # Enter has left the field
    arrived(tab, 1)
    press("PageDown")
    arrived(tab, 2)
    press("PageUp")
    arrived(tab, 1)
    press("p")
    press("End")
    press("Shift+Enter")
    press("Enter")
    expect(tab).to_have_url(re.compile("prompt=cb%0A"))
    assert "cache=quantized" in tab.url  # the letters were the prompt's


def test_an_address_with_nonsense_in_it_shows_the_usual(visit):
    tab = arrived(visit("scene=grow&step=many&cache=lru&layer=-7&head=x&bits=3&token=none"), 0)
    expect(tab.locator(".set [aria-pressed=true]").first).to_have_text("none")


def test_a_row_that_is_pointed_at_or_focused_is_shown_to_the_digit(visit):
    tab = arrived(visit("scene=grow&step=5&cache=dynamic"), 5)
    details = tab.locator(".grow-details")
    tab.locator("[data-slot='2'][data-layer='0']").hover()
    expect(details).to_contain_text("position 2, layer 0")
    expect(details).to_contain_text("Computed once in step 0")
    tab.locator("h1").hover()
    expect(details).to_contain_text("position 11, layer 1")  # the newest
    tab.keyboard.press("ArrowLeft")
    expect(details).to_contain_text("position 10, layer 1")
    tab.keyboard.press("ArrowRight")
    tab.locator(".grow-row[tabindex='0']").focus()
    tab.keyboard.press("ArrowUp")
    expect(details).to_contain_text("position 10, layer 1")
    assert tab.evaluate("document.activeElement.dataset.slot") == "10"
    expect(tab.locator("#say")).to_contain_text("position 10, layer 1")


def test_a_prompt_of_ones_own_and_one_that_is_empty(visit):
    tab = arrived(visit("scene=grow&step=2"), 2)
    tab.locator("input[name=prompt]").fill("ROMEO.↵O Juliet")
    tab.keyboard.press("Enter")
    ids = tokenizer().encode("ROMEO.\nO Juliet").ids
    expect(tab.locator(".grow-picture .grow-token")).to_have_count(len(ids))
    words = [signs(tokenizer().decode([each])) for each in ids]
    assert [each.text_content() for each in tab.locator(".grow-picture .grow-token b").all()] == words
    tab.locator("input[name=prompt]").fill("")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("empty")
    expect(tab.locator(".grow-picture .grow-row")).to_have_count(0)
    expect(tab.locator(".finding")).to_be_hidden()


@pytest.mark.parametrize(
    "place", ["step=17&cache=none", "step=17&cache=quantized&bits=2&token=3", "cache=sliding_window&step=9"]
)
def test_what_was_found_is_on_the_screen_and_nothing_runs_over_a_telephones_edge(visit, place):
    tab = visit(f"scene=grow&{place}")
    expect(tab.locator(".finding")).to_be_in_viewport(ratio=0.99)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
