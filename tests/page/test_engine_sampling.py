"""How the page's engine draws tokens: as often as their odds say, and repeatably."""

import pytest
import torch
from engine_asked import NEEDS_NODE, asked, is_noticed, mutant

from minigpt.sampling import keep_top_k

pytestmark = NEEDS_NODE

ODDS = [2.0, 1.0, 0.0, -1.0, 1.0, -3.0]

DRAWS = [(1.0, 0), (0.5, 0), (2.0, 3), (1.0, 2), (1.0, 1)]  # temperature, topK

COUNT = 20_000

REQUESTS = {
    **{
        f"drawn {heat, top}": {
            "kind": "drawn",
            "logits": ODDS,
            "temperature": heat,
            "topK": top,
            "seed": 5,
            "count": COUNT,
        }
        for heat, top in DRAWS
    },
    **{f"random {seed}": {"kind": "random", "seed": seed, "count": 1000} for seed in (0, 1, 2**40 + 1)},
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


@pytest.mark.parametrize("draw", DRAWS)
def test_tokens_are_drawn_as_often_as_their_odds_say(answers, draw):
    temperature, top_k = draw
    odds = keep_top_k(torch.tensor([ODDS]) / temperature, top_k).softmax(-1)[0]
    counts = torch.tensor(answers[f"drawn {draw}"])
    assert counts.sum() == COUNT
    assert (counts[odds == 0] == 0).all()
    spread = (COUNT * odds * (1 - odds)).sqrt()
    assert ((counts - COUNT * odds).abs() <= 4 * spread).all()


def test_a_seed_gives_numbers_from_0_to_1_and_another_seed_others(answers):
    several = [answers[f"random {seed}"] for seed in (0, 1, 2**40 + 1)]
    for numbers in several:
        assert 0 <= min(numbers) < 0.01
        assert 0.99 < max(numbers) < 1
    assert several[0] != several[1] == several[2], "a seed has 32 bits"


def test_a_mutant_without_a_temperature_is_noticed(tmp_path):
    is_noticed(
        lambda answers: test_tokens_are_drawn_as_often_as_their_odds_say(answers, (0.5, 0)),
        {"drawn (0.5, 0)": REQUESTS["drawn (0.5, 0)"]},
        mutant(tmp_path, "sampling", "/ temperature", ""),
    )
