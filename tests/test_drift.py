"""What rounding costs, in figures: rounding again at each flush, and one key channel that is larger than the rest.

Each figure was first seen in the real libraries, which tests/test_peers.py holds ours to; N(0, 1), 64 channels, 4 bits.
"""

import pytest
import torch
from requantize import RequantizedCache

from minigpt.cache import CacheError, QuantizedCache
from minigpt.cache.quantized.codec import Codec, group_shape
from minigpt.cache.quantized.formats import MinMax
from minigpt.config import GPTConfig

D = 64


def drift(kind, heads, prompt, residual, flushes=9, **options) -> list[float]:
    """The rms error of the prompt's keys as each chunk reads them: the prompt itself, then one flush after another."""
    config = GPTConfig(vocab_size=9, context=999, n_layer=1, n_head=heads, n_embd=heads * D)
    cache = kind(config, nbits=4, q_group_size=64, residual_length=residual, **options)
    length = prompt + (flushes + 1) * residual
    k = torch.randn(1, length, heads, D, generator=torch.Generator().manual_seed(0))
    errors, start = [], 0
    for size in [prompt, *[residual] * (flushes + 1)]:
        cache.admit(torch.arange(start, start + size)[None])
        keys, *_ = cache.update(k[:, start : start + size], k[:, start : start + size], 0)
        errors.append((keys - k[:, : start + size])[:, :prompt].square().mean().sqrt().item())
        start += size
    return errors


@pytest.mark.parametrize("geometry", [(4, 64, 16), (2, 96, 32), (1, 128, 64)], ids=str)
def test_hqq_axis_0_gets_worse_with_each_flush_in_every_geometry(geometry):
    _, first, *_, last = drift(RequantizedCache, *geometry, backend="hqq")
    assert 0.08 < first < 0.10
    assert last > 2 * first


@pytest.mark.parametrize("axis_and_backend", [("quanto", 0), ("hqq", 1)], ids=str)
@pytest.mark.parametrize("geometry", [(4, 64, 16), (2, 96, 32)], ids=str)
def test_groups_that_hold_one_token_do_not_get_worse(axis_and_backend, geometry):
    backend, axis = axis_and_backend
    _, first, *_, last = drift(RequantizedCache, *geometry, backend=backend, axis_key=axis, axis_value=axis)
    assert 0.08 < first < 0.10
    assert last < 1.1 * first


def test_quanto_axis_minus_1_gets_worse_unless_every_length_is_a_multiple_of_the_group():
    axes = {"axis_key": -1, "axis_value": -1}
    _, first, *_, last = drift(RequantizedCache, 4, 64, 16, **axes)
    assert 1.4 * first < last < 2.6 * first
    _, first, *_, last = drift(RequantizedCache, 2, 64, 64, **axes)
    assert last < 1.01 * first


@pytest.mark.parametrize("group", ["token", "channel"])
def test_what_is_rounded_once_never_gets_worse(group):
    exact, _, *later = drift(QuantizedCache, 4, 64, 16, group_key=group)
    assert exact == 0
    assert 0.08 < later[0] < 0.10
    assert set(later) == {later[0]}


def test_one_large_key_channel_spoils_the_others_by_token_and_not_by_channel():
    x = torch.randn(1, 256, 4, D, generator=torch.Generator().manual_seed(0))
    x[..., 5] *= 20
    others = torch.arange(D) != 5
    error = {}
    for name in ("token", "channel"):
        codec = Codec(MinMax(4), group_shape(name, 64, 4, D), (4, D), torch.float32)
        error[name] = (codec.read(codec.write(x)) - x)[..., others].square().mean().sqrt().item()
    assert error["token"] == pytest.approx(0.413, rel=0.1)
    assert error["channel"] == pytest.approx(0.090, rel=0.05)


def rounded_after(cache, chunks):
    """How many tokens' keys are rounded after each."""
    new, counts = torch.randn(2, max(chunks), 1, 8, generator=torch.Generator().manual_seed(0)), []
    for size in chunks:
        cache.admit(torch.arange(cache.length, cache.length + size).expand(2, -1))
        cache.update(new[:, :size], new[:, :size], 0)
        counts.append(cache.codecs[0].tokens_in(cache.kv[0][2]))
    return counts


SMALL = GPTConfig(vocab_size=9, context=99, n_layer=1, n_head=1, n_embd=8)


def test_the_first_chunk_is_rounded_whole_and_all_there_is_when_the_residual_is_full():
    cache = RequantizedCache(SMALL, 2, q_group_size=8, residual_length=4)
    assert rounded_after(cache, [10, *[1] * 10]) == [0, 10, 10, 10, 10, 14, 14, 14, 14, 18, 18]


def test_what_shares_scales_everywhere_can_not_be_taken_apart():
    cache = RequantizedCache(SMALL, 2, q_group_size=8, residual_length=4)
    rounded_after(cache, [10, 1, 1])
    with pytest.raises(CacheError, match=r"crop\(-3\) would cut .*: take back 12, feed the first 9 of them again"):
        cache.crop(-3)
    with pytest.raises(CacheError, match="a scale may span rows of the batch"):
        cache.select([1, 0])
    cache.crop(-2)
    assert rounded_after(cache, [1]) == [10]
    cache.crop(-11)
    assert rounded_after(cache, [9, 1]) == [0, 9]
