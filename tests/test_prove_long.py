"""`prove` decodes through every length: caches that are wrong at one of them alone, in either interface, are found."""

import pytest
import transformers
from test_prove import shown

from minigpt.cache import ConcatCache
from minigpt.proof.houses import house_of
from minigpt.proof.stories import SITUATIONS
from minigpt.proof.tell import tell


def swapped_ends(keys, along, row):
    """The two newest keys of this row and of those behind it, in the wrong order."""
    keys = keys.clone()
    keys[row:].narrow(along, -2, 2).copy_(keys[row:].narrow(along, -2, 2).flip(along))
    return keys


def of_ours(length, row=0):
    class SwapsKeys(ConcatCache):
        def store(self, k, v, layer):
            keys, values, positions = super().store(k, v, layer)
            if k.shape[1] == 1 and self.length == length:
                keys = swapped_ends(keys, 1, row)
            return keys, values, positions

    return SwapsKeys


def of_theirs(length, row=0):
    class SwapsKeys(transformers.DynamicCache):
        def update(self, key_states, value_states, *given, **options):
            keys, values = super().update(key_states, value_states, *given, **options)
            if key_states.shape[2] == 1 and keys.shape[2] == length:
                keys = swapped_ends(keys, 2, row)
            return keys, values

    return lambda config, **sizes: SwapsKeys()


class LosesOne(ConcatCache):
    """In blocks of 150 tokens: the token for which the third is opened is never written into it."""

    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        if k.shape[1] == 1 and self.length == 301:
            keys[:, -1] = 0
        return keys, values, positions


BROKEN = {
    **{f"{of.__name__} {length}": (of(length), length) for of in (of_ours, of_theirs) for length in (300, 385, 450)},
    **{f"{of.__name__} 470, row 1": (of(470, row=1), 470) for of in (of_ours, of_theirs)},
    "third block": (LosesOne, 301),
}


_, _, DECODED, _ = SITUATIONS["long text"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_cache_that_is_wrong_at_one_length_is_found_there_by_decoding_alone(broken):
    make, length = BROKEN[broken]
    told = {story: tell(house_of(make), "full", story) for story in SITUATIONS["long text"]}
    assert {verdict.verdict for story, verdict in told.items() if "decode" not in story} == {"exact"}
    assert {verdict.token for verdict in told.values() if verdict.verdict == "wrong"} == {length - 1}


def test_its_script_decodes_up_to_the_wrong_token():
    *right, wrong = map(float, shown(tell(house_of(LosesOne), "full", DECODED).script))
    assert len(right) == 300
    assert max(right) < 1e-10
    assert wrong > 1e-6


class Stops(ConcatCache):
    def store(self, k, v, layer):
        if self.length > 384:
            raise IndexError("oops")
        return super().store(k, v, layer)


def test_a_cache_that_stops_is_said_to_break_and_where():
    verdict = tell(house_of(Stops), "full", DECODED)
    assert verdict.verdict == "breaks"
    assert verdict.how.startswith("decode 589, token 384: IndexError: oops; then also feed 1: ")
