"""What the quantized cache rounds, when, and how many bytes it holds. (That it equals its oracle is in the suite.)"""

import copy

import pytest
import torch
from helpers import as_for_a_user

from minigpt.cache import CacheError, make_cache
from minigpt.config import GPTConfig
from minigpt.proof.replay import Replay
from minigpt.proof.sameness import assert_unchanged
from minigpt.proof.situations import model, text
from minigpt.proof.texts import schedule_equals_uncached

FORMATS = {
    **{f"quanto {bits} bit": {"backend": "quanto", "nbits": bits} for bits in (1, 2, 4, 8)},
    **{f"hqq {bits} bit": {"backend": "hqq", "nbits": bits} for bits in (1, 2, 4, 8)},
    "fp8": {"backend": "fp8", "nbits": 8},
}
GROUPS = {
    "token": {"group_key": "token", "group_value": "token", "q_group_size": 4},
    "one scale for two tokens": {"group_key": "token", "group_value": "token", "q_group_size": 16},
    "kivi": {"group_key": "channel", "group_value": "token", "q_group_size": 8},
    "head and tensor": {"group_key": "head", "group_value": "tensor", "q_group_size": 3},
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("schedule", ["one prefill", "chunks of 7", "mixed"])
def test_every_format_and_every_group_equals_the_uncached_model_that_reads_rounded(format, groups, schedule):
    options = {**FORMATS[format], **GROUPS[groups], "residual_length": 4}
    schedule_equals_uncached("quantized", "full", "GQA", "ragged left padding", schedule, options)


@pytest.mark.parametrize("residual", [0, 1, 5, 20, 21, 27, 128])
@pytest.mark.parametrize("schedule", ["one prefill", "chunks of 1", "chunks of 3"])
def test_any_residual_equals_the_uncached_model_that_reads_rounded(residual, schedule):
    options = {**FORMATS["quanto 2 bit"], **GROUPS["kivi"], "residual_length": residual}
    schedule_equals_uncached("quantized", "window with sinks", "MHA", "ragged left padding", schedule, options)


def quantized(batch=1, dtype=torch.float64, config=None, **options):
    return make_cache("quantized", config or model().config, batch_size=batch, dtype=dtype, **options)


def rounded(cache):
    """How many tokens' keys and how many tokens' values are rounded."""
    return [codec.tokens_in(each) for codec, each in zip(cache.codecs, cache.kv[-1][2:], strict=True)]


def blocks(cache):
    return [each for layer in cache.kv for each in layer[2:]]


def feed(cache, chunks, rows=1, start=0):
    gpt, (ids, positions) = model(dtype=cache.dtype), text([0] * rows, start + sum(chunks))
    with torch.no_grad():
        for chunk in chunks:
            gpt(ids[:, start : start + chunk], positions[:, start : start + chunk], cache)
            start += chunk
    return cache


def test_tokens_leave_the_residual_a_group_at_a_time_and_stay():
    cache = quantized(backend="kivi", q_group_size=4, residual_length=6)
    feed(cache, [9])
    assert rounded(cache) == [0, 0], "a chunk is exact while it attends"
    seen = []
    for start in range(9, 18):
        feed(cache, [1], start=start)
        seen.append(rounded(cache))
    assert seen == [[0, 3], [4, 4], [4, 5], [4, 6], [4, 7], [8, 8], [8, 9], [8, 10], [8, 11]]


def test_a_token_is_rounded_once():
    """The bytes that hold it are never written again."""
    cache = quantized(backend="kivi", q_group_size=4, residual_length=2)
    feed(cache, [5])
    for start in range(5, 30):
        before = [each.clone() for each in blocks(cache)]
        feed(cache, [1], start=start)
        for now, old in zip(blocks(cache), before, strict=True):
            assert torch.equal(now[:, : old.shape[1]], old)
    assert rounded(cache) == [24, 27]


def test_the_newest_tokens_are_exact_and_the_older_ones_are_not():
    cache, exact = (make_cache(name, model().config, dtype=torch.float64) for name in ("quantized", "dynamic"))
    cache = quantized(residual_length=5, q_group_size=4, nbits=2)
    k, v = torch.randn(2, 1, 16, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for start in range(16):
        cache.admit(torch.tensor([[start]]))
        exact.admit(torch.tensor([[start]]))
        for layer in range(2):
            new = k[:, start : start + 1], v[:, start : start + 1]
            (*got, _), (*want, _) = cache.update(*new, layer), exact.update(*new, layer)
    for mine, theirs in zip(got, want, strict=True):
        assert torch.equal(mine[:, 10:], theirs[:, 10:])
        assert ((mine - theirs)[:, :10].abs().amax((2, 3)) > 0).all()


FRACTION = {"quanto 4": 0.29, "quanto 2": 0.16, "hqq 4": 0.29, "hqq 2": 0.16, "fp8 8": 0.51, "kivi 2": 0.16}


@pytest.mark.parametrize("setting", FRACTION)
def test_what_is_rounded_takes_so_much_of_its_bytes_in_float16(setting):
    backend, bits = setting.split()
    config = GPTConfig(vocab_size=53, context=300, n_layer=2, n_head=2, n_embd=128)
    cache = quantized(dtype=torch.float16, config=config, backend=backend, nbits=int(bits), residual_length=128)
    new = torch.randn(1, 257, 2, 64, generator=torch.Generator().manual_seed(1)).half()
    for start, end in [(0, 256), (256, 257)]:
        cache.admit(torch.arange(start, end)[None])
        for layer in range(2):
            cache.update(new[:, start:end], new[:, start:end], layer)
    assert rounded(cache) == [128, 128]
    exact = 2 * 2 * (257 - 128) * 2 * 64 * 2  # keys and values, layers, tokens, heads, channels, bytes
    full = 2 * 2 * 128 * 2 * 64 * 2
    assert cache.nbytes - exact <= FRACTION[setting] * full
    assert cache.nbytes - exact > int(bits) / 16 * full, "the scales are counted too"


def test_a_crop_behind_the_rounded_part_and_to_the_start_of_a_group_is_right():
    ids, positions = text([0, 3], 34)
    for back in (1, 5, 6, 7, 10, 14, 18, 26):
        run = Replay("quantized", model(), ids[:, :0], positions[:, :0], residual_length=6, q_group_size=4)
        for start in range(0, 26, 2):
            run.append(ids[:, start : start + 2], positions[:, start : start + 2])
        cut = 26 - back < 16 and (26 - back) % 4  # 16 tokens' keys are rounded when 24 are held
        if cut:
            before = copy.deepcopy(run.cache.state())
            with pytest.raises(CacheError, match=rf"crop\(-{back}\) would cut .*: take back {back + cut}, .* {cut} of"):
                run.crop(back)
            assert_unchanged(run.cache, before, "a refused crop")
            run.crop(back + cut)
        else:
            run.crop(back)
        run.append(ids[:, :3])
        run.append(ids[:, 3:4])


def test_the_same_numbers_whatever_the_rest_of_the_batch_holds():
    """No group spans two rows, so a row without padding goes on as if alone."""
    for format in FORMATS.values():
        options = {**format, **GROUPS["head and tensor"], "residual_length": 3}
        gpt, (ids, positions) = model(), text([0, 0, 4], 20)
        many, one = quantized(3, **options), quantized(1, **options)
        with torch.no_grad():
            for start in range(0, 20, 4):
                got = gpt(ids[:, start : start + 4], positions[:, start : start + 4], many)
                want = gpt(ids[1:2, start : start + 4], positions[1:2, start : start + 4], one)
                assert (got[1:2] - want).abs().max() < 1e-10


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("spoilt", [0, 1])
def test_inf_and_nan_are_refused_at_the_first_layer_before_anything_has_changed(bad, spoilt):
    cache, new = held(9), torch.ones(2, 1, 1, 4, 8, dtype=torch.float64)
    before = copy.deepcopy(cache.state())
    new[spoilt] *= bad
    cache.admit(torch.tensor([[9]]))
    with pytest.raises(CacheError, match=r"up to layer 0 is inf or NaN, which no scale .*; these tokens are not kept"):
        cache.update(*new, 0)
    assert_unchanged(cache, before, "a refused update")
    feed(cache, [3, 3], start=9)


@pytest.mark.parametrize("bad", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("spoilt", [1, 2, 3])
def test_inf_and_nan_of_a_later_layer_are_refused_at_the_last(bad, spoilt):
    """The last layer is asked for all layers since the first: asking at each would have each wait for the device."""
    config = GPTConfig(vocab_size=53, context=40, n_layer=4, n_head=4, n_embd=32)
    cache, new = quantized(config=config, q_group_size=4, residual_length=2), torch.ones(1, 1, 4, 8).double()
    for _ in range(2):
        cache.admit(torch.arange(6)[None] + cache.length)
        for layer in range(4):
            cache.update(new.expand(-1, 6, -1, -1), new.expand(-1, 6, -1, -1), layer)
    cache.admit(torch.tensor([[12]]))
    for layer in range(3):
        cache.update(new, new * bad if layer == spoilt else new, layer)
    with pytest.raises(CacheError, match=r"value up to layer 3 is inf or NaN, which .*; crop\(-1\) takes these tokens"):
        cache.update(new, new * bad if spoilt == 3 else new, 3)
    cache.crop(-1)
    assert cache.length == 12
    cache.admit(torch.tensor([[12]]))
    for layer in range(4):
        assert all(each.isfinite().all() for each in cache.update(new, new, layer))


def held(tokens, residual=4):
    """A cache that holds so many tokens, none rounded yet: keys will be rounded by fours, values one by one."""
    return feed(quantized(backend="kivi", q_group_size=4, residual_length=residual), [tokens])


GOOD = torch.ones(1, 1, 4, 8, dtype=torch.float64)
UNFIT = {"NaN": GOOD * torch.nan, "heads missing": GOOD[:, :, :2], "another dtype": GOOD.float(), "nothing": None}


@pytest.mark.parametrize("unfit", UNFIT)
def test_an_update_that_is_refused_at_the_first_layer_has_rounded_nothing(unfit):
    """A crop that was fine before is fine after; once the next token is kept, it cuts a group."""
    cache = held(9)
    before = copy.deepcopy(cache.state())
    for given in [(UNFIT[unfit], GOOD), (GOOD, UNFIT[unfit])]:
        cache.admit(torch.tensor([[9]]))
        with as_for_a_user(), pytest.raises(CacheError):
            cache.update(*given, 0)
        assert_unchanged(cache, before, "a refused update")
    twin = copy.deepcopy(cache)
    cache.crop(-6)
    feed(cache, [3, 3], start=3)
    feed(twin, [1], start=9)
    with pytest.raises(CacheError, match=r"crop\(-7\) would cut a group"):
        twin.crop(-7)


def stored(cache) -> int:
    """Bytes of all memory that the cache's tensors keep alive."""
    storages = [kept.untyped_storage() for layer in cache.kv for kept in layer]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("left", [30, 29, 27, 26, 25, 24, 20, 12, 4, 0])
def test_after_a_crop_it_holds_just_the_bytes_that_it_tells(left, rows):
    """30 tokens were fed, keys of 24 and values of 25 are rounded: the crops end in the residual, at its start, between
    the two, and before both at a group's end."""
    cache = feed(quantized(rows, backend="kivi", q_group_size=4, residual_length=4), [20, 9, 1], rows=rows)
    assert rounded(cache) == [24, 25]
    full = cache.nbytes
    assert stored(cache) == full
    cache.crop(left - 30)
    assert stored(cache) == cache.nbytes
    if left < 24:
        codes, scales = 4 * 32 * 2 // 8, 2 * 8 * 4 * 32 // 4  # of four tokens: 4 heads x 8 channels, 2 bits, float64
        assert cache.nbytes == rows * 2 * 2 * left // 4 * (codes + scales)
    elif left == 24:
        assert cache.nbytes < full
    feed(cache, [2], rows=rows, start=left)
    assert stored(cache) == cache.nbytes


REFUSED = [
    ({"backend": "int4"}, "no backend is named 'int4'; there are quanto, hqq, fp8, kivi"),
    ({"backend": ["kivi"]}, "no backend is named .'kivi'.; there are quanto"),
    ({"nbits": 3}, "nbits must be 1, 2, 4 or 8, got 3"),
    ({"backend": "fp8", "nbits": 4}, "fp8 has 8 bits"),
    ({"q_group_size": 0}, "q_group_size must be a whole number, 1 or more, got 0"),
    ({"q_group_size": 5}, "divides the head size 8 or is a multiple of it, got 5"),
    ({"q_group_size": 12}, "divides the head size 8 or is a multiple of it, got 12"),
    ({"residual_length": -1}, "residual_length must be a whole number, 0 or more, got -1"),
    ({"group_key": "row"}, "no group is named 'row'; there are token, channel, head, tensor"),
    ({"axis_key": 1}, r"axis 1 of quanto can't .* 0 \(token\), -1 \(channel\)"),
    ({"backend": "hqq", "axis_value": 0}, r"axis 0 of hqq can't .* 1 \(token\); hqq's axis 0 gives one scale to"),
    ({"backend": "fp8", "axis_key": 0}, "its axes here: none"),
    ({"axis_key": 0, "group_key": "token"}, "axis 0 and group 'token' both say"),
    ({"q_group_size": True}, "q_group_size must be a whole number, 1 or more, got True"),
    ({"requantize": True}, "the quantized cache has no option requantize; it has batch_size, backend"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_options_that_do_not_fit_are_refused(options, message):
    with as_for_a_user(), pytest.raises(ValueError, match=message):
        quantized(**options)


def test_codes_that_fill_no_whole_byte_are_refused():
    config = GPTConfig(vocab_size=9, context=9, n_layer=1, n_head=1, n_embd=2)
    with pytest.raises(ValueError, match="1-bit codes of 2 numbers don't fill whole bytes: raise q_group_size"):
        quantized(config=config, nbits=1, q_group_size=2)
    quantized(config=config, nbits=1, q_group_size=8)
    with pytest.raises(ValueError, match="1-bit codes of a head of 2 numbers don't fill whole bytes: raise nbits"):
        make_cache("quantized_static", config, nbits=1, q_group_size=8)


def test_a_pass_that_was_cut_short_has_rounded_in_all_layers_or_in_none(monkeypatch):
    """Else, with more tokens taken back, some layers would go on reading rounded what others still had exactly."""
    gpt, (ids, positions) = model(), text([0], 12)
    run = Replay("quantized", gpt, ids[:, :8], positions[:, :8], q_group_size=4, residual_length=1)
    with monkeypatch.context() as patch:
        patch.setattr(gpt.h[1], "forward", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt), torch.no_grad():
            gpt(ids[:, 8:11], positions[:, 8:11], run.cache)
    run.history.append(3)
    run.ids, run.positions = ids[:, :11], positions[:, :11]
    run.crop(7)
    assert len({blocks.shape[1] for layer in run.cache.kv for blocks in layer[2:3]}) == 1
    run.append(ids[:, 4:6])


def static(batch=1, **options):
    return make_cache("quantized_static", model().config, batch_size=batch, dtype=torch.float64, **options)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("format", ["quanto 1 bit", "quanto 4 bit", "hqq 2 bit", "fp8"])
def test_the_static_one_gives_the_same_numbers(groups, format):
    """Bit for bit, also after a crop, and of rows that were selected."""
    options = {**FORMATS[format], **GROUPS[groups], "residual_length": 3}
    caches = quantized(2, **options), static(2, chunk=7, **options)
    generator = torch.Generator().manual_seed(4)
    for turn, chunk in enumerate((7, 1, 1, 6, 1, 3, 1, 7, 1, 1, 5)):
        rows = torch.randn(2, 2, 2, chunk, 4, 8, dtype=torch.float64, generator=generator)
        for cache in caches:
            if turn == 4:
                cache.crop(-1)
            if turn == 6:
                cache.select([1, 1])
            cache.admit(torch.arange(chunk).expand(2, -1) + cache.length)
        for layer, (k, v) in enumerate(rows):
            (*want, _), (*got, _) = (cache.update(k, v, layer) for cache in caches)
            for mine, theirs in zip(got, want, strict=True):
                assert torch.equal(mine[:, : theirs.shape[1]], theirs)
    assert caches[1].rounded == tuple(rounded(caches[0])) > (20, 20)


def test_a_prompt_may_be_longer_than_the_ring_of_the_static_one():
    gpt, (ids, _) = model(), text([0], 30)
    options = {"residual_length": 2, "q_group_size": 8, "nbits": 2}
    how = {"cache_implementation": "quantized", "cache_config": options, "prefill_chunk_size": 5}
    want = gpt.generate(ids, max_new_tokens=8, **how)
    cache = static(**options, chunk=5)
    assert torch.equal(gpt.generate(ids, max_new_tokens=8, cache=cache), want)
    assert cache.slots(0) == 2 + 5
    with as_for_a_user(), pytest.raises(CacheError, match=r"6 tokens at once, the ring has slack for 5: feed them in"):
        cache.admit(torch.arange(37, 43)[None])


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_the_static_one_refuses_inf_and_nan_when_they_are_to_be_rounded(bad):
    cache, new = static(residual_length=2, q_group_size=8), GOOD
    for at in range(3):
        cache.admit(torch.tensor([[at]]))
        for layer in range(2):
            cache.update(new * bad if (at, layer) == (0, 1) else new, new, layer)
    before = copy.deepcopy(cache.state()[:4])
    cache.admit(torch.tensor([[3]]))
    with pytest.raises(CacheError, match="a key or value of token 0 to 0 is inf or NaN, which no scale spans"):
        cache.update(new, new, 0)
    assert str(cache.state()[:4]) == str(before)
    cache.crop(-3)
    for at in range(9):
        cache.admit(torch.tensor([[at]]))
        for layer in range(2):
            assert all(each.isfinite().all() for each in cache.update(new, new, layer)[:2])
