"""What each exact cache holds and copies, counted."""

import copy
import pickle

import pytest
import torch

from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.cache import dynamic as dynamic_module
from minigpt.cache.dynamic import grow
from minigpt.proof.sameness import leaves
from minigpt.proof.situations import FULL, NAMES, model, rule_for, text

TOKEN_BYTES = 2 * 2 * 4 * 8 * 8  # keys and values, 2 layers, 4 heads of 8 channels, 8 bytes a number


def fill(cache, length, chunk=1, batch=1):
    ids, positions = text([0] * batch, length)
    with torch.no_grad():
        for start in range(0, length, chunk):
            model()(ids[:, start : start + chunk], positions[:, start : start + chunk], cache)
    return cache


@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 33])
@pytest.mark.parametrize("chunk", [1, 5])
def test_all_that_a_dynamic_cache_copies_to_grow_is_at_most_twice_what_it_ends_with(length, chunk, monkeypatch):
    copied = []

    def counted(buffer, used, slots):
        copied.append(buffer[:, :used].nbytes)
        return grow(buffer, used, slots)

    monkeypatch.setattr(dynamic_module, "grow", counted)
    fill(make_cache("dynamic", model().config, dtype=torch.float64), length, chunk)
    assert sum(copied) <= 2 * length * TOKEN_BYTES


def test_a_dynamic_cache_holds_at_most_twice_what_its_tokens_need():
    for length in range(1, 34):
        cache = fill(make_cache("dynamic", model().config, dtype=torch.float64), length)
        assert length * TOKEN_BYTES <= cache.nbytes <= 2 * length * TOKEN_BYTES


def test_a_concat_cache_holds_just_its_tokens():
    for length in (1, 2, 7, 33):
        cache = make_cache("concat", model().config, batch_size=2, dtype=torch.float64)
        assert fill(cache, length, batch=2).nbytes == 2 * length * TOKEN_BYTES


def test_a_static_cache_holds_all_its_slots_from_the_start_and_never_moves():
    cache = make_cache("static", model().config, max_cache_len=20, dtype=torch.float64)
    assert cache.nbytes == 20 * TOKEN_BYTES
    addresses = [kept.data_ptr() for layer in cache.kv for kept in layer]
    fill(cache, 20, chunk=3)
    assert cache.nbytes == 20 * TOKEN_BYTES
    assert addresses == [kept.data_ptr() for layer in cache.kv for kept in layer]


def test_a_static_cache_without_a_size_takes_the_whole_context():
    cache = make_cache("static", model().config, dtype=torch.float64)
    assert cache.capacity == model().config.context
    fill(cache, model().config.context, chunk=7)


DTYPES = torch.float16, torch.bfloat16, torch.float32, torch.float64


def passed(name, dtype):
    """A cache of the model's dtype that holds a text, and the logits."""
    gpt, (ids, positions) = model(dtype=dtype), text([0], 9)
    cache = make_cache(name, gpt.config, dtype=dtype)
    with torch.no_grad():
        return cache, gpt(ids, positions, cache)


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_with_a_cache_logits_have_the_dtype_of_the_model(name, dtype):
    assert passed(name, dtype)[1].dtype == dtype


@pytest.mark.parametrize("name", [name for name in FULL if not CACHES[name].lossy])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_exact_cache_keeps_the_dtype_of_its_model(name, dtype):
    cache, _ = passed(name, dtype)
    assert {kept.dtype for layer in (0, 1) for _, kept in leaves(cache.tensors(layer)[:2])} == {dtype}


