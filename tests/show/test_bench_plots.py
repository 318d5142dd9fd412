"""The figures of a race and of growth, from made-up numbers: what is drawn is what was measured, and can be read."""

import itertools
import re

import pytest
from drawn_words import drawn_words

from minigpt.measure.timed.profile import Profile
from minigpt.show.plots.contestants import contestants
from minigpt.show.plots.profile import profile
from minigpt.show.plots.style import THEMES
from minigpt.show.plots.time_by_context import time_by_context

MACHINE = {"processor": "AMD EPYC", "system": "Linux", "python": "3.11.7", "torch": "2.13.0+cpu", "threads": 2}
ABOUT = {"model": "gpt2", "random_weights": True, "new_tokens": 32, "rounds": 9, "machine": MACHINE}
EAGER = "none", "concat", "dynamic", "static", "sliding_window", "quantized", "offloaded", "offloaded_static"
COMPILED = "static compiled", "sliding_window compiled", "quantized compiled"


def line(name, seconds, predicted=0.001):
    time = {"of": "token", "seconds": seconds, "seconds_low": 0.9 * seconds, "seconds_high": 1.2 * seconds}
    time |= {"ratios": [{"versus": "transformers", "ratio": 0.04 / seconds}], "predicted_seconds": predicted}
    time |= {"least_seconds": 0.01, "of_limit": 0.01 / seconds}
    return {"name": name, "times": [{"of": "first_token"}, time]}


def cell(context, lines):
    return {"batch": 1, "context": context, "bytes_per_second": 28e9, "lines": lines}


def race():
    names = "static", "static compiled", "transformers", "transformers_static", "transformers_compiled", "ctranslate2"
    lines = [line(name, seconds) for name, seconds in zip(names, (0.03, 0.016, 0.04, 0.05, 0.045, 0.012), strict=True)]
    return ABOUT | {"versus": ["transformers"], "cells": [cell(128, lines)], "growth": []}


def growing():
    names = EAGER + COMPILED
    times = {name: 2e-5 * 1.5**at if at else 1e-3 for at, name in enumerate(names)}
    cells = [
        cell(context, [line(name, t * context, None if name in COMPILED else t) for name, t in times.items()])
        for context in (64, 512, 4096)
    ]
    powers = [{"batch": 1, "name": name, "exponent": 1.0} for name in names]
    return ABOUT | {"versus": ["none"], "cells": cells, "growth": powers}


def profiled():
    def step(seconds, python, **parts):
        return {"seconds": seconds, "parts": {**parts, "Python": python}, "nbytes": 4e8}

    names = "concat", "dynamic", "quantized"
    steps = {name: step(0.04, 0.01, weights=0.02, cache=0.01) for name in names}
    steps |= {f"{name} compiled": step(0.025, 0.005, graph=0.02) for name in ("static", "quantized_static")}
    small = {name: step(0.001, 0.0005, weights=0.0005) for name in steps}
    return Profile(MACHINE, 1024, 9, 20e9, {"recall": small, "gpt2": steps})


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize(
    ("draw", "result"),
    [(contestants, race()), (time_by_context, growing()), (profile, profiled())],
    ids=["race", "growth", "profile"],
)
def test_its_words_can_be_read_and_its_alt_is_a_sentence(draw, result, theme):
    picture = draw(result, theme=theme)
    width, height = picture.bbox.size
    words = drawn_words(picture)
    for word in words:
        assert 0 <= word.box.x0 < word.box.x1 <= width, word
        assert 0 <= word.box.y0 < word.box.y1 <= height, word
    for one, other in itertools.combinations(words, 2):
        assert not one.box.padded(-1).overlaps(other.box.padded(-1)), (one, other)
    assert re.fullmatch(r"[A-Z].{60,}[^.]\.", picture.alt), picture.alt
    assert "AMD EPYC, 2 threads" in picture.alt


def test_the_bars_are_the_medians_the_fastest_on_top_and_the_finding_is_of_ours():
    picture = contestants(race())
    assert picture.words.startswith("static compiled: 16 ms a token of GPT-2 124M, 2.5 times as fast as transformers")
    assert picture.words.endswith(", 62% of the machine's own speed")
    (panel,) = picture.axes
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert names[-2:] == ["static compiled", "ctranslate2"]
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([50, 45, 40, 30, 16, 12])


def test_a_bar_of_a_profile_is_made_of_its_parts_beside_the_least_that_memory_allows():
    picture = profile(profiled())
    assert picture.words.startswith("With dynamic, Python takes 50% of a step of a 3 x 128 GPT, 25% of GPT-2's")
    assert picture.words.endswith("GPT-2's, at 50% of the memory's speed; static compiled reaches 80%")
    first, panel = picture.axes
    names = [label.get_text().replace("\n", " ") for label in first.get_yticklabels()]
    assert names == [*reversed(profiled().steps["gpt2"])]
    for place, name in enumerate(names):
        pieces = [bar for bar in panel.patches if round(bar.get_y() + 0.35) == place and bar.get_width()]
        of = {"weights": 20, "cache": 10, "Python": 10} if "compiled" not in name else {"graph": 20, "Python": 5}
        assert [bar.get_width() for bar in pieces] == pytest.approx([*of.values()])
        ends = [0.0, *itertools.accumulate(of.values())][:-1]
        assert [bar.get_x() for bar in pieces] == pytest.approx(ends)
    assert {*panel.lines[0].get_xdata()} == {20.0}


def test_growth_draws_what_was_measured_and_what_the_closed_form_or_else_the_least_says():
    picture = time_by_context(growing())
    begin = "One more token after 4,096 of GPT-2 124M: 4.1 s without a cache, "
    assert picture.words == f"{begin}0.12 s with concat, which copies all, and 0.18 s with dynamic"
    lines = picture.axes[0].lines
    marks = {each.get_label(): list(each.get_ydata()) for each in lines if not each.get_label().startswith("_")}
    assert marks["none"] == pytest.approx([0.064, 0.512, 4.096])
    forms = [list(each.get_ydata()) for each in lines if each.get_label().startswith("_")]
    assert len(forms) == len(EAGER + COMPILED)
    assert forms[0] == [0.001] * 3
    assert forms[-1] == [0.01] * 3
