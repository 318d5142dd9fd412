"""The page in a real browser: without a network, from the last row, on a telephone, by keyboard alone."""

import json
import re

import pytest
from tabs import SCENES, found

EACH = pytest.mark.parametrize("scene", SCENES)
IN_BOTH = pytest.mark.parametrize("language", ["en", "zh"])
LECTURE = {"width": 1280, "height": 720}
TELEPHONE = {"width": 390, "height": 844}
BETWEEN = [{"width": 1024, "height": 768}, {"width": 1024, "height": 576}, {"width": 910, "height": 700}]
SMALLEST = 18  # pixels of type, of 720

# Words that can be seen, with the height of their letters on the screen.
LETTERS = """() => {
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const [text, element] = [walker.currentNode.data.trim(), walker.currentNode.parentElement];
    if (!text || element.closest("script, .hidden, .skip, dialog:not([open])") || !element.checkVisibility()) continue;
    const scale = element.getScreenCTM?.()?.a ?? 1;
    seen.push([text, scale * parseFloat(getComputedStyle(element).fontSize)]);
  }
  return seen;
}"""
BOTTOM = "document.querySelector('.finding').getBoundingClientRect().bottom + scrollY"
BESIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const beyond = (each) => each.getBoundingClientRect().right > innerWidth;
  return [...document.querySelectorAll("body *")].filter(beyond).map((each) => each.outerHTML.slice(0, 120));
}"""

# The lines of text that make up the bar, by their middles.
LINES_OF_THE_BAR = """() => {
  const middle = (each) => Math.round(each.getBoundingClientRect().top + each.getBoundingClientRect().height / 2);
  const all = [...document.querySelectorAll("#bar .brand, #bar a, #bar button")];
  return [...new Set(all.map((each) => Math.round(middle(each) / 8)))];
}"""

# All that can be pressed or chosen, and what of it the focus has come to.
CONTROLS = """() => {
  const can = (each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0 && !each.closest("dialog");
  const all = document.querySelectorAll("a[href], button, select, input, textarea, summary, [tabindex='0']");
  window.controls = [...all].filter(can);
  window.reached = new Set();
  addEventListener("focusin", ({ target }) => window.reached.add(target));
  return window.controls.length;
}"""
MISSED = """() => {
  const group = ({ type, name }) => (type === "radio" ? name : null); // Tab goes to one of them, arrows to the others
  const groups = [...reached].map(group).filter(Boolean);
  return controls.filter((each) => !reached.has(each) && !groups.includes(group(each))).map((each) => each.outerHTML);
}"""
KEYS = {"←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}
LISTED = "[...document.querySelector('dialog dl').querySelectorAll('kbd')].map((key) => key.textContent)"

ACTS = {  # keys, and what then stands in the address
    "race": (["n", "n", "n", "Enter"], "tokens=32"),
    "grow": (["ArrowRight", "ArrowRight"], "step=2"),
    "break_it": (["b"], "bug="),
    "memory": (["ArrowRight"], "context=262144"),
    "forget": (["ArrowRight"], "distance=200"),
}


def timeless(finding: str) -> str:
    """Without what a clock says."""
    return re.sub(r"and [\d.,]+ times as long", "", finding)


def small_words(tab) -> list:
    return [(text, size) for text, size in tab.evaluate(LETTERS) if size < SMALLEST - 0.01]


@EACH
@IN_BOTH
def test_it_is_read_from_the_last_row(settled, scene, language):
    """Its finding is in sight, nothing lies beside the screen, and no letters are small."""
    tab = settled(scene, language)
    tab.set_viewport_size(LECTURE)
    assert small_words(tab) == []
    assert tab.evaluate(BESIDE) == []
    assert tab.evaluate(BOTTOM) <= LECTURE["height"]


@EACH
@IN_BOTH
def test_between_a_telephone_and_a_lecture_nothing_lies_beside_the_screen(settled, scene, language):
    tab = settled(scene, language)
    for size in BETWEEN:
        tab.set_viewport_size(size)
        assert tab.evaluate(BESIDE) == []
        assert len(tab.evaluate(LINES_OF_THE_BAR)) == 1


@EACH
@IN_BOTH
def test_on_a_telephone_nothing_lies_beside_the_screen(settled, scene, language):
    tab = settled(scene, language)
    tab.set_viewport_size(TELEPHONE)
    assert tab.evaluate(BESIDE) == []


def test_small_letters_and_what_lies_beside_the_screen_are_noticed(visit):
    tab = visit("scene=memory")
    found(tab)
    tab.add_style_tag(content=".finding { font-size: 17px; width: 1300px; }")
    assert [text for text, _ in small_words(tab)] == [tab.text_content(".finding")]
    assert tab.evaluate(BESIDE)


@EACH
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(settled, scene, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install '.[browser]'").Axe()
    tab = settled(scene)
    tab.set_viewport_size(LECTURE)
    tab.evaluate("theme => (document.documentElement.className = theme)", theme)
    faults = axe.run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)


@EACH
def test_every_control_can_be_reached_with_tab(settled, scene):
    tab = settled(scene)
    tab.set_viewport_size(LECTURE)
    for _ in range(tab.evaluate(CONTROLS) + 2):
        tab.keyboard.press("Tab")
    assert tab.evaluate(MISSED) == []


@EACH
def test_by_keyboard_alone_and_its_address_brings_it_back(visit, scene):
    keys, told = ACTS[scene]
    tab = visit(f"scene={'memory' if scene == 'race' else 'race'}")
    tab.keyboard.press(str(1 + list(SCENES).index(scene)))
    tab.wait_for_selector(f"#stage[data-scene={scene}]")
    for key in keys:
        tab.keyboard.press(key)
    tab.wait_for_function(f"location.hash.includes('{told}')")
    finding = found(tab)
    assert timeless(found(visit(tab.url.partition("#")[2] + ("&run=1" if scene == "race" else "")))) == timeless(
        finding
    )


@EACH
def test_every_key_that_is_listed_does_something(visit, scene):
    tab = visit(f"scene={scene}")
    tab.evaluate("addEventListener('keydown', (event) => (window.taken = event.defaultPrevented))")
    listed = " ".join(tab.evaluate(LISTED)).replace(",", " ").split()
    assert listed
    for key in listed:
        tab.keyboard.press(KEYS.get(key, key))
        assert tab.evaluate("taken"), key
        tab.keyboard.press("Escape")  # out of a field


def test_keys_are_letters_in_a_text_field(visit):
    tab = visit("scene=race")
    tab.keyboard.press("p")
    tab.keyboard.type("12tl?c")
    assert tab.input_value("textarea") == "12tl?c"
    assert tab.get_attribute("#stage", "data-scene") == "race"
    tab.keyboard.press("Escape")
    tab.keyboard.press("4")
    tab.wait_for_selector("#stage[data-scene=memory]")


@pytest.mark.parametrize("leaving", [[], ["Escape"]])
def test_a_list_that_has_the_focus_gives_the_keys_back(visit, leaving):
    tab = visit("scene=race&theme=light")
    tab.focus("select[name=tokens]")
    for key in [*leaving, "t", "3"]:
        tab.keyboard.press(key)
    tab.wait_for_selector("#stage[data-scene=break_it]")
    assert tab.get_attribute("html", "class") == "dark"
    tab.keyboard.press("1")
    tab.wait_for_selector("#stage[data-scene=race]")
    assert tab.input_value("select[name=tokens]") == "192"
    tab.focus("select[name=tokens]")
    tab.keyboard.press("ArrowDown")
    assert tab.input_value("select[name=tokens]") == "256"


def test_a_scene_is_found_as_it_was_left_and_a_race_that_was_stopped_says_so(visit):
    tab = visit("scene=race&lang=en")
    tab.fill("textarea", "ROMEO.")
    tab.select_option("select[name=cache]", "int2")
    tab.select_option("select[name=tokens]", "400")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.querySelector('.race-board b').textContent !== '0'")
    tab.keyboard.press("3")
    tab.wait_for_selector("#stage[data-scene=break_it]")
    tab.keyboard.press("End")
    tab.click("nav a:first-child")
    tab.wait_for_selector("#stage[data-scene=race]")
    assert tab.input_value("textarea") == "ROMEO."
    assert [tab.input_value(f"select[name={name}]") for name in ("cache", "tokens")] == ["int2", "400"]
    assert re.fullmatch(r"Stopped: \d+ tokens without a cache, \d+ with one\.", found(tab))
    tab.keyboard.press("3")
    tab.wait_for_selector("#stage[data-scene=break_it]")
    assert "length=40" in tab.url


def test_a_link_starts_a_race_once(visit):
    tab = visit(f"scene=race&{SCENES['race']}")
    found(tab)
    assert "run" not in tab.url


def test_keys_of_every_scene(visit):
    tab = visit("scene=memory&lang=en&theme=light")
    tab.keyboard.press("t")
    assert tab.get_attribute("html", "class") == "dark"
    tab.keyboard.press("l")
    assert tab.get_attribute("html", "lang") == "zh"
    tab.keyboard.press("?")
    assert tab.is_visible("dialog dt")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("dialog")
    assert {"theme=dark", "lang=zh"} <= set(tab.url.partition("#")[2].split("&"))


def test_without_a_word_it_takes_the_theme_of_the_device(visit):
    assert visit("", color_scheme="dark").get_attribute("html", "class") == "dark"
    assert visit("", color_scheme="light").get_attribute("html", "class") == "light"


def test_the_browser_would_refuse_a_request(visit):
    tab = visit("scene=memory")
    tab.evaluate("fetch('https://example.org').catch(() => {})")
    tab.wait_for_timeout(100)
    assert any("Content Security Policy" in fault for fault in visit.faults)
    visit.faults.clear()
