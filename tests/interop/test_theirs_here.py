"""The caches of transformers inside our GPT: what they give must be what the GPT gives without a cache."""

import contextlib
import copy

import pytest
import torch
from families import transformers
from helpers import as_for_a_user, left_padding, positions_of, random_gpt, random_ids

from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheFull
from minigpt.interop import from_transformers

WINDOW, LENGTH = 6, 25
FULL = transformers.GPT2Config(n_layer=2)
SLIDING = transformers.MistralConfig(num_hidden_layers=2, sliding_window=WINDOW)
HYBRID = transformers.Olmo3Config(
    num_hidden_layers=2, sliding_window=WINDOW, layer_types=["sliding_attention", "full_attention"]
)
MAMBA = transformers.MambaConfig(num_hidden_layers=2)
THEIRS = {
    "dynamic": (None, transformers.DynamicCache),
    "static": (None, lambda: transformers.StaticCache(FULL, max_cache_len=LENGTH + 15)),
    "sliding": (WINDOW, lambda: transformers.DynamicCache(config=SLIDING)),
    "static sliding": (WINDOW, lambda: transformers.StaticCache(SLIDING, max_cache_len=LENGTH + 15)),
    "hybrid": ([WINDOW, None], lambda: transformers.DynamicCache(config=HYBRID)),
    "static hybrid": ([WINDOW, None], lambda: transformers.StaticCache(HYBRID, max_cache_len=LENGTH + 15)),
    "dynamic under a window": (WINDOW, transformers.DynamicCache),
}
SCHEDULES = {"one prefill": [18], "chunks": [5, 1, 6, 2, 4], "one at a time": [1] * 18}
PADS = [0, 2, 7]


def pair(name, **sizes):
    window, make = THEIRS[name]
    gpt = random_gpt(window=window, **sizes)
    return gpt, from_transformers(make(), gpt)


def fed(gpt, cache, ids, positions, sizes):
    """The logits of what these chunks hold, fed to the cache."""
    start, logits = 0, []
    for size in sizes:
        end = start + size
        logits.append(gpt(ids[:, start:end], None if positions is None else positions[:, start:end], cache))
        start = end
    return torch.cat(logits, dim=1)


def assert_same(got, want, positions):
    off = (got - want).abs().amax(-1).masked_fill(positions == NEVER, 0)
    assert off.max() < 1e-10 * want.abs().max()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", THEIRS)
@torch.no_grad()
def test_logits_equal_the_uncached_run(name, padded, schedule):
    gpt, cache = pair(name, n_kv_head=2)
    ids, positions = random_ids(3, LENGTH), positions_of(left_padding(PADS if padded else [0, 0, 0], LENGTH))
    got = fed(gpt, cache, ids, positions if padded else None, [*SCHEDULES[schedule], *[1] * 7])
    assert_same(got, gpt(ids, positions), positions)
    assert torch.equal(cache.positions, positions)
    assert torch.equal(cache.ids, ids)


@pytest.mark.parametrize("name", THEIRS)
def test_generated_text_and_its_continuation_are_those_without_a_cache(name):
    gpt, cache = pair(name)
    ids, mask = random_ids(2, 11), left_padding([0, 4], 11)
    want = gpt.generate(ids, mask, max_new_tokens=20, use_cache=False)
    first = gpt.generate(ids, mask, max_new_tokens=8, cache=cache)
    mask = torch.cat([mask, torch.ones(2, 8, dtype=torch.int64)], dim=1)
    assert torch.equal(gpt.generate(first, mask, max_new_tokens=12, cache=cache), want)
    with pytest.raises(CacheError, match="the cache holds another text"):
        gpt.generate(random_ids(2, 40, seed=9), left_padding([0, 4], 40), max_new_tokens=1, cache=cache)


@pytest.mark.parametrize("name", THEIRS)
def test_beams_are_those_without_a_cache(name):
    gpt, cache = pair(name)
    ids = random_ids(2, 11)
    want = gpt.generate(ids, max_new_tokens=9, num_beams=3, use_cache=False)
    assert torch.equal(gpt.generate(ids, max_new_tokens=9, num_beams=3, cache=cache), want)


