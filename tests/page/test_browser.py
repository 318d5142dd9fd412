"""The page as people use it: in a real browser, by keyboard, at a lecture and on a telephone."""

import json

import pytest
import torch

import minigpt
from minigpt.measure.counted.run import run

SCENES = {  # each with what brings it to its finding
    "race": "tokens=32&run=1",
    "grow": "step=3",
    "break_it": "",
    "memory": "",
    "forget": "",
}
BOTH = pytest.mark.parametrize("theme", ["light", "dark"])
EACH = pytest.mark.parametrize("scene", SCENES)
LECTURE = {"width": 1280, "height": 720}
TELEPHONE = {"width": 390, "height": 844}
SMALLEST = 18  # pixels, of 720

# Words that can be seen, with the height of their letters on the screen.
LETTERS = """() => {
  document.querySelectorAll("details").forEach((details) => (details.open = true));
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const [text, element] = [walker.currentNode.data.trim(), walker.currentNode.parentElement];
    if (!text || element.closest("script, noscript, .hidden, .skip, dialog:not([open])") || !element.checkVisibility()) continue;
    const scale = element.getScreenCTM?.()?.a ?? 1;
    seen.push([text, scale * parseFloat(getComputedStyle(element).fontSize)]);
  }
  return seen;
}"""
WIDEST = "() => document.documentElement.scrollWidth"
FOUND = "() => document.querySelector('.finding:not([hidden])') && !document.querySelector('[aria-busy=true]')"


def found(tab) -> str:
    """The scene's finding, when it is there."""
    tab.wait_for_function(FOUND)
    return tab.text_content(".finding")


def shown(tab) -> str:
    """All that stands on the stage, but for times."""
    return tab.inner_text("#stage")


# Without a network


@EACH
def test_a_scene_finds_something_and_neither_complains_nor_asks_for_anything(visit, scene):
    assert found(visit(f"scene={scene}&{SCENES[scene]}"))


def test_the_browser_would_refuse_a_request(visit):
    tab = visit("scene=memory")
    tab.evaluate("fetch('https://example.org').catch(() => {})")
    tab.wait_for_timeout(100)
    assert any("Content Security Policy" in fault for fault in visit.faults)
    visit.faults.clear()


# Read by everyone


@EACH
@BOTH
def test_axe_finds_no_serious_fault(visit, scene, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install '.[browser]'").Axe()
    tab = visit(f"scene={scene}&{SCENES[scene]}&theme={theme}")
    found(tab)
    tab.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    faults = axe.run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)


@EACH
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_read_from_the_last_row(visit, scene, language):
    tab = visit(f"scene={scene}&{SCENES[scene]}&lang={language}", **LECTURE)
    found(tab)
    assert tab.evaluate("document.querySelector('.finding').getBoundingClientRect().bottom") <= LECTURE["height"]
    assert tab.evaluate(WIDEST) == LECTURE["width"]
    small = [(text, size) for text, size in tab.evaluate(LETTERS) if size < SMALLEST - 0.01]
    assert small == []


@EACH
@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_a_telephone_nothing_lies_beside_the_screen(visit, scene, language):
    tab = visit(f"scene={scene}&{SCENES[scene]}&lang={language}", **TELEPHONE)
    found(tab)
    assert tab.evaluate(WIDEST) == TELEPHONE["width"]


def test_chinese_is_chinese(visit):
    tab = visit("scene=memory&lang=zh")
    assert tab.get_attribute("html", "lang") == "zh"
    assert "缓存" in found(tab)


def test_printed_the_table_is_open_and_no_button_is_there(visit):
    tab = visit("scene=memory")
    found(tab)
    tab.emulate_media(media="print")
    assert tab.is_visible("table")
    assert not tab.is_visible(".switches")


# By keyboard

ACTS = {  # keys, and what then stands in the address
    "race": (["n", "n", "n", "Enter"], "run=1"),
    "grow": (["ArrowRight", "ArrowRight"], "step=2"),
    "memory": (["ArrowRight"], "context=262144"),
    "forget": (["ArrowRight"], "distance=200"),
}


