"""The page's scene `forget`: what it asks, and each cache's answer, against minigpt.recall.exam."""

from pathlib import Path

import pytest
import torch

import minigpt
from minigpt.measure.forms.memory import nbytes
from minigpt.measure.forms.real_models import load
from minigpt.page import node, scene_data
from minigpt.recall.exam import CHUNK, answer

SCRIPT = Path(__file__).with_name("forget_answers.mjs")
DISTANCES = range(20, 461, 20)
FACTS = [("Romeo", "ruby"), ("Juliet", "emerald"), ("Hamlet", "lantern"), ("Ophelia", "mirror")]
GIVEN = [{"person": person, "thing": thing} for person, thing in FACTS]

pytestmark = pytest.mark.skipif(not node.there(), reason="no `node` on the path: the page's questions are not tested")


@pytest.fixture(scope="module")
def model():
    return minigpt.load("recall").float()


@pytest.fixture(scope="module")
def scene():
    return scene_data.forget()


def asked(scene, settings, caches=()):
    """The page's prompts, and the answers of these caches."""
    usual = {"scene": scene, "facts": GIVEN, "asked": 0, "distance": 180, "window": 64, "caches": [*caches]}
    return node.ask(SCRIPT, [usual | each for each in settings])


EVERYWHERE = [{"asked": who, "distance": distance} for who in range(4) for distance in DISTANCES]


def test_the_fact_lies_as_far_back_as_the_slider_says(scene):
    tokenizer = minigpt.load_tokenizer("recall")
    for setting, prompt in zip(EVERYWHERE, asked(scene, EVERYWHERE), strict=True):
        person, thing = FACTS[setting["asked"]]
        start, end = prompt["fact"]
        assert tokenizer.decode(prompt["ids"][start:end]) == f"[Give {person} {thing}.]\n"
        assert tokenizer.decode([prompt["answer"]]) == f" {thing}" == tokenizer.decode([prompt["ids"][start + 2]])
        assert len(prompt["ids"]) - (start + 2) == setting["distance"]
        assert tokenizer.decode(prompt["ids"][-prompt["asks"] :]) == f"[Give {person}"
        assert len(prompt["ids"]) <= 512
        assert start > 4, "no sink lies on a fact"


def test_exact_caches_are_right_wherever_the_fact_lies(scene, model):
    prompts = asked(scene, EVERYWHERE)
    said = [int(answer(model, torch.tensor([each["ids"]]), CHUNK, "dynamic", {})) for each in prompts]
    assert said == [each["answer"] for each in prompts]


def test_every_cache_answers_as_it_does_in_python(scene, model):
    settings = [{"distance": distance, "asked": who} for distance in (60, 180) for who in (0, 3)]
    caches = "dynamic", "sliding_window", "int4", "int2", "int2_channel", "int1"
    right = {}
    for prompt in asked(scene, settings, caches):
        for told in prompt["answers"]:
            options = dict(told["options"])
            window, sinks = options.pop("window", None), options.pop("sinks", 0)
            served = model if window is None else model.with_window(window, sinks=sinks)
            said = int(answer(served, torch.tensor([prompt["ids"]]), CHUNK, told["cache"], options))
            assert told["id"] == said, (told["name"], len(prompt["ids"]))
            right.setdefault(told["name"], []).append(said == prompt["answer"])
    assert [*right] == [*caches]
    for name in ("dynamic", "int4", "int2", "int2_channel"):
        assert all(right[name]), name
    for name in ("sliding_window", "int1"):
        assert {*right[name]} == {True, False}, name


def test_bytes_in_use_leave_out_spare_room(scene):
    """In float32; the closed form counts 16 bits. Of 56 tokens nothing has left the window."""
    for distance, seen in ((20, None), (180, 64 + 4)):
        (prompt,) = asked(scene, [{"distance": distance}], ["dynamic", "sliding_window", "int2"])
        exact, ring, rounded = prompt["answers"]
        tokens = len(prompt["ids"])
        assert exact["used"] == 2 * nbytes(load("recall"), tokens) < exact["nbytes"]
        assert ring["used"] == 2 * nbytes(load("recall"), seen or tokens) < ring["nbytes"]
        assert rounded["used"] == rounded["nbytes"], "it has no spare room"


def test_the_attention_on_the_fact_is_torchs(scene, model):
    """Of the head that the page shows, with all keys kept."""
    (prompt,) = asked(scene, [{}], ["dynamic"])
    (told,) = prompt["answers"]
    ids, (start, end) = torch.tensor([prompt["ids"]]), prompt["fact"]
    weights = attention_of(model, ids, told["layer"])[told["head"]]
    assert told["share"] == pytest.approx(float(weights[start:end].sum()), abs=1e-4)
    assert told["looked"] == pytest.approx(weights.tolist(), abs=1e-4)
    assert told["share"] > 0.9


def attention_of(model, ids, layer):
    """How much the last token attends to each, (H, T)."""
    projected = []
    hook = model.h[layer].attn.c_attn.register_forward_hook(lambda *passed: projected.append(passed[-1]))
    with torch.no_grad():
        model(ids)
    hook.remove()
    q, k, _ = projected[0][0].unflatten(-1, (3, *model.h[layer].attn.heads[:1], -1)).unbind(1)  # (T, H, D)
    return (torch.einsum("hd,shd->hs", q[-1], k) / q.shape[-1] ** 0.5).softmax(-1)
