"""Our rounding inside a Llama of transformers equals a cache that keeps all numbers exact, and hands out rounded ones
for the tokens that are due: the rounding is written again, in oracles.py, without the caches' code."""

import pytest
import torch
from families import TOLERANCE, generate, in_chunks, model, off, text, transformers, uncached

from minigpt.attention import NEVER
from minigpt.interop import cache_for
from minigpt.proof.oracles import rounded_for
from minigpt.proof.rounding import rounded, span

CHUNKS = [9, 1, 1, 5, 1, 1, 1, 4, 1]
OPTIONS = {
    "kivi": {"backend": "kivi", "nbits": 2, "group_key": "channel", "group_value": "token", "q_group_size": 4},
    "quanto": {"backend": "quanto", "nbits": 4, "group_key": "token", "group_value": "token", "q_group_size": 8},
    "hqq": {"backend": "hqq", "nbits": 4, "group_key": "token", "group_value": "token", "q_group_size": 4},
    "fp8": {"backend": "fp8", "nbits": 8, "group_key": "tensor", "group_value": "tensor", "q_group_size": 4},
}
RESIDUAL = 3


class Rounds(transformers.DynamicCache):
    """mask: of the whole text."""

    def __init__(self, options, mask):
        super().__init__()
        self.options, self.mask, self.history = options, mask, []

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        if layer_idx == 0:
            self.history.append(key_states.shape[2])
        kept = super().update(key_states, value_states, layer_idx)
        return tuple(map(self.read, kept, ("group_key", "group_value")))

    def read(self, x, group):
        """(B, K, T, D) as the newest chunk reads it."""
        name, size = self.options[group], self.options["q_group_size"]
        done = rounded_for(self.history, span(name, size, x.shape[-1]), RESIDUAL)[-1]
        how = name, self.options["backend"], self.options["nbits"], size
        pads = self.mask[:, : x.shape[2]] == 0
        old = rounded(x.transpose(1, 2), pads, *how).transpose(1, 2)
        return torch.cat([old[:, :, :done], x[:, :, done:]], dim=2)


def logits(theirs, cache, pads):
    ids, mask, positions = text(pads, sum(CHUNKS))
    return in_chunks(theirs, cache, ids, mask, positions, CHUNKS), mask


def equals_the_oracle(setting, pads=(0, 2, 6)):
    theirs, (_, mask, _) = model("llama"), text([*pads], sum(CHUNKS))
    got, mask = logits(theirs, cache_for(theirs, "quantized", residual_length=RESIDUAL, **OPTIONS[setting]), [*pads])
    want, _ = logits(theirs, Rounds(OPTIONS[setting], mask), [*pads])
    assert off(got, want, mask) < TOLERANCE


@pytest.mark.parametrize("setting", OPTIONS)
def test_logits_equal_those_of_rounded_numbers(setting):
    equals_the_oracle(setting)


def test_it_does_round():
    theirs, (ids, mask, positions) = model("llama"), text([0, 2, 6], sum(CHUNKS))
    got, _ = logits(theirs, cache_for(theirs, "quantized", residual_length=RESIDUAL, **OPTIONS["kivi"]), [0, 2, 6])
    assert off(got, uncached(theirs, ids, mask, positions), mask) > 0.01


def test_beams_over_rounded_tokens_are_those_of_the_oracle():
    theirs, (ids, mask, _) = model("llama"), text([0, 4], 11)
    cache = cache_for(theirs, "quantized", residual_length=RESIDUAL, **OPTIONS["kivi"])
    oracle = Rounds(OPTIONS["kivi"], torch.cat([mask, torch.ones(2, 10, dtype=torch.int64)], 1).repeat_interleave(3, 0))
    want = generate(theirs, ids, mask, cache=oracle, num_beams=3)
    assert torch.equal(generate(theirs, ids, mask, cache=cache, num_beams=3), want)
    assert not torch.equal(generate(theirs, ids, mask, use_cache=False, num_beams=3), want), "or nothing was rounded"


def test_the_cache_knows_the_padding():
    theirs, (ids, mask, positions) = model("llama"), text([0, 2, 6], 9)
    cache = cache_for(theirs, "quantized")
    in_chunks(theirs, cache, ids, mask, positions, [9])
    assert torch.equal(cache.cache.positions, positions.masked_fill(mask == 0, NEVER))
