"""The ring: how many slots, what it forgets, what it can take back. (That it equals its oracle is in the suite.)"""

import copy

import pytest
import torch

from minigpt.attention import NEVER
from minigpt.cache import CacheError, make_cache
from minigpt.proof.replay import Replay
from minigpt.proof.sameness import assert_unchanged
from minigpt.proof.situations import SINKS, WINDOW, model, text

TOKEN_BYTES = 2 * 2 * 4 * 8 * 8  # keys and values, 2 layers, 4 heads of 8 channels, 8 bytes a number


def ring(rule="window", chunk=None, batch=1):
    return make_cache("sliding_window", model(rule).config, batch_size=batch, chunk=chunk, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 20])
@pytest.mark.parametrize("rule", ["window", "window with sinks"])
def test_it_has_exactly_window_plus_chunk_minus_1_slots_and_one_for_each_sink(rule, chunk):
    sinks = SINKS if "sinks" in rule else 0
    assert ring(rule, chunk).nbytes == (WINDOW + chunk - 1 + sinks) * TOKEN_BYTES


@pytest.mark.parametrize("chunk", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 20])
@pytest.mark.parametrize("rule", ["window", "window with sinks"])
def test_any_chunk_that_it_was_made_for_equals_the_uncached_model_with_the_same_mask(rule, chunk):
    gpt, (ids, positions) = model(rule), text([0, 3, 9], 38)
    cache = ring(rule, chunk, batch=3)
    with torch.no_grad():
        want = gpt(ids, positions)
        pieces = zip(ids.split(chunk, dim=1), positions.split(chunk, dim=1), strict=True)
        got = torch.cat([gpt(*piece, cache) for piece in pieces], dim=1)
    assert (got - want).abs()[positions != NEVER].max() < 1e-10


@pytest.mark.parametrize("rule", ["window", "window with sinks"])
def test_a_ring_that_just_fits_its_window_is_right_while_it_fills_and_when_it_is_full(rule):
    """One slot for each token of the window: a mask is needed until all are filled."""
    gpt, (ids, _) = model(rule), text([0, 0], 20)
    cache = ring(rule, chunk=1, batch=2)
    with torch.no_grad():
        got = torch.cat([gpt(ids[:, t : t + 1], cache=cache) for t in range(20)], dim=1)
        assert (got - gpt(ids)).abs().max() < 1e-10


@pytest.mark.parametrize("rule", ["window", "window with sinks"])
def test_its_memory_stays_flat_while_the_text_goes_on(rule):
    gpt, (ids, positions) = model(rule), text([0], 38)
    cache, held = ring(rule), set()
    with torch.no_grad():
        for column in range(38):
            gpt(ids[:, column : column + 1], positions[:, column : column + 1], cache)
            held.add(cache.nbytes)
    assert len(held) == 1


def test_it_reports_the_window_and_the_sinks_and_nothing_else():
    gpt, (ids, positions) = model("window with sinks"), text([0, 4], 30)
    cache = ring("window with sinks", chunk=1, batch=2)
    with torch.no_grad():
        for column in range(29):
            gpt(ids[:, column : column + 1], positions[:, column : column + 1], cache)
    cache.admit(positions[:, 29:])
    new = torch.zeros(2, 1, 4, 8, dtype=torch.float64)
    *_, k_pos = cache.update(new, new, 0)
    for row, pads in enumerate([0, 4]):
        now = 29 - pads
        assert sorted(k_pos[row].tolist()) == [0, 1, *range(now - WINDOW + 1, now + 1)]


@pytest.mark.parametrize("chunk", [1, 3, 6])
def test_as_many_tokens_as_a_chunk_can_be_taken_back_and_one_more_is_refused(chunk):
    ids, positions = text([0, 2], 30)
    for back in (chunk - 1, chunk, chunk + 1):
        run = Replay("sliding_window", model("window"), ids[:, :0], positions[:, :0], chunk=chunk)
        for start in range(0, 24, chunk):
            run.append(ids[:, start : start + chunk], positions[:, start : start + chunk])
        if back <= chunk:
            run.crop(back)
            run.append(ids[:, 24:28])
        else:
            before = copy.deepcopy(run.cache.state())
            with pytest.raises(CacheError, match=rf"crop\(-{back}\): .* take back at most {chunk}"):
                run.crop(back)
            assert_unchanged(run.cache, before, "a refused crop")
            run.append(ids[:, 24:28])


def test_a_model_that_sees_everything_is_refused_with_what_it_would_forget():
    with pytest.raises(ValueError, match=r"would forget those further back .*with_window\(64, sinks=4\)"):
        make_cache("sliding_window", model().config)
    with pytest.raises(ValueError, match="would forget"):
        model().generate(text([0], 5)[0], cache_implementation="sliding_window")


def test_more_tokens_at_once_than_it_has_slack_for_are_refused():
    gpt, (ids, positions) = model("window"), text([0], 9)
    cache = ring(chunk=4)
    with torch.no_grad():
        gpt(ids[:, :4], positions[:, :4], cache)
        before = copy.deepcopy(cache.state())
        with pytest.raises(CacheError, match=r"5 tokens at once, the ring has slack for 4: .* chunk=5"):
            gpt(ids[:, 4:], positions[:, 4:], cache)
    assert_unchanged(cache, before, "a refused chunk")


@pytest.mark.parametrize("sinks", [0, 3])
@pytest.mark.parametrize("chunk", [None, 1, 10])
def test_a_window_set_for_one_call_is_the_uncached_model_with_that_window(sinks, chunk):
    gpt, (ids, positions) = model(), text([0, 5], 25)
    mask = (positions != NEVER).long()
    window = {"window": 7, "sinks": sinks}
    want = gpt.with_window(7, sinks).generate(ids, mask, max_new_tokens=12, use_cache=False)
    got = gpt.generate(
        ids, mask, max_new_tokens=12, cache_implementation="sliding_window", cache_config={**window, "chunk": chunk}
    )
    assert torch.equal(got, want)
    assert torch.equal(gpt.generate(ids, mask, max_new_tokens=12, cache_config=window), want), "a full cache, so masked"
    assert not torch.equal(gpt.generate(ids, mask, max_new_tokens=12), want), "the window mattered"
    assert gpt.config.window is None


def test_a_model_with_a_window_shares_the_weights():
    gpt = model()
    assert gpt.with_window(4).wte.weight is gpt.wte.weight
    with pytest.raises(ValueError, match="window must be"):
        gpt.with_window(0)
