"""The product's oracle of a quantized cache equals that of the tests, which writes all of the rounding again."""

import pytest
import torch

from minigpt.cache import make_cache
from minigpt.measure.quality.oracle import logits_reading_rounded
from minigpt.proof.oracles import uncached_reading_rounded
from minigpt.proof.situations import model, text

SETTINGS = {
    "int4 by token": {"backend": "quanto", "nbits": 4, "group_key": "token", "group_value": "token"},
    "int2, keys by channel": {"backend": "quanto", "nbits": 2, "group_key": "channel", "group_value": "token"},
    "hqq by head and tensor": {"backend": "hqq", "nbits": 4, "group_key": "head", "group_value": "tensor"},
    "fp8": {"backend": "fp8", "nbits": 8, "group_key": "tensor", "group_value": "tensor"},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("chunks", [[20, *[1] * 12], [5, 9, 1, 1, 16], [32]], ids=str)
@pytest.mark.parametrize(("window", "heads"), [("full", "GQA"), ("window with sinks", "MHA")])
@torch.no_grad()
def test_it_is_the_cache_and_the_oracle_of_the_tests(setting, chunks, window, heads):
    options = {**SETTINGS[setting], "q_group_size": 4, "residual_length": 3}
    gpt, (ids, positions) = model(window, heads), text([0, 3, 7], 32)
    cache = make_cache("quantized", gpt.config, batch_size=3, dtype=gpt.dtype, **options)
    logits = logits_reading_rounded(gpt, cache, ids, positions, chunks)
    assert cache.length == 0
    pieces = zip(ids.split(chunks, dim=1), positions.split(chunks, dim=1), strict=True)
    cached = torch.cat([gpt(*piece, cache) for piece in pieces], dim=1)
    real = positions < gpt.config.context
    for other in (cached, uncached_reading_rounded(gpt, ids, positions, chunks, options)):
        assert (logits - other)[real].abs().max() < 1e-10
    if len(chunks) > 1:
        assert (logits - gpt(ids, positions))[real].abs().max() > 1e-4, "or nothing was rounded, and nothing shown"
