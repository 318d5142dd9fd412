"""What the page refuses, and what of a link it can't use: said in the page's language."""

import re

import pytest
from tabs import SCENES, found

LATIN = re.compile(r"[A-Za-z]{2,}[ ,.:;]+[A-Za-z]{2,}")  # two words behind each other
ALERTS = "() => [...document.querySelectorAll('[role=alert]:not([hidden])')].map(({ textContent }) => textContent)"
LONG = "to%20be%20" * 300  # more than 512 tokens
AMISS = {  # what a link asks for, and what is said of it
    "race": ("tokens=100&cache=lru&seed=x", "cache=lru (used instead: dynamic), seed=x (used instead: 0)"),
    "grow": (
        "step=many&token=none&colour=red",
        "step=many (used instead: 0), token=none (ignored), colour=red (ignored)",
    ),
    "break_it": ("bug=none&length=", "bug=none (used instead: wrong_position), length= (used instead: 1)"),
    "memory": ("context=100000&bits=12", "context=100000 (used instead: 131072), bits=12 (used instead: 16)"),
    "forget": (
        "window=abc&facts=Romeo-ruby.Romeo-gold",
        "window=abc (used instead: 64), "
        "facts=Romeo-ruby.Romeo-gold (used instead: Romeo-ruby.Juliet-emerald.Hamlet-lantern.Ophelia-mirror)",
    ),
}


def alerts(tab) -> list[str]:
    tab.wait_for_function(f"() => ({ALERTS})().length")
    return tab.evaluate(ALERTS)


@pytest.mark.parametrize("scene", AMISS)
def test_what_a_link_asks_amiss_is_said_with_what_is_used_instead(visit, scene):
    asked, told = AMISS[scene]
    (said,) = alerts(visit(f"scene={scene}&lang=en&{asked}"))
    assert said.startswith("Not valid in this link: ")
    assert told in said


@pytest.mark.parametrize("scene", SCENES)
def test_of_a_link_in_order_nothing_is_said(visit, scene):
    tab = visit(f"scene={scene}&{SCENES[scene]}&lang=en&theme=dark")
    found(tab)
    assert tab.evaluate(ALERTS) == []
    again = visit(tab.url.partition("#")[2])
    assert again.evaluate(ALERTS) == []


def test_a_scene_a_language_and_a_theme_that_are_not_there_are_said_too(visit):
    (said,) = alerts(visit("scene=chess&lang=fr&theme=blue", color_scheme="light"))
    assert said == (
        "Not valid in this link: scene=chess (used instead: race), lang=fr (used instead: en), "
        "theme=blue (used instead: light)."
    )


def test_it_is_said_in_the_other_language_too_and_until_something_else_is_chosen(visit):
    tab = visit("scene=memory&lang=en&bits=12&batch=3")
    assert alerts(tab) == ["Not valid in this link: bits=12 (used instead: 16), batch=3 (used instead: 2)."]
    tab.keyboard.press("l")
    assert alerts(tab) == ["链接中有无效内容：bits=12（改用 16），batch=3（改用 2）。"]
    tab.keyboard.press("c")
    assert alerts(tab) == ["链接中有无效内容：batch=3（改用 2）。"]
    tab.keyboard.press("b")
    assert tab.evaluate(ALERTS) == []


def test_a_link_that_is_typed_into_an_open_page_is_looked_at(visit):
    tab = visit("scene=grow&lang=en")
    tab.evaluate("location.hash = 'scene=grow&lang=en&step=99'")
    assert alerts(tab) == ["Not valid in this link: step=99 (used instead: 17)."]


@pytest.mark.parametrize("prompt", ["", LONG])
@pytest.mark.parametrize("scene", ["race", "grow", "break_it"])
def test_a_chinese_page_refuses_in_chinese(visit, scene, prompt):
    tab = visit(f"scene={scene}&lang=zh&prompt={prompt}")
    if scene == "race":
        tab.keyboard.press("Enter")
    (said,) = alerts(tab)
    assert re.search(r"[\u4e00-\u9fff]", said)
    assert not LATIN.search(said)
    assert ("空" if prompt == "" else "512") in said


@pytest.mark.parametrize("scene", ["grow", "break_it"])
def test_how_short_a_prompt_must_be_is_what_the_engine_takes(visit, scene):
    """A prompt of as many tokens is taken, one of one more is not."""
    tab = visit(f"scene={scene}&lang=en&prompt={'.' * 600}")
    (said,) = alerts(tab)
    count, most = (int(re.search(told, said)[1]) for told in (r"^(\d+) tokens", r"shorten the prompt to (\d+) tokens"))
    assert count == 600
    visit(f"scene={scene}&lang=en&prompt={'.' * most}").wait_for_selector(".finding:not([hidden])")
    (said,) = alerts(visit(f"scene={scene}&lang=en&prompt={'.' * (most + 1)}"))
    assert said.startswith(f"{most + 1} tokens")
