"""The weights as they ship: small, and with a memory."""

import json

import pytest
import torch
from safetensors import safe_open

from minigpt.model import GPT
from minigpt.recall.corpus import WEIGHTS, held_out
from minigpt.recall.exam import bits_per_byte, right_by_distance
from minigpt.recall.questions import BINS, questions


@pytest.fixture(scope="module")
def model():
    return GPT.from_pretrained("recall")


@pytest.fixture(scope="module")
def report():
    return json.loads((WEIGHTS / "curve.json").read_text(encoding="utf-8"))


def test_the_folder_is_small_and_holds_nothing_else():
    names = ["config.json", "curve.json", "held_out.safetensors", "model.safetensors"]
    assert sorted(path.name for path in WEIGHTS.iterdir()) == [*names, "tokenizer.json", "tokenizer_config.json"]
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 10_000_000


def test_the_weights_are_few_and_stored_in_half_precision(model, report):
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters == report["parameters"] <= 5_000_000
    with safe_open(WEIGHTS / "model.safetensors", framework="pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118 (not a dict)


def test_fresh_questions_are_answered_at_every_distance(model):
    """50 at each, of two seeds."""
    one, other = (right_by_distance(model, questions=25, seed=seed) for seed in (101, 102))
    assert list(one) == list(other) == [edge for _, edge in BINS]
    assert min(one[edge] + other[edge] for edge in one) >= 0.98 * 50, (one, other)


def test_with_the_facts_shuffled_it_does_no_better_than_chance(model):
    """The values change places among the names: what it answered from anything but the fact would stay right."""
    text, generator = held_out(), torch.Generator().manual_seed(0)
    asked = questions(5, (151, 200), 200)
    prompts = asked.prompts.clone()
    for prompt in prompts:
        values = 2 + (prompt[:-2] == text.open).nonzero().flatten()
        prompt[values] = prompt[values[torch.randperm(len(values), generator=generator)]]
    with torch.no_grad():
        answers = torch.cat([model(rows)[:, -1].argmax(-1) for rows in prompts.split(8)])
    right = (answers == asked.answers).float().mean().item()
    assert right == pytest.approx(asked.chance, abs=0.09)  # 3 standard deviations of 200 answers
    told = [prompt[(prompt == prompt[-1]).nonzero()[0, 0] + 1] for prompt in prompts]
    assert (answers == torch.stack(told)).float().mean() >= 0.98  # it answers by what now stands beside the name


def test_the_curve_ends_with_what_is_measured(model, report):
    final = report["final"]
    assert bits_per_byte(model) == pytest.approx(final["bits_per_byte"], rel=1e-3)
    assert min(final["recall"]) >= 0.98
    assert report["distances"] == [edge for _, edge in BINS]
    assert final["chance"] == pytest.approx([questions(0, bounds, report["questions"]).chance for bounds in BINS])


def test_the_curve_tells_the_run(report):
    curve = report["curve"]
    steps = [point["step"] for point in curve]
    assert steps == sorted(set(steps))
    assert steps[-1] == sum(stage["steps"] for stage in report["settings"]["stages"])
    assert {"tokens", "stage", "loss", "learning_rate", "recall", "chance", "bits_per_byte", "seconds"} <= set(curve[0])
    assert max(curve[0]["recall"]) < 0.5 < min(curve[-1]["recall"])
    assert curve[-1]["bits_per_byte"] < curve[0]["bits_per_byte"] / 1.5
    assert report["threads"] >= 1
    assert set(report["versions"]) == {"python", "torch", "numpy", "tokenizers"}


def test_no_path_of_any_machine_ships():
    for name in ("config.json", "curve.json", "tokenizer_config.json"):
        assert "/" not in (WEIGHTS / name).read_text(encoding="utf-8")
