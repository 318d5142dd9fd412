"""What the meter counts equals what must have been computed."""

import pytest
import torch

from minigpt.attention import NEVER
from minigpt.cache import NoCache, make_cache
from minigpt.measure.counted.meter import Meter
from minigpt.measure.counted.run import run
from minigpt.proof.situations import FULL, model, text


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("chunk", [1, 4, 12])
def test_with_a_cache_each_row_is_computed_once_and_padding_is_not_counted(name, chunk):
    gpt, (ids, positions) = model(), text([0, 3], 12)
    meter = Meter(make_cache(name, gpt.config, batch_size=2, dtype=torch.float64), gpt.config)
    with torch.no_grad():
        for piece in zip(ids.split(chunk, dim=1), positions.split(chunk, dim=1), strict=True):
            gpt(*piece, meter)
    real = positions[positions != NEVER]
    for layer in meter.times:
        assert layer.tolist() == [int((real == position).sum()) for position in range(40)]


def test_without_a_cache_the_token_at_p_is_computed_in_every_step_from_its_own_on():
    gpt, (ids, _) = model(), text([0], 5)
    result = run(gpt, ids, 7, "none")
    assert result.times[-1].tolist() == [[7] * 5 + [6, 5, 4, 3, 2, 1]] * 2
    assert result.times[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", ["none", *FULL])
def test_a_measured_run_is_the_run_that_generate_makes(name):
    gpt, (ids, _) = model(), text([0], 5)
    result = run(gpt, ids, 9, name)
    assert torch.equal(result.tokens, gpt.generate(ids, max_new_tokens=9, use_cache=False))
    with torch.no_grad():
        want = gpt(result.tokens)[:, 4:-1]
    assert (result.logits - want).abs().max() < 1e-5  # kept in float32
    assert len(result.seconds) == 9


def test_the_wrapped_cache_does_all_that_it_would_do_alone():
    gpt, (ids, positions) = model(), text([0, 3], 12)
    meter = Meter(make_cache("dynamic", gpt.config, batch_size=2, dtype=torch.float64), gpt.config)
    with torch.no_grad():
        gpt(ids, positions, meter)
        meter.crop(-4)
        meter.select([1, 0])
        want = gpt(ids[[1, 0]], positions[[1, 0]])[:, 8:]
        assert (gpt(ids[[1, 0]][:, 8:], cache=meter) - want).abs().max() < 1e-10
    assert (meter.length, meter.nbytes, meter.capacity) == (12, meter.cache.nbytes, None)
    meter.reset()
    assert meter.length == 0
    assert Meter(NoCache(), gpt.config).next_position == 0
