"""Which numbers share a scale: what `explain` says is put to the test by changing a number and watching the others."""

import pytest
import torch
from requantize import RequantizedCache

from minigpt.cache import QuantizedCache
from minigpt.config import GPTConfig

B, T, K, D = 2, 16, 4, 8
CONFIG = GPTConfig(vocab_size=9, context=99, n_layer=1, n_head=K, n_embd=K * D)
SETTINGS = {
    **{name: {"group_key": name, "q_group_size": 8} for name in ("token", "channel", "head", "tensor")},
    "two tokens": {"group_key": "token", "q_group_size": 16},
    "quanto axis 0": {"axis_key": 0, "q_group_size": 8},
    "quanto axis -1": {"axis_key": -1, "q_group_size": 8},
    "hqq axis 0": {"backend": "hqq", "axis_key": 0, "q_group_size": 8},  # as the library does: ours refuses it
    "hqq axis 1": {"backend": "hqq", "axis_key": 1, "q_group_size": 8},
}
SAYS = {
    "token": "8 numbers share .*1 row (0) x 1 token (0) x 1 head (0) x 8 channels (0-7)",
    "channel": "8 numbers share .*1 row (0) x 8 tokens (0-7) x 1 head (0) x 1 channel (0)",
    "head": "64 numbers share .*1 row (0) x 8 tokens (0-7) x 1 head (0) x 8 channels (0-7)",
    "tensor": "256 numbers share .*1 row (0) x 8 tokens (0-7) x 4 heads (0-3) x 8 channels (0-7)",
    "two tokens": "16 numbers share .*1 row (0) x 2 tokens (0-1) x 1 head (0) x 8 channels (0-7)",
    "quanto axis 0": "8 numbers share .*1 row (0) x 1 token (0) x 1 head (0) x 8 channels (0-7)",
    "quanto axis -1": "8 numbers share .*1 row (0) x 8 tokens (0-7) x 1 head (0) x 1 channel (0)",
    "hqq axis 0": "8 numbers share .*2 rows (0-1) x 1 token (0) x 4 heads (0-3) x 1 channel (0)",
    "hqq axis 1": "8 numbers share .*1 row (0) x 1 token (0) x 1 head (0) x 8 channels (0-7)",
}


def cache_of(setting):
    kind = RequantizedCache if setting == "hqq axis 0" else QuantizedCache
    return kind(CONFIG, batch_size=B, residual_length=0, dtype=torch.float64, **SETTINGS[setting])


@pytest.mark.parametrize("setting", SETTINGS)
def test_it_says_it_in_words(setting):
    text = cache_of(setting).explain((B, T, K, D))["keys"].text
    for part in SAYS[setting].split(".*"):
        assert part in text


def read_back(setting, x):
    """The keys as the next chunk reads them."""
    cache = cache_of(setting)
    for start, new in [(0, x), (T, x[:, :1])]:
        cache.admit(torch.arange(start, start + new.shape[1]).expand(B, -1))
        keys, *_ = cache.update(new, new, 0)
    return keys[:, :T]


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_number_that_is_changed_changes_its_own_group_and_no_other(setting):
    """Through the cache itself. (hqq's own ends its rounds by the error of all numbers, and may move any.)"""
    x = torch.randn(B, T, K, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    groups = cache_of(setting).explain((B, T, K, D))["keys"].groups
    before = read_back(setting, x)
    for b, t, h, d in [(0, 0, 0, 0), (0, 5, 3, 2), (1, 9, 0, 7), (1, 15, 3, 7)]:
        changed = x.clone()
        changed[b, t, h, d] = 20.0
        moved = (read_back(setting, changed) - before).abs()
        mine = groups == groups[b, t, h, d]
        assert (moved[mine] > 0.05).sum() > mine.sum() / 2
        assert moved[~mine].max() < (0.2 if setting == "hqq axis 0" else 1e-12)


def test_axis_1_of_hqq_is_no_scale_for_each_head():
    """It is often said to be. A head's numbers have as many scales as it has tokens; `head` gives them one."""
    axis_1, head = (
        cache_of(setting).explain((B, T, K, D))["keys"].groups[0, :8, 0] for setting in ("hqq axis 1", "head")
    )
    assert (len(axis_1.unique()), len(head.unique())) == (8, 1)


def test_tokens_that_do_not_fill_a_group_wait():
    explanation = cache_of("channel").explain((B, 19, K, D))["keys"]
    assert (explanation.groups[:, 16:] == -1).all()
    assert (explanation.groups[:, :16] >= 0).all()
    assert cache_of("channel").explain((B, 7, K, D))["keys"].text == "7 tokens don't fill a group of 8: all are exact"
    with pytest.raises(ValueError, match=r"keys and values are \(B, T, 4, 8\), got \(2, 16, 8, 4\)"):
        cache_of("channel").explain((B, T, D, K))