@pytest.mark.parametrize("name", THEIRS)
@torch.no_grad()
def test_every_verb_leaves_what_an_uncached_run_of_the_rest_gives_or_refuses(name):
    gpt, cache = pair(name)
    ids, positions = random_ids(3, LENGTH), positions_of(left_padding([0, 2, 3], LENGTH))
    fed(gpt, cache, ids, positions, [3, 2])
    fork = copy.deepcopy(cache)
    cache.crop(-2)
    cache.select([2, 0, 0])
    rows, new = [2, 0, 0], random_ids(3, 9, seed=4)
    now, at = torch.cat([ids[rows, :3], new], dim=1), positions[rows, :12]
    assert_same(gpt(new, at[:, 3:], cache), gpt(now, at)[:, 3:], at[:, 3:])
    if "static" in name:
        with pytest.raises(CacheError, match="keeps its 3 rows, got 2"):
            cache.select([0, 1])
    else:
        cache.select([1, 1, 0, 2])
        now, at, rows = now[[1, 1, 0, 2]], at[[1, 1, 0, 2]], 4
    if THEIRS[name][0] and name != "dynamic under a window":  # past the window
        before = [each.clone() for each in cache.state() if isinstance(each, torch.Tensor)]
        with pytest.raises(CacheError, match="pushed some out"):
            cache.crop(-1)
        assert all(map(torch.equal, before, (each for each in cache.state() if isinstance(each, torch.Tensor))))
    more = random_ids(len(now), 1, seed=5)
    got, at = gpt(more, cache=cache), torch.cat([at, at[:, -1:] + 1], dim=1)
    assert_same(got, gpt(torch.cat([now, more], 1), at)[:, -1:], at[:, -1:])
    assert_same(gpt(ids[:, 5:9], positions[:, 5:9], fork), gpt(ids[:, :9], positions[:, :9])[:, 5:], positions[:, 5:9])
    cache.reset()
    again, at = random_ids(len(now), 7, seed=6), torch.arange(7).expand(len(now), 7)
    assert_same(fed(gpt, cache, again, None, [4, 3]), gpt(again), at)


@torch.no_grad()
def test_a_full_static_cache_is_refused_before_it_has_changed():
    gpt = random_gpt()
    cache = from_transformers(transformers.StaticCache(FULL, max_cache_len=8), gpt)
    ids = random_ids(1, 12)
    gpt(ids[:, :7], cache=cache)
    with pytest.raises(CacheFull, match="needs 9 slots, has 8"):
        gpt(ids[:, 7:9], cache=cache)
    assert_same(gpt(ids[:, 7:8], cache=cache), gpt(ids[:, :8])[:, 7:], torch.zeros(1, 1))
    assert cache.room == cache.length == 8


@torch.no_grad()
def test_a_pass_that_was_cut_short_can_be_taken_back():
    gpt, cache = pair("dynamic")
    ids = random_ids(2, 9)
    gpt(ids[:, :5], cache=cache)
    with gpt.h[1].register_forward_pre_hook(lambda *_: 1 / 0), pytest.raises(ZeroDivisionError):
        gpt(ids[:, 5:], cache=cache)
    with pytest.raises(CacheError, match=r"stopped after 1 of 2 layers: crop\(-4\)"):
        gpt(ids[:, 5:], cache=cache)
    cache.crop(-4)
    assert_same(gpt(ids[:, 5:], cache=cache), gpt(ids)[:, 5:], torch.zeros(2, 4))


