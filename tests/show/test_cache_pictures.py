"""The pictures of a cache's slots and of the two triangles show what a run does, and can be read."""

import itertools

import pytest
import torch
from drawn_words import drawn_words

from minigpt.show.plots.slots import filling, slots
from minigpt.show.plots.style import SMALL, THEMES
from minigpt.show.plots.triangles import masks, triangles

PICTURES = {
    "slots": lambda theme: slots(filling(), theme=theme),
    "triangles": lambda theme: triangles(*masks(5, 3), theme=theme),
    "as wide as the slider goes": lambda theme: triangles(*masks(5, 4), theme=theme),
    "one new token": lambda theme: triangles(*masks(5, 1), theme=theme),
}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", PICTURES)
def test_no_two_pieces_of_text_overlap_and_none_is_cut(name, theme):
    picture = PICTURES[name](theme)
    width, height = picture.bbox.size
    words = drawn_words(picture)
    for word in words:
        assert 0 <= word.box.x0 < word.box.x1 <= width, word
        assert 0 <= word.box.y0 < word.box.y1 <= height, word
        assert word.points >= SMALL
    for one, other in itertools.combinations(words, 2):
        assert not one.box.padded(-1).overlaps(other.box.padded(-1)), (one, other)


def test_the_slots_are_those_of_a_cache_that_doubles():
    steps = filling()
    assert [(len(step.tokens), step.new, step.before, step.room) for step in steps] == [
        (7, 7, 0, 7),
        (8, 1, 7, 14),
        (9, 1, 14, 14),
    ]
    said = [word.text for word in drawn_words(slots(steps))]
    assert [said.count(word) for word in ("new", "kept", "free")] == [9, 7 + 8, 6 + 5]
    assert [said.count(f"layer {layer}") for layer in range(4)] == [3, 3, 3, 0]


@pytest.mark.parametrize(("held", "new"), [(5, 3), (5, 1), (0, 3)])
def test_one_triangle_ends_in_the_lower_right_and_the_other_begins_in_the_upper_left(held, new):
    right, wrong = masks(held, new)
    everything = torch.ones(new, held + new, dtype=torch.bool)
    assert torch.equal(right, everything.tril(held))
    assert torch.equal(wrong, everything.tril())
    said = [word.text for word in drawn_words(triangles(right, wrong))]
    assert said.count("lost") == int((right & ~wrong).sum())
