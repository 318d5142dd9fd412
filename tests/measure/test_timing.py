"""How times are taken, by a made-up clock, and what they come to: nothing that is timed is asserted."""

import pytest
from helpers import clock

from minigpt.measure.timed.bench import prompts
from minigpt.measure.timed.contestants import ours
from minigpt.measure.timed.limit import Work, decode, prefill
from minigpt.measure.timed.shapes import random_model
from minigpt.measure.timed.stopwatch import Stopwatch, Took
from minigpt.measure.timed.summary import growth, spread
from minigpt.measure.timed.turns import in_turns


def test_the_first_token_is_timed_from_the_call_and_the_others_from_the_first():
    watch = Stopwatch(clock(10.0, 11.0, 15.0, 16.0, 19.0))
    for _ in "prompt", "first", "second", "third":
        watch.put(None)
    watch.end()
    assert watch.took == Took(first_token=5.0, token=2.0)


@pytest.mark.parametrize("puts", [0, 1, 2])
def test_without_a_decode_there_is_no_time_a_token(puts):
    watch = Stopwatch()
    for _ in range(puts):
        watch.put(None)
    with pytest.raises(ValueError, match="two new tokens or more"):
        watch.took  # noqa: B018


def test_generate_tells_the_watch_of_the_prompt_and_each_token(model):
    watch = Stopwatch(clock(*range(100)))
    ours(model, "dynamic").generate(prompts(64, 2, 8), 5, watch)
    assert watch.took == Took(first_token=2.0, token=1.0)


def test_all_take_turns_after_a_round_of_warm_up_and_back_again():
    turns = []
    calls = {name: lambda name=name: turns.append(name) or len(turns) for name in "abc"}
    ended = []
    returned = in_turns(calls, 3, rest=0.0, on_turn=lambda: ended.append(len(turns)))
    assert "".join(turns) == "abccbaabccba"
    assert ended == [*range(1, 13)]
    assert returned == {"a": [6, 7, 12], "b": [5, 8, 11], "c": [4, 9, 10]}


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    """Not the ratio of medians, which would be 4 / 2."""
    work = Work(flops=6, nbytes=8, moved=16)
    made = spread([1.0, 2.0, 4.0], {"other": [4.0, 2.0, 12.0]}, work, [(8.0, 1e9), (4.0, 1e9), (1e9, 3.0)])
    assert (made["seconds"], made["seconds_low"], made["seconds_high"]) == (2.0, 1.0, 4.0)
    assert made["ratios"] == [{"versus": "other", "ratio": 3.0, "low": 1.0, "high": 4.0}]
    assert made["least_seconds"] == 2.0  # of 1, 2 and 2: the last by its FLOPs
    assert made["of_limit"] == 1.0  # of 1, 1 and 1/2
    assert made["predicted_seconds"] == 2.0  # of 2, 4 and 2


def test_growth_is_the_power_of_the_context():
    def cell(batch, context):
        time = {"seconds": 3.0 * context**2, "least_seconds": 5.0 * context, "predicted_seconds": None}
        return {"batch": batch, "context": context, "lines": [{"name": "a", "times": [{}, time]}]}

    (found,) = growth([cell(1, 64), cell(2, 64), cell(1, 128), cell(1, 512)])
    assert (found["batch"], found["name"], found["predicted_exponent"]) == (1, "a", None)
    assert found["exponent"] == pytest.approx(2)
    assert found["least_exponent"] == pytest.approx(1)


def test_the_least_and_the_predicted_bytes_of_a_step(model):
    """2 layers of 12 x 32^2 weights, a head of 32 x 64; 2 x 32 numbers a token and layer, of 4 bytes."""
    weights, row = 4 * (2 * 12 * 32 * 32 + 32 * 64), 2 * 2 * 32 * 4
    at = 16 + 4 // 2  # the step in the middle
    dynamic, concat, none = (decode(ours(model, name), 16, 4, 3) for name in ("dynamic", "concat", "none"))
    assert dynamic.nbytes == concat.nbytes == weights + 3 * (at + 1) * row
    assert dynamic.moved == dynamic.nbytes
    assert concat.moved == concat.nbytes + 2 * 3 * (at - 1) * row
    assert none == prefill(ours(model, "none"), at, 3)
    static = decode(ours(model, "static"), 16, 4, 3)
    assert static.moved == static.nbytes + 3 * row  # its empty slot


def test_of_rounded_tokens_the_codes_are_counted():
    """3 layers, 128 wide: 128 tokens are exact, and the new one; of the 375 others each group of 64 numbers has 4 bits
    a number, a scale and an offset. The new one is written, and so is what it pushes out."""
    model, row, codes = random_model("recall", 600), 2 * 3 * 128 * 4, 2 * 3 * 2 * (64 // 2 + 2 * 4)
    exact, rounded = (decode(ours(model, name), 500, 8, 1) for name in ("dynamic", "quantized"))
    assert exact.nbytes - rounded.nbytes == (504 * row + row) - (129 * row + 375 * codes + row + codes)
    assert rounded.moved > exact.moved
