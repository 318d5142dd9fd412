"""The exercises know the right answer, and each mistake that they name is found and told by its own sentence."""

import importlib
import pkgutil
import re

import pytest

import minigpt.exercises
from minigpt.check import Exercise, WrongAnswer
from minigpt.exercises.e04_preallocating import replayed

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


def by_number(keys, k, count):
    keys[int(count) % len(keys)] = k
    count += 1


def by_a_tensor_of_no_axes(keys, k, count):
    keys[count[0] % len(keys)] = k[0]
    count += 1


@pytest.mark.parametrize("write", [by_number, by_a_tensor_of_no_axes], ids=lambda write: write.__name__)
def test_a_write_that_asks_a_recording_for_a_number_is_told_so_by_its_line(write):
    with pytest.raises(WrongAnswer, match=r"TypeError: a recording has no numbers.*\nIn line \d+ of by_.*: keys\["):
        EXERCISES["e04_preallocating write"].check(replayed(write))


def test_a_write_that_is_wrong_otherwise_has_the_words_of_torch():
    def write(keys, k, count):
        keys[count] = k.T

    with pytest.raises(WrongAnswer, match="shape mismatch"):
        EXERCISES["e04_preallocating write"].check(replayed(write))


STORY = "rows 0 1; feed 18; another; feed 4; swap; feed 1; crop 1; feed 1; reorder 1 0; feed 1"
NO_STORIES = {
    "rows 0 1, feed 18": "'rows 0 1, feed 18' is no step: a step is a word, and whole numbers with a space",
    "rows 0 1; feed 18;": "'feed 18;' is no step",
    "rows 0 1; feed 1.5": "'feed 1.5' is no step",
    "": "'' is no step",
    None: "a story is a string, as 'rows 0 0; feed 4', got None",
    "rows 0 1; fly 3": "a story has no word 'fly'; there are rows, feed,",
    "rows 0 1; compare 1": "a story has no word 'compare'",
    "feed 4; feed 1": "a story begins with its rows, as 'rows 0 0', not with 'feed'",
    "rows 0 1; feed": "'feed' (tokens of each row) can't have 0 numbers",
    "rows 0 1; feed 2 3": "'feed' (tokens of each row) can't have 2 numbers",
    "rows 0 1; feed 4; crop 5": "the right cache must be exact in it, and here: refuses. crop 5: CacheError:",
    "rows 0 1; feed 4; fill 0": "the right cache must be exact in it, and here: not offered",
}


@pytest.mark.parametrize("story", NO_STORIES)
def test_a_story_that_can_not_be_told_is_refused_in_words(story):
    with pytest.raises(WrongAnswer, match=re.escape(f"ValueError: {NO_STORIES[story]}")):
        EXERCISES["e11_bugs one_story"].check(lambda: story)


def test_another_story_that_notices_the_five_is_right_too():
    EXERCISES["e11_bugs one_story"].check(lambda: STORY)


def test_two_parts_in_a_tuple_are_not_the_dict_that_was_asked_for():
    exercise = EXERCISES["e18_more_than_one_machine merge"]
    with pytest.raises(WrongAnswer, match="got a tuple, wanted a dict with 'read', 'lse'"):
        exercise.check(lambda *parts: tuple(exercise.reference(*parts).values()))
