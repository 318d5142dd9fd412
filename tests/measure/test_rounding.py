"""Rounding errors, against plain restatements: minigpt.proof rounds, Python's loops attend."""

import math

import pytest
import torch
from helpers import random_gpt, random_ids
from mutants import mutate

from minigpt.attention import attend_by_hand, sees
from minigpt.cache import NoCache
from minigpt.cache.quantized.codec import NAMES
from minigpt.cache.quantized.formats import Float8, MinMax
from minigpt.measure.quality import rounding
from minigpt.measure.quality.rounding import errors, heads
from minigpt.proof.rounding import rounded

T, BITS = 64, 2


class Spy(NoCache):
    """Writes down the keys and values of each layer."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def update(self, k, v, layer):
        self.seen.append((k, v))
        return super().update(k, v, layer)


@pytest.fixture(scope="module", params=["MHA", "GQA"])
def gpt(request):
    """Two layers; two channels a head, so that groups by token reach over several tokens."""
    heads = {"MHA": 2, "GQA": 1}[request.param]
    return random_gpt(context=T, n_head=2, n_kv_head=heads, n_embd=4)


def frobenius(rounded, exact):
    total = lambda numbers: math.fsum(x * x for x in numbers.flatten().tolist())  # noqa: E731
    return math.sqrt(total(rounded - exact) / total(exact))


def test_heads_are_what_a_cache_is_given_and_the_queries_that_go_with_it(gpt):
    ids, spy = random_ids(2, T), Spy()
    with torch.no_grad():
        gpt(ids, cache=spy)
        x = gpt.wte.weight[ids] + gpt.wpe.weight[:T]
        attn, norm = gpt.h[0].attn.c_attn, gpt.h[0].ln_1
        y = torch.nn.functional.layer_norm(x, (4,), norm.weight, norm.bias, 1e-5)
        queries = (y @ attn.weight.T + attn.bias)[..., :4].view(2, T, 2, 2)
    found = heads(gpt, ids)
    assert len(found) == len(spy.seen) == 2
    for (_, k, v), (seen_k, seen_v) in zip(found, spy.seen, strict=True):
        assert torch.equal(k, seen_k)
        assert torch.equal(v, seen_v)
    assert (found[0][0] - queries).abs().max() < 1e-12


@pytest.mark.parametrize("group", NAMES)
def test_every_error_is_that_of_a_plain_restatement(gpt, group):
    assert_errors(gpt, group)


def assert_errors(gpt, group):
    ids = random_ids(1, T)
    positions = torch.arange(T)[None]
    mask, no_pads = sees(positions, positions), torch.zeros(1, T, dtype=torch.bool)
    K, G = gpt.config.n_kv_head, 2 // gpt.config.n_kv_head
    for (q, k, v), got in zip(heads(gpt, ids), errors(gpt, ids, [MinMax(BITS)], [group]), strict=True):
        k2, v2 = (rounded(each, no_pads, group, "quanto", BITS, 64) for each in (k, v))
        output = attend_by_hand(q, k, v, mask)
        missed, weights, weights2 = [], [], []
        for h in range(2):
            for t in range(T):
                row, row2 = (
                    [float(q[0, t, h] @ keys[0, s, h // G]) / math.sqrt(2) for s in range(t + 1)] for keys in (k, k2)
                )
                missed += [(a - b) ** 2 for a, b in zip(row, row2, strict=True)]
                weights += [math.exp(score) / sum(map(math.exp, row)) for score in row]
                weights2 += [math.exp(score) / sum(map(math.exp, row2)) for score in row2]
        assert got.group == group
        assert got.bits == BITS
        assert got.keys == pytest.approx(frobenius(k2, k))
        assert got.values == pytest.approx(frobenius(v2, v))
        assert got.scores == pytest.approx(math.sqrt(math.fsum(missed) / len(missed)))
        assert got.weights == pytest.approx(frobenius(torch.tensor(weights2), torch.tensor(weights)), rel=1e-5)
        assert got.output_of_keys == pytest.approx(frobenius(attend_by_hand(q, k2, v, mask), output))
        assert got.output_of_values == pytest.approx(frobenius(attend_by_hand(q, k, v2, mask), output))
    assert K * G == 2


BUGS = {
    "the future is counted among the scores": ("[mask.expand_as(exact)]", ""),
    "the values are rounded in the output of keys": ("mix(weights2, v), output", "mix(weights2, v2), output"),
    "the output of values has the keys rounded too": ("mix(weights, v2)", "mix(weights2, v2)"),
    "the error of the keys is reported for the values": ("relative(v2, v)", "relative(k2, k)"),
    "the group is always the first": ("group_shape(name,", "group_shape(NAMES[0],"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_restatement_notices_that(bug, monkeypatch):
    gpt = random_gpt(context=T, n_head=2, n_kv_head=1, n_embd=4)
    mutate(monkeypatch, rounding, "errors", *BUGS[bug])
    monkeypatch.setitem(globals(), "errors", rounding.errors)
    with pytest.raises(AssertionError):
        assert_errors(gpt, "channel")


def test_rows_come_by_layer_then_bits_then_group(gpt):
    found = errors(gpt, random_ids(1, T), [MinMax(4), Float8()], ["head", "tensor"])
    assert [(each.layer, each.bits, each.group) for each in found] == [
        (layer, bits, group) for layer in (0, 1) for bits in (4, 8) for group in ("head", "tensor")
    ]


def test_tokens_that_fill_no_group_are_refused(gpt):
    with pytest.raises(ValueError, match="63 tokens don't fill whole groups of 64"):
        errors(gpt, random_ids(1, 63))
