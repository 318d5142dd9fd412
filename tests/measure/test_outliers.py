"""The injected outlier changes one key channel, and nothing that the model computes."""

import copy

import pytest
import torch
from helpers import random_gpt, random_ids
from mutants import mutate
from test_rounding import Spy

from minigpt import GPT
from minigpt.cache.quantized.formats import MinMax
from minigpt.measure.quality import outliers
from minigpt.measure.quality.outliers import scale_key_channel, scale_key_channel_everywhere
from minigpt.measure.quality.rounding import errors, heads
from minigpt.recall.corpus import held_out

HEADS = {"MHA": 4, "GQA": 2, "MQA": 1}


@pytest.fixture(params=HEADS)
def gpt(request):
    return random_gpt(n_kv_head=HEADS[request.param])


def assert_changes_one_key_channel_and_no_logit(gpt):
    ids, before = random_ids(2, 48), copy.deepcopy(gpt.state_dict())
    head = gpt.config.n_kv_head - 1
    scaled = scale_key_channel(gpt, layer=1, head=head, channel=3, factor=20.0)
    with torch.no_grad():
        assert (scaled(ids) - gpt(ids)).abs().max() < 1e-12
    for layer, ((_, k, v), (_, k2, v2)) in enumerate(zip(heads(gpt, ids), heads(scaled, ids), strict=True)):
        factors = torch.ones_like(k[0, 0])
        if layer == 1:
            factors[head, 3] = 20
        assert (k2 - k * factors).abs().max() < 1e-12
        assert (v2 - v).abs().max() < 1e-12
    assert all(torch.equal(before[name], weights) for name, weights in gpt.state_dict().items())


def test_one_key_channel_grows_and_no_logit_changes(gpt):
    assert_changes_one_key_channel_and_no_logit(gpt)


BUGS = {
    "the biases are forgotten": ("(attention.c_attn.weight, attention.c_attn.bias)", "(attention.c_attn.weight,)"),
    "only one query head of a group is divided": ("range(head * G, (head + 1) * G)", "[head * G]"),
    "the query heads are those of plain attention": ("range(head * G, (head + 1) * G)", "range(head, head + G)"),
    "the model itself is changed": ("copy.deepcopy(model)", "model"),
    "the value channel grows": ("(config.n_head + head)", "(config.n_head + config.n_kv_head + head)"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_check_notices_that(bug, monkeypatch):
    mutate(monkeypatch, outliers, "scale_key_channel", *BUGS[bug])
    monkeypatch.setitem(globals(), "scale_key_channel", outliers.scale_key_channel)
    with pytest.raises(AssertionError):
        assert_changes_one_key_channel_and_no_logit(random_gpt(n_kv_head=2))


def test_everywhere_is_in_every_key_head_of_every_layer(gpt):
    ids = random_ids(1, 48)
    scaled = scale_key_channel_everywhere(gpt, channel=3, factor=20.0)
    factors = torch.ones(8, dtype=torch.float64)
    factors[3] = 20
    spies = Spy(), Spy()
    with torch.no_grad():
        assert (scaled(ids, cache=spies[1]) - gpt(ids, cache=spies[0])).abs().max() < 1e-12
    for (k, _), (k2, _) in zip(spies[0].seen, spies[1].seen, strict=True):
        assert (k2 - k * factors).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("layer", "head", "channel", "factor", "message"),
    [
        (2, 0, 0, 2.0, "layer must lie in 0 ... 1 .*got 2"),
        (0, 2, 0, 2.0, "head must lie in 0 ... 1 .*got 2"),
        (0, -1, 0, 2.0, "head must lie"),
        (0, 0, 8, 2.0, "channel must lie in 0 ... 7 .*got 8"),
        (0, 0, 0, 0.0, "factor must be a positive number, got 0.0"),
        (0, 0, 0, float("nan"), "factor must be"),
    ],
)
def test_what_the_model_does_not_have_is_refused(layer, head, channel, factor, message):
    with pytest.raises(ValueError, match=message):
        scale_key_channel(random_gpt(n_kv_head=2), layer, head, channel, factor)


def test_an_injected_outlier_spoils_scores_by_token_and_leaves_them_by_channel():
    """On the bundled model's own keys, and on attention itself; without it the two groups are near each other."""
    model = GPT.from_pretrained("recall")
    ids = torch.from_numpy(held_out().ids[:512].astype("int64"))[None]
    found = {}
    for name, each in (("as it is", model), ("injected", scale_key_channel_everywhere(model, 5, 20.0))):
        rows = errors(each, ids, [MinMax(4)], ["token", "channel"])
        for what in ("scores", "weights", "output_of_keys"):
            for token, channel in zip(rows[::2], rows[1::2], strict=True):
                found[name, what, token.layer] = getattr(token, what), getattr(channel, what)
    for (name, what, layer), (token, channel) in found.items():
        if name == "injected":
            assert token > 3 * channel
            # By channel the outlier has a scale of its own: all is as it was without.
            assert channel == pytest.approx(found["as it is", what, layer][1], rel=0.02)
        else:
            assert token < 2 * channel
