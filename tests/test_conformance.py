"""Every cache of the registry against its uncached oracle. A new cache joins by its line in the registry."""

import itertools

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from minigpt.cache import CACHES
from minigpt.museum import BUGS
from minigpt.proof.replay import Replay
from minigpt.proof.sameness import assert_same
from minigpt.proof.situations import LONG, long_pairs, model, pairs, text
from minigpt.proof.suite import all_checks
from minigpt.proof.texts import long_text_equals_uncached

CASES = list(all_checks())
AT_ONCE = (Phase.generate,)  # the first text that fails is told as it is: to look for the shortest takes minutes


@pytest.mark.parametrize(
    ("check", "arguments"),
    [pytest.param(check, args, id="-".join([name, *map(str, args)])) for name, check, args in CASES],
)
def test_conformance(check, arguments):
    check(*arguments)


def test_the_oracle_sees_every_token():
    """Changing any one token changes the last logits: an oracle that is blind somewhere would prove nothing there."""
    ids, positions = text([0], 12)
    with torch.no_grad():
        want = model()(ids, positions)[0, -1]
        for column in range(12):
            changed = ids.clone()
            changed[0, column] = (changed[0, column] + 1) % 53
            assert (model()(changed, positions)[0, -1] - want).abs().max() > 1e-3, f"token {column} does not matter"


@pytest.mark.parametrize(("name", "attention_rule"), pairs())
def test_random_verbs_equal_a_replay(name, attention_rule):
    class Machine(RuleBasedStateMachine):
        @initialize(pads=st.lists(st.integers(0, 3), min_size=1, max_size=3), seed=st.integers(0, 99))
        def start(self, pads, seed):
            self.seed = seed
            ids, positions = text(pads, max(pads) + 1, seed)
            self.run = Replay(name, model(attention_rule), ids, positions)

        @property
        def length(self):
            return self.run.ids.shape[1]

        @precondition(lambda self: self.length < 32)
        @rule(count=st.integers(1, 8))
        def append(self, count):
            self.seed += 1
            self.run.append(text([0] * len(self.run.ids), count, self.seed)[0])

        @rule(data=st.data())
        def crop(self, data):
            count, slack = data.draw(st.integers(0, self.length)), self.run.cache.largest_chunk
            if not self.run.cache.lossy and (slack is None or count <= slack):
                self.run.crop(count)
            else:
                self.run.crop_or_be_refused(count)

        @rule(data=st.data())
        def select(self, data):
            rows = st.lists(st.integers(0, len(self.run.ids) - 1), min_size=1, max_size=4)
            self.run.select(data.draw(rows))

        @rule()
        def reset(self):
            self.run.reset()

        @rule()
        def refused(self):
            self.run.refuse()

    Machine.TestCase.settings = settings(max_examples=25, stateful_step_count=12, phases=AT_ONCE)
    Machine.TestCase().runTest()


@pytest.mark.parametrize(("name", "attention_rule"), long_pairs())
@settings(max_examples=3, phases=AT_ONCE)
@given(chunks=st.lists(st.integers(1, 200), min_size=3, max_size=12))
def test_a_long_text_in_any_chunks_equals_the_uncached_one(name, attention_rule, chunks):
    ends = [end for end in itertools.accumulate(chunks) if end <= LONG]
    long_text_equals_uncached(name, attention_rule, chunks[: len(ends)])


def test_the_words_of_a_wrong_token_name_it_and_its_position_if_that_is_another():
    """Of 8 tokens, the first of which is number 20; row 1 has 15 pads."""
    want, positions = torch.zeros(3, 8, 5), torch.arange(20, 28) - torch.tensor([0, 15, 0])[:, None]
    got = want.clone()
    got[0, 3], got[1, 2:4, 1] = 0.25, -3
    with pytest.raises(AssertionError) as failed:
        assert_same(got, want, positions, "after all", 20)
    assert str(failed.value).splitlines() == [
        "after all: 3 of 24 tokens have wrong logits, the first is token 22",
        "row 0, token 23: off by up to 0.25",
        "row 1, tokens 22, 23 (positions 7, 8): off by up to 3",
    ]


def test_the_words_of_a_failing_replay_name_every_verb():
    ids, positions = text([0, 4, 2], 30)
    with BUGS["select forgets the values"].planted():
        run = Replay("dynamic", model(), ids[:, :9], positions[:, :9])
        run.append(ids[:, 9:10])
        run.crop(3)
        run.reset()
        run.append(ids[:, :5], positions[:, :5])
        fork = run.fork()
        fork.refuse()
        fork.select([2, 0])
        with pytest.raises(
            AssertionError, match=r"^fed 9, 1, crop 3, reset, 5, fork \(the copy\), refused calls, select \[2, 0\], 1: "
        ):
            fork.append(ids[:2, 20:21])
    assert run.verbs[-1] == "fork (the original)"


def test_the_suite_covers_every_cache_of_the_registry():
    assert {args[0] for name, _, args in CASES if name == "schedule"} == set(CACHES) - {"none"}