@pytest.mark.parametrize("name", FULL)
def test_a_forward_pass_that_was_cut_short_is_noticed_and_can_be_taken_back(name, monkeypatch):
    """Ctrl-C in the middle of a chunk: some layers have it, some don't. Going on would compute something else."""
    gpt, (ids, positions) = model(), text([0], 12)
    cache = make_cache(name, gpt.config, dtype=torch.float64)
    with torch.no_grad():
        gpt(ids[:, :6], positions[:, :6], cache)
        with monkeypatch.context() as patch:
            patch.setattr(gpt.h[1], "forward", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                gpt(ids[:, 6:9], positions[:, 6:9], cache)
        with pytest.raises(RuntimeError, match=r"stopped after 1 of 2 layers: crop\(-3\)"):
            gpt(ids[:, 9:], positions[:, 9:], cache)
        with pytest.raises(RuntimeError, match=r"crop\(-2\) would keep part of an unfinished chunk"):
            cache.crop(-2)
        cache.crop(-3)
        got = gpt(ids[:, 6:], positions[:, 6:], cache)
        assert (got - gpt(ids, positions)[:, 6:]).abs().max() < 1e-10


def test_a_cache_filled_in_inference_mode_goes_on_outside_it_and_the_other_way_round():
    gpt, (ids, positions) = model(), text([0, 2], 12)
    with torch.no_grad():
        want = gpt(ids, positions)
    for name in FULL:
        for first, second in [(torch.inference_mode, torch.no_grad), (torch.no_grad, torch.inference_mode)]:
            cache = make_cache(name, gpt.config, batch_size=2, dtype=torch.float64)
            with first():
                gpt(ids[:, :6], positions[:, :6], cache)
                cache.select([0, 1])
            with second():
                got = gpt(ids[:, 6:], positions[:, 6:], cache)
            assert (got - want[:, 6:]).abs().max() < 1e-10


@pytest.mark.parametrize("name", [name for name in NAMES if not CACHES[name].lossy])
@pytest.mark.parametrize("back", ["crop", "reset"])
def test_a_nan_that_was_taken_back_spoils_nothing(name, back):
    """Attention is given hidden slots too, and 0 times NaN is NaN."""
    gpt, (ids, _) = copy.deepcopy(model(rule_for(name))), text([0, 0], 12)
    ids[ids == 52] = 0
    cache, bad = make_cache(name, gpt.config, batch_size=2, dtype=torch.float64), ids[:, :2].clone()
    bad[0, 1] = 52
    with torch.no_grad():
        want = gpt(ids)
        gpt.wte.weight[52] = torch.nan
        start = 0 if back == "reset" else 6
        if start:
            gpt(ids[:, :start], cache=cache)
        gpt(bad, cache=cache)
        cache.reset() if back == "reset" else cache.crop(-2)
        got = torch.cat([gpt(ids[:, t : t + 1], cache=cache) for t in range(start, 12)], dim=1)
    assert (got[..., :52] - want[:, start:, :52]).abs().max() < 1e-10


@pytest.mark.parametrize("name", FULL)
def test_positions_that_the_cache_would_go_on_with_past_the_context_are_refused(name):
    gpt, (ids, _) = model(), text([0, 0], 12)
    cache = make_cache(name, gpt.config, batch_size=2, dtype=torch.float64)
    with torch.no_grad():
        gpt(ids[:, :2], torch.tensor([[0, 38], [0, 37]]), cache)
        gpt(ids[:, 2:3], cache=cache)
        with pytest.raises(ValueError, match=r"positions must lie in 0 ... 39 .* got 39 ... 40"):
            gpt(ids[:, 3:4], cache=cache)
    assert cache.length == 3


@pytest.mark.parametrize("copied_by", [pickle.dumps, copy.copy], ids=["pickle", "copy.copy"])
@pytest.mark.parametrize("name", FULL)
def test_a_cache_is_copied_whole_or_not_at_all(name, copied_by):
    gpt, (ids, _) = model(), text([0, 0], 12)
    cache = make_cache(name, gpt.config, batch_size=2, dtype=torch.float64)
    with torch.no_grad():
        gpt(ids[:, :6], cache=cache)
        with pytest.raises(CacheError, match=r"can't be pickled.* copy\.deepcopy makes a twin"):
            copied_by(cache)
        one, twin = (gpt(ids[:, 6:], cache=each) for each in (cache, copy.deepcopy(cache)))
    assert torch.equal(one, twin)
