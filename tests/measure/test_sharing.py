"""Groups found from outside are those that the cache explains, and those that were recorded of the real libraries."""

import json

import axes
import pytest
import torch

from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.measure.quality.sharing import shared


def ours(shape, **options):
    """(groups found, groups explained) of our cache's keys, as (B, H, T, D)."""
    B, H, T, D = shape
    config = GPTConfig(vocab_size=1, context=T, n_layer=1, n_head=H, n_embd=H * D)
    cache = make_cache("quantized", config, batch_size=B, **options)
    codec = cache.codecs[0]
    found = shared(lambda x: codec.read(codec.write(x.transpose(1, 2))).transpose(1, 2), shape)
    return found, cache.explain((B, T, H, D))["keys"].groups.transpose(1, 2)


def same(one, other):
    """Whether two numberings name the same groups."""
    one, other = one.flatten(), other.flatten()
    return torch.equal(one == one[:, None], other == other[:, None])


@pytest.mark.parametrize("name", ["token", "channel", "head", "tensor"])
def test_what_an_outlier_spoils_is_what_the_cache_explains(name):
    found, explained = ours((2, 2, 4, 4), q_group_size=4, group_key=name)
    assert same(found, explained)


RECORDED = {
    f"{each['backend']}, axis {each['axis']}, {each['shape']}": each
    for each in json.loads(axes.FILE.read_text(encoding="utf-8"))["groups"]
}
NOT_OURS = {"hqq, axis 0, [2, 2, 4, 4]", "quanto, axis -1, [2, 1, 6, 4]"}  # they span rows of the batch


@pytest.mark.parametrize("name", sorted(RECORDED.keys() - NOT_OURS))
def test_our_axes_share_as_those_of_the_libraries_were_recorded_to(name):
    each = RECORDED[name]
    found, _ = ours(tuple(each["shape"]), backend=each["backend"], q_group_size=each["group"], axis_key=each["axis"])
    assert found.tolist() == each["groups"]


@pytest.mark.parametrize("name", sorted(NOT_OURS))
def test_the_others_span_rows_of_the_batch(name):
    first, second = (set(torch.tensor(row).flatten().tolist()) for row in RECORDED[name]["groups"])
    assert first & second


def test_what_spoils_its_neighbour_alone_is_no_group():
    with pytest.raises(ValueError, match="does not fall into groups"):
        shared(lambda x: x + (x.roll(1).abs() > 100), (4,))