def test_what_can_t_serve_is_refused_with_the_reason():
    filled = transformers.DynamicCache()
    filled.update(torch.zeros(1, 4, 3, 8), torch.zeros(1, 4, 3, 8), 0)
    for cache, gpt, why in [
        (filled, random_gpt(), "holds 3 tokens, and nothing says which"),
        (transformers.DynamicCache(config=SLIDING), random_gpt(), "keeps 6 tokens, and the model's sees all tokens"),
        (transformers.DynamicCache(config=SLIDING), random_gpt(window=7), "keeps 6 tokens, .* a window of 7"),
        (transformers.DynamicCache(config=SLIDING), random_gpt(window=6, sinks=1), "a window of 6 and 1 sinks"),
        (transformers.DynamicCache(config=FULL), random_gpt(n_layer=3), "the cache has 2 layers, the model 3"),
        (
            transformers.DynamicCache(config=transformers.MambaConfig(num_hidden_layers=2)),
            random_gpt(),
            "LinearAttention",
        ),
        (transformers.EncoderDecoderCache(filled, filled), random_gpt(), "for a decoder"),
        ("dynamic", random_gpt(), "wants a cache of transformers"),
        (transformers.DynamicCache(), torch.nn.Linear(1, 1), "wants a model of this package"),
    ]:
        with as_for_a_user(), pytest.raises(ValueError, match=why):
            from_transformers(cache, gpt)


@torch.no_grad()
def test_fp8_is_lossy_says_so_and_rounds_as_it_does_in_transformers():
    gpt = random_gpt(dtype=torch.float32)
    theirs = transformers.QuantizedCache("fp8", FULL)
    cache, ids = from_transformers(theirs, gpt), random_ids(2, 14)
    assert cache.lossy
    got, want = fed(gpt, cache, ids, None, [8, 1, 1, 4]), gpt(ids)
    assert torch.allclose(got[:, :8], want[:, :8], atol=1e-5), "the prompt is rounded once it has attended"
    assert 1e-3 < (got - want)[:, 8:].abs().max() / want.abs().max() < 0.3
    held = cache.length * 2 * 2 * 4 * 8 * 2  # tokens, layers, rows, heads, channels, keys and values: a byte each
    assert held < cache.nbytes < held + 200, cache
    with pytest.raises(CacheError, match="can't take tokens back: it rounded some"):
        cache.crop(-1)
    with pytest.raises(CacheError, match="keeps its 2 rows, got 3"):
        cache.select([0, 1, 1])
    cache.select([1, 0])
    swapped, new = copy.deepcopy(cache), random_ids(2, 1, seed=3)
    direct = from_transformers(transformers.QuantizedCache("fp8", FULL), gpt)
    fed(gpt, direct, ids, None, [8, 1, 1, 4])
    assert torch.allclose(gpt(new, cache=swapped), gpt(new[[1, 0]], cache=direct)[[1, 0]], atol=1e-5)


@pytest.mark.parametrize(("backend", "axis"), [("quanto", 0), ("hqq", 1)])
@torch.no_grad()
def test_their_group_wise_rounding_reorders_and_refuses_what_it_would_spoil(backend, axis, recwarn):
    library = {"quanto": "optimum.quanto", "hqq": "hqq.core.quantize"}[backend]
    pytest.importorskip(library, reason="pip install minigpt-kv[peers]", exc_type=ImportError)
    import axes

    gpt, ids = random_gpt(n_embd=64, dtype=torch.float32), random_ids(2, 14)
    options = {"nbits": 4, "axis_key": axis, "axis_value": axis, "q_group_size": 16, "residual_length": 4}
    new, packing = random_ids(2, 1, seed=3), {"quanto": axes.without_compiling, "hqq": contextlib.nullcontext}[backend]
    with packing():
        direct, swapped = (from_transformers(transformers.QuantizedCache(backend, FULL, **options), gpt) for _ in "ab")
        for cache in (direct, swapped):
            assert cache.lossy
            got = fed(gpt, cache, ids, None, [8, 1, 1, 4])
        assert 1e-3 < (got - gpt(ids))[:, 8:].abs().max() / gpt(ids).abs().max() < 0.5
        swapped.select([1, 0])
        assert torch.allclose(gpt(new[[1, 0]], cache=swapped)[[1, 0]], gpt(new, cache=direct), atol=1e-5)
        with pytest.raises(CacheError, match="it rounded some"):
            direct.crop(-1)
        with pytest.raises(CacheError, match="keeps its 2 rows, got 1"):
            direct.select([0])
