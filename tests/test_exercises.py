"""The exercises know the right answer, and each mistake that they name is found and told by its own sentence."""

import importlib
import pkgutil
import re

import pytest

import minigpt.exercises
from minigpt.check import Exercise, WrongAnswer

EXERCISES = {
    f"{module.name} {name}": exercise
    for module in pkgutil.iter_modules(minigpt.exercises.__path__)
    for name, exercise in vars(importlib.import_module(f"minigpt.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}
MISTAKES = {(name, why): (each, each.mistakes[why]) for name, each in EXERCISES.items() for why in each.mistakes}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_is_right(name):
    EXERCISES[name].check(EXERCISES[name].reference)


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_told_by_its_own_sentence(mistake):
    exercise, wrong = MISTAKES[mistake]
    with pytest.raises(WrongAnswer, match=f"Likely: {re.escape(mistake[1])}$"):
        exercise.check(wrong)


@pytest.mark.parametrize("name", EXERCISES)
def test_at_least_three_wrong_answers_that_a_student_would_give_are_known(name):
    assert len(EXERCISES[name].mistakes) >= 3


def test_a_prompt_that_is_not_fed_in_pieces_is_no_answer():
    def fed_whole(model, ids, size):
        return model(ids)

    with pytest.raises(WrongAnswer, match="8 tokens were fed at once: feed 4 at most"):
        EXERCISES["e03_caching prefill"].check(fed_whole)
