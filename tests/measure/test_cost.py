"""Counted equals closed form, exactly, whatever the model, the text and the cache; and each form can be found wrong."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from situations import by_form, counted, counted_once, examples, situations

from minigpt.cache import CACHES

EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", CACHES)
@EXAMPLES
@given(data=st.data())
def test_what_is_counted_is_what_the_closed_forms_say(name, data):
    this = data.draw(situations(name))
    assert counted(this) == by_form(this)


@pytest.mark.parametrize("name", CACHES)
def test_the_examples_for_the_mutants_agree(name):
    for this in examples():
        if this.name == name:
            assert counted_once(this) == by_form(this)
