"""A step's time by part: which calls belong to which, that they compute what it computes, and what is left."""

from collections import Counter

import pytest
import torch

from minigpt.cache import DynamicCache
from minigpt.measure.recorded import DATA
from minigpt.measure.timed import parts
from minigpt.measure.timed.parts import Step
from minigpt.measure.timed.profile import EAGER, Profile, record
from minigpt.measure.timed.shapes import random_model

LAYERS, TOKENS = 3, 20


@pytest.fixture(scope="module")
def gpt():
    return random_model("recall", TOKENS + 1)


def counted(step):
    return {part: len(calls) for part, calls in step.parts.items() if part != "other operations"}


@pytest.mark.parametrize("name", EAGER)
def test_each_call_of_an_eager_step_belongs_to_one_part(name, gpt):
    """Of a block: four products with weights and one attention. Of the cache: `admit`, and `update` of each layer."""
    with torch.inference_mode():
        step = Step(gpt, name, False, TOKENS)
    assert counted(step) == {"weights": 4 * LAYERS, "head": 1, "attention": LAYERS, "cache": 1 + LAYERS}
    others = Counter(call.func.__name__ for call in step.parts["other operations"])
    assert (others["layer_norm"], others["gelu"], others["embedding"]) == (2 * LAYERS + 1, LAYERS, 2)
    assert "__get__" not in others


def test_a_compiled_step_is_a_graph_and_the_python_around_it(gpt, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    with torch.inference_mode():
        assert counted(Step(gpt, "static", True, TOKENS)) == {"graph": 1}


def test_a_part_that_is_run_again_computes_what_the_step_computes(gpt):
    with torch.inference_mode():
        step = Step(gpt, "dynamic", False, TOKENS)
        (head,) = step.parts["head"]
        assert torch.allclose(head(), gpt(step.ids)[:, -1], atol=1e-4)


def test_after_each_measure_the_cache_holds_what_it_held(gpt):
    with torch.inference_mode():
        step = Step(gpt, "quantized", False, TOKENS)
        for measure in step.measures.values():
            assert measure() > 0
            assert step.cache.length == TOKENS - 1


def test_what_the_parts_leave_is_pythons(gpt):
    with torch.inference_mode():
        step = Step(gpt, "dynamic", False, TOKENS)
    took = {name: [4.0, 2.0, 5.0] for name in step.parts} | {"whole": [50.0, 17.0, 16.0]}
    told = step.told(took)
    assert told["seconds"] == 16.0
    assert told["parts"] == dict.fromkeys(step.parts, 2.0) | {"Python": 16.0 - 2.0 * len(step.parts)}


def test_a_cache_that_dawdles_shows_in_its_own_part(gpt, monkeypatch):
    """By a clock that goes on only while a layer stores."""
    clock, store = [0.0], DynamicCache.store

    def dawdling(self, k, v, layer):
        clock[0] += 7.0
        return store(self, k, v, layer)

    def seconds(call):
        begin = clock[0]
        call()
        return clock[0] - begin

    monkeypatch.setattr(DynamicCache, "store", dawdling)
    monkeypatch.setattr(parts, "seconds", seconds)
    with torch.inference_mode():
        step = Step(gpt, "dynamic", False, TOKENS)
        took = {name: [measure()] for name, measure in step.measures.items()}
    assert {name: of for name, of in step.told(took)["parts"].items() if of} == {"cache": 7.0 * LAYERS}


def test_a_profile_is_recorded_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    found = record(("recall",), TOKENS, rounds=1, read=1024)
    assert {*EAGER, "static compiled"} <= {*found.steps["recall"]}
    found.save(tmp_path / "new" / "profile.json")
    assert Profile.load(tmp_path / "new" / "profile.json") == found


def test_the_committed_profile_is_of_one_thread_and_adds_up():
    found = Profile.load(DATA / "profile.json")
    assert found.machine["threads"] == 1
    for steps in found.steps.values():
        for step in steps.values():
            assert sum(step["parts"].values()) == pytest.approx(step["seconds"])
