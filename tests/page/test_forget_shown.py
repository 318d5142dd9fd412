"""What the page's scene `forget` shows, in a browser: each cache's answer, and how it is played with."""

import pytest
import torch

import minigpt
from minigpt.measure.forms.memory import nbytes
from minigpt.measure.forms.real_models import load
from minigpt.page import scene_data
from minigpt.recall.exam import CHUNK, answer

CACHES = ["dynamic", "sliding_window", "int4", "int2", "int2_channel", "int1"]
DONE = "() => document.querySelector('.finding:not([hidden])') && !document.querySelector('[aria-busy=true]')"
SAID = "[...document.querySelectorAll('.answers .said')].map((said) => said.textContent)"
ANSWERS = """[...document.querySelectorAll(".answers .said")].map((said) => {
  const range = document.createRange();
  range.selectNodeContents(said);
  const letters = range.getBoundingClientRect();
  const tops = new Set([...range.getClientRects()].map((line) => line.top));
  return [letters.right, said.nextElementSibling.getBoundingClientRect().left, tops.size];
})"""
TABLE = "[...document.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"


def found(tab) -> str:
    tab.wait_for_function(DONE)
    return tab.text_content(".finding")


def address(tab) -> dict[str, str]:
    return dict(tab.evaluate("[...new URLSearchParams(location.hash.slice(1))]"))


def test_a_window_forgets_what_two_bits_remember_and_one_bit_does_not(visit):
    tab = visit("scene=forget&lang=en")
    told = found(tab)
    exact = 2 * nbytes(load("recall"), 216)  # in float32, not 16 bits
    assert told.startswith("The window of 64 forgot: the fact lies 180 tokens back. Rounded to 4 bits or 2 bits it is")
    assert told.endswith(f"instead of {exact / 1000:.1f}\u00a0kB in float32), to 1 bit forgotten.")
    assert told in tab.text_content("#say")
    right = [said.endswith("✓") for said in tab.evaluate(SAID)]
    assert dict(zip(CACHES, right, strict=True)) == dict.fromkeys(CACHES, True) | {
        "sliding_window": False,
        "int1": False,
    }
    rows = tab.evaluate(TABLE)
    assert [row[1] == "ruby" for row in rows] == right
    shares = [float(row[3].rstrip("%")) for row in rows]
    assert [share > 80 for share in shares] == right
    assert shares[1] == 0
    keys, values, in_use, held = ([int(row[at].replace(",", "")) for row in rows] for at in (6, 7, 9, 10))
    assert values == [0, 0, 214, 214, 214, 214], "all but the question, where groups are those of a token"
    assert keys == [0, 0, 214, 214, 192, 214], "by channel, whole groups of 32"
    assert in_use[0] == exact
    assert [more > less for less, more in zip(in_use, held, strict=True)] == [True, True, False, False, False, False]


def test_what_is_shown_is_pythons(visit):
    model, tokenizer, scene = minigpt.load("recall").float(), minigpt.load_tokenizer("recall"), scene_data.forget()
    facts = [("Oberon", "velvet"), ("Portia", "candle"), ("Banquo", "ivory"), ("Hermia", "anchor")]
    tab = visit(f"scene=forget&lang=en&distance=100&asked=2&facts={'.'.join(map('-'.join, facts))}")
    found(tab)
    told = "".join(f"[Give {person} {thing}.]\n" for person, thing in facts)
    story = tokenizer.decode(scene["story"][: 100 - 4 - 8])
    text = f"{scene['before']}{told}{story}[Give Portia"
    tab.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert tab.text_content(".story") == text
    ids = [
        *scene["lead"],
        *tokenizer.encode(told).ids,
        *scene["story"][: 100 - 4 - 8],
        *tokenizer.encode("[Give Portia").ids,
    ]
    windowed = model.with_window(64, sinks=4)
    for which, (served, cache) in enumerate([(model, "dynamic"), (windowed, "sliding_window")]):
        said = tokenizer.decode([int(answer(served, torch.tensor([ids]), CHUNK, cache, {}))])
        assert tab.evaluate(TABLE)[which][1] == said.strip()


def test_all_of_it_is_done_by_keyboard(visit):
    tab = visit("scene=forget&lang=en&distance=100")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowUp", "a", "a", "ArrowLeft"):
        tab.keyboard.press(key)
    assert address(tab).items() >= {"distance": "60", "window": "128", "asked": "3"}.items()
    assert found(tab).startswith("The window of 128 remembers: the fact lies only 60 tokens back.")
    assert all(said == "lantern ✓" for said in tab.evaluate(SAID)[:5])
    tab.keyboard.press("n")
    facts = [fact.split("-") for fact in address(tab)["facts"].split(".")]
    assert len({person for person, _ in facts}) == len({thing for _, thing in facts}) == 4
    found(tab)
    assert tab.evaluate(SAID)[0] == f"{facts[2][1]} ✓"


def test_what_one_person_gets_the_other_gives_back(visit):
    tab = visit("scene=forget&lang=en&distance=40")
    found(tab)
    assert tab.text_content("[name=thing1] [value=emerald]") == "emerald (swaps with line 2)"
    assert tab.text_content("[name=thing1] [value=ruby]") == "ruby"
    tab.select_option("[name=thing1]", "emerald")
    assert tab.text_content("#say") == "emerald was taken: line 2 now has ruby."
    assert address(tab)["facts"] == "Romeo-emerald.Juliet-ruby.Hamlet-lantern.Ophelia-mirror"
    tab.get_by_role("button", name="Ask: Juliet").click()
    found(tab)
    assert tab.evaluate(SAID)[0] == "ruby ✓"


@pytest.mark.parametrize("width", [1280, 1024, 901])
def test_answers_stand_in_a_line_each_on_every_screen(visit, width):
    tab = visit("scene=forget&lang=en", width)
    found(tab)
    for line, (left, right, lines) in enumerate(tab.evaluate(ANSWERS)):
        assert left <= right, (line, "the answer lies on the share")
        assert lines == 1, line


def test_an_open_story_hides_no_finding(visit):
    tab = visit("scene=forget&lang=en")
    found(tab)
    tab.click(".told summary")
    story, finding, heading = (tab.locator(which).bounding_box() for which in (".story", ".finding", "h1"))
    assert story["y"] + story["height"] <= finding["y"]
    assert story["y"] >= heading["y"] + heading["height"]


def test_a_question_that_was_overtaken_shows_nothing(visit):
    tab = visit("scene=forget&lang=en&distance=460")
    tab.wait_for_function("() => document.querySelector('.answers .said').textContent !== '…'")
    tab.locator("[name=distance]").focus()
    tab.keyboard.press("Home")
    assert tab.text_content(".answers .said") == "…"
    assert found(tab).startswith("The window of 64 remembers: the fact lies only 20 tokens back.")
    assert all(row[5] != "0" for row in tab.evaluate(TABLE)), "of 56 tokens, not of 496"


def test_an_address_that_makes_no_sense_asks_the_first_question(visit):
    tab = visit("scene=forget&lang=en&facts=Romeo-ruby.Romeo-gold&asked=9&distance=far")
    assert found(tab).startswith("The window of 64 forgot: the fact lies 180 tokens back.")
    assert tab.input_value("[name=person4]") == "Ophelia"