@pytest.mark.parametrize("scene", ACTS)
def test_a_scene_works_by_keyboard_alone_and_its_address_brings_it_back(visit, scene):
    keys, told = ACTS[scene]
    tab = visit("scene=race")
    tab.keyboard.press(str(1 + list(SCENES).index(scene)))
    tab.wait_for_function(f"document.title && document.getElementById('stage').dataset.scene === '{scene}'")
    for key in keys:
        tab.keyboard.press(key)
    tab.wait_for_function(f"location.hash.includes('{told}')")
    finding = found(tab)
    assert found(visit(tab.url.partition("#")[2])) == finding


@EACH
def test_every_control_can_be_reached_with_tab(visit, scene):
    tab = visit(f"scene={scene}&{SCENES[scene]}")
    found(tab)
    controls = tab.evaluate("""() => {
      const all = [...document.querySelectorAll("a[href], button, select, input, textarea, summary, [tabindex='0']")];
      window.reached = new Set();
      document.addEventListener("focusin", ({ target }) => window.reached.add(target));
      const can = (each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0 && !each.closest("dialog");
      window.controls = all.filter(can);
      return window.controls.length;
    }""")
    for _ in range(controls + 2):
        tab.keyboard.press("Tab")
    assert tab.evaluate("controls.filter((each) => !reached.has(each)).map((each) => each.outerHTML)") == []


def test_keys_are_letters_in_a_text_field(visit):
    tab = visit("scene=race")
    tab.keyboard.press("p")
    tab.keyboard.type("12tl?c")
    assert tab.input_value("textarea") == "12tl?c"
    assert tab.get_attribute("#stage", "data-scene") == "race"
    tab.keyboard.press("Escape")
    tab.keyboard.press("4")
    tab.wait_for_function("document.getElementById('stage').dataset.scene === 'memory'")


def test_keys_of_the_shell(visit):
    tab = visit("scene=memory&lang=en&theme=light")
    tab.keyboard.press("t")
    assert tab.get_attribute("html", "class") == "dark"
    tab.keyboard.press("l")
    assert tab.get_attribute("html", "lang") == "zh"
    tab.keyboard.press("?")
    assert tab.is_visible("dialog dt")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("dialog")
    assert "theme=dark" in tab.url
    assert "lang=zh" in tab.url


@EACH
def test_every_key_of_the_list_is_taken(visit, scene):
    """Each key that `?` names for the scene does something in it."""
    tab = visit(f"scene={scene}&{SCENES[scene]}")
    found(tab)
    names = {"←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}
    listed = tab.evaluate("[...document.querySelector('dialog dl').querySelectorAll('kbd')].map((key) => key.textContent)")
    assert listed
    tab.evaluate("addEventListener('keydown', (event) => (window.taken = event.defaultPrevented))")
    for key in " ".join(listed).split():
        tab.keyboard.press(names.get(key, key))
        assert tab.evaluate("taken"), key
        tab.evaluate("document.activeElement.blur()")


# True


def test_the_numbers_of_a_race_are_those_of_torch(visit):
    prompt, new = "HAMLET.\nTo be", 32
    tab = visit("scene=race&tokens=32&temperature=0&run=1")
    finding = found(tab)
    model, tokenizer = minigpt.load("recall"), minigpt.load_tokenizer("recall")
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    rows = {}
    for name in ("none", "dynamic"):
        done = run(model, ids, new, name)
        rows[name] = int(done.times[-1].sum())
    times = round(rows["none"] / rows["dynamic"])
    assert finding == (
        f"Same text: yes. With the cache {rows['dynamic']} rows, without it {rows['none']:,}: {times} times as many."
    )
    texts = {pane.inner_text() for pane in tab.query_selector_all(".race-text")}
    assert texts == {tokenizer.decode(done.tokens[0].tolist())}
