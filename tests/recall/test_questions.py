"""Memory questions: an answer is in view once, at the distance that is said, and its place tells nothing."""

import numpy as np
import pytest
import torch

from minigpt.recall.corpus import held_out
from minigpt.recall.questions import BINS, questions


def facts_of(prompt, text):
    """[(place of the value, name, value)], read off the tokens."""
    opens = (prompt[:-2] == text.open).nonzero().flatten().tolist()
    assert all(prompt[place + 3] == text.close for place in opens)
    return [(place + 2, int(prompt[place + 1]), int(prompt[place + 2])) for place in opens]


@pytest.mark.parametrize("distance_bin", BINS)
def test_the_answer_is_in_view_once_at_the_distance_that_is_said(distance_bin):
    text, (low, high) = held_out(), distance_bin
    asked = questions(7, distance_bin, 60)
    assert asked.prompts.shape == (60, 504)
    for prompt, answer, distance, count in zip(asked.prompts, asked.answers, asked.distances, asked.facts, strict=True):
        facts = facts_of(prompt, text)
        assert len(facts) == count >= 4
        assert len({name for _, name, _ in facts}) == len({value for _, _, value in facts}) == count
        assert {name for _, name, _ in facts} <= set(text.names.tolist())
        assert {value for _, _, value in facts} <= set(text.things.tolist())
        assert prompt[-2] == text.open
        about = [(place, value) for place, name, value in facts if name == prompt[-1]]
        assert about == [(len(prompt) - distance, answer)]
        assert low <= distance <= high
        assert (prompt == answer).sum() == 1


@pytest.mark.parametrize("distance_bin", BINS)
def test_the_place_of_the_asked_fact_tells_nothing(distance_bin):
    """Of 4 facts the asked one is the first, the second, the third and the last about equally often."""
    text, ranks = held_out(), []
    asked = questions(3, distance_bin, 1000)
    for prompt, count in zip(asked.prompts[asked.facts == 4], asked.facts[asked.facts == 4], strict=True):
        names = [name for _, name, _ in facts_of(prompt, text)]
        assert len(names) == count
        ranks.append(names.index(int(prompt[-1])))
    shares = np.bincount(ranks, minlength=4) / len(ranks)
    assert len(ranks) > 150
    assert abs(shares - 0.25).max() < 0.12  # 3 standard deviations of 150


def test_no_name_and_no_thing_is_asked_for_more_than_its_share():
    asked = questions(11, (51, 100), 2000)
    _, counts = asked.answers.unique(return_counts=True)
    assert len(counts) == len(held_out().things)
    assert counts.max() < 2 * 2000 / len(counts)


def test_the_prose_around_the_facts_is_the_held_out_play():
    text = held_out()
    prompt = questions(1, (101, 150), 1).prompts[0]
    keep = torch.ones(len(prompt), dtype=torch.bool)
    for place, _, _ in facts_of(prompt, text):
        keep[place - 2 : place + 2] = False
    prose = prompt[keep][:-2].tolist()
    play = text.ids.tolist()
    play = play + play  # it goes round
    assert any(play[start : start + len(prose)] == prose for start in range(len(text.ids)))


def test_the_same_seed_asks_the_same_and_another_asks_anew():
    first, again, other = (questions(seed, (1, 50), 20) for seed in (0, 0, 1))
    assert torch.equal(first.prompts, again.prompts)
    assert torch.equal(first.answers, again.answers)
    assert not torch.equal(first.prompts, other.prompts)


def test_chance_is_a_guess_among_the_values_in_view():
    asked = questions(0, (1, 50), 400)
    assert asked.chance == pytest.approx(np.mean([1 / n for n in asked.facts.tolist()]))
    assert asked.chance == pytest.approx(np.mean([1 / n for n in range(4, 9)]), abs=0.01)


def test_a_prompt_too_short_for_its_facts_is_refused():
    with pytest.raises(ValueError, match="leave no room"):
        questions(0, (351, 400), 20, length=380)
