"""The page on paper, A4: each scene whole, in its colours, with its table and without its buttons."""

import pytest
from tabs import SCENES, found

PAPER = {"width": 718, "height": 1000}  # within its margins
# What is wider or higher than its place, and can't be scrolled on paper. The end of a long line is enough of it.
CUT = """() => [...document.querySelectorAll("#stage *")].filter((each) => {
  const { overflowX, overflowY } = getComputedStyle(each);
  if (!each.checkVisibility() || each.matches(".grow-text, select, option")) return false;
  const [wide, high] = [each.scrollWidth > each.clientWidth + 1, each.scrollHeight > each.clientHeight + 1];
  return (overflowX !== "visible" && wide) || (overflowY !== "visible" && high);
}).map((each) => each.outerHTML.slice(0, 120))"""
BESIDE = """() => {
  const beyond = (each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth;
  return [...document.querySelectorAll("#stage *")].filter(beyond).map((each) => each.outerHTML.slice(0, 120));
}"""
COLOURS = """() => {
  const exact = (each) => getComputedStyle(each).printColorAdjust === "exact";
  return [...document.querySelectorAll("#stage *")].every(exact);
}"""


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_cut_and_colours_are_printed(settled, scene, language):
    tab = settled(scene, language)
    tab.set_viewport_size(PAPER)
    tab.emulate_media(media="print")
    try:
        assert tab.evaluate(CUT) == []
        assert tab.evaluate(BESIDE) == []
        assert tab.evaluate(COLOURS)
    finally:
        tab.emulate_media(media="screen")


def test_what_is_cut_is_noticed(visit):
    tab = visit(f"scene=race&{SCENES['race']}", **PAPER)
    found(tab)
    assert any("race-text" in each for each in tab.evaluate(CUT)), "on the screen it is scrolled"


def test_a_plot_is_drawn_to_the_size_of_its_place_and_scales_on_paper(visit):
    tab = visit(f"scene=race&{SCENES['race']}")
    found(tab)
    drawn, place = tab.evaluate("""() => {
      const plot = document.querySelector(".plot svg"), { width, height } = plot.getBoundingClientRect();
      return [plot.getAttribute("viewBox").split(" ").map(Number), [0, 0, width, height]];
    }""")
    assert drawn == pytest.approx(place)


def test_printed_the_table_is_there_and_buttons_are_not(visit):
    tab = visit("scene=memory")
    found(tab)
    tab.emulate_media(media="print")
    assert tab.is_visible("table")
    assert not tab.is_visible(".switches")


def test_printed_a_choice_keeps_the_value_that_is_chosen_and_the_rows_stay(visit):
    tab = visit("scene=grow&cache=dynamic&step=3")
    found(tab)
    tab.emulate_media(media="print")
    assert [each.text_content() for each in tab.query_selector_all(".set button") if each.is_visible()] == [
        "dynamic",
        "0",
    ]
    assert tab.is_visible(".grow-picture .grow-row")
