"""The conformance suite: every cache of the registry must equal its oracle, in float64.

A check raises AssertionError (or whatever the broken code raises) and says nothing where all is well. What it raises
says which tokens are wrong, and by how much.
"""

from itertools import product

from minigpt.proof.rules import rule_is_what_it_says, versions_of_attention_agree
from minigpt.proof.situations import ALIKE, HEADS, LIMITED, LONG_SCHEDULES, NAMES, PADDING, SCHEDULES, long_pairs, pairs
from minigpt.proof.texts import (
    batch_row_equals_its_solo_run,
    long_schedule_equals_uncached,
    padded_rows_go_on_by_themselves,
    schedule_equals_uncached,
)
from minigpt.proof.verbs import (
    a_crop_is_exact_or_refused,
    capacity_is_exact,
    nbytes_is_what_it_keeps_alive,
    positions_may_have_gaps,
    two_conversations_share_nothing,
    verbs_equal_a_replay,
)


def all_checks():
    """(name, function, arguments) of every check of the suite, the quick ones first."""
    yield from (("rule", rule_is_what_it_says, (rule,)) for rule in ALIKE)
    yield from (("attention", versions_of_attention_agree, case) for case in product(HEADS, ALIKE))
    yield from (("capacity", capacity_is_exact, (name,)) for name in LIMITED)
    yield from (("conversations", two_conversations_share_nothing, (name,)) for name in NAMES)
    yield from (("nbytes", nbytes_is_what_it_keeps_alive, case) for case in pairs())
    yield from (("goes on", padded_rows_go_on_by_themselves, case) for case in pairs())
    yield from (("verbs", verbs_equal_a_replay, (*case, seed)) for case in pairs() for seed in range(3))
    yield from (("gaps", positions_may_have_gaps, case) for case in pairs())
    yield from (("crop", a_crop_is_exact_or_refused, case) for case in pairs())
    yield from (("solo", batch_row_equals_its_solo_run, case) for case in pairs())
    long = ((*pair, schedule) for pair in long_pairs() for schedule in LONG_SCHEDULES)
    yield from (("long text", long_schedule_equals_uncached, case) for case in long)
    matrix = ((*pair, *rest) for pair in pairs() for rest in product(HEADS, PADDING, SCHEDULES))
    yield from (("schedule", schedule_equals_uncached, case) for case in matrix)
