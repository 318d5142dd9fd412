"""Each cache of ours inside models of ten families of transformers: their own uncached run says what is right."""

from functools import cache as remember

import pytest
import torch
from families import FAMILIES, TOLERANCE, generate, in_chunks, model, off, text, uncached

from minigpt.cache import CACHES
from minigpt.interop import cache_for, config_of

EXACT = [name for name, kind in CACHES.items() if name != "none" and not kind.lossy]
WINDOWED = [family for family, sizes in FAMILIES.items() if sizes.get("sliding_window")]
PAIRS = [(family, name) for family in FAMILIES for name in EXACT if family in WINDOWED or not CACHES[name].needs_window]
CHUNKS = [5, 1, 3, 6, 1, 1, 1, 4]


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_logits_in_chunks_with_left_padding_equal_the_uncached_run(family, name):
    theirs, (ids, mask, positions) = model(family), text([0, 2, 7], sum(CHUNKS))
    cache = cache_for(theirs, name)
    got = in_chunks(theirs, cache, ids, mask, positions, CHUNKS)
    assert off(got, uncached(theirs, ids, mask, positions), mask) < TOLERANCE
    assert cache.get_seq_length() == cache.cache.length == sum(CHUNKS)
    assert torch.equal(cache.cache.ids, ids)


@remember
def greedy(family):
    return generate(model(family), *text([0, 3, 5], 11)[:2], use_cache=False)


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_greedy_text_of_a_left_padded_batch_is_that_without_a_cache(family, name):
    theirs, (ids, mask, _) = model(family), text([0, 3, 5], 11)
    want = greedy(family)
    assert want[:, 11:].unique().numel() > 5, "a text of one token would prove little"
    chunk = {"prefill_chunk_size": 4} if name == "sliding_window" else {}
    assert torch.equal(generate(theirs, ids, mask, cache=cache_for(theirs, name), **chunk), want)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_model_keeps_is_seen_in_a_pass(family):
    config, sizes = config_of(model(family)), FAMILIES[family]
    kinds = sizes.get("layer_types", ["sliding_attention"] * 2)
    windows = tuple(sizes.get("sliding_window") if kind == "sliding_attention" else None for kind in kinds)
    heads, size = 4 if family == "gpt2" else 2, sizes.get("head_dim", 8)
    assert (config.n_layer, config.n_kv_head, config.head_size, config.windows) == (2, heads, size, windows)


@pytest.mark.parametrize("family", ["llama", "mistral", "olmo3"])
def test_the_same_with_attention_written_out(family):
    """transformers then takes the softmax in float32, whatever the model's dtype."""
    theirs, (ids, mask, positions) = model(family, "eager"), text([0, 0, 0], sum(CHUNKS))
    for name in ("dynamic", "static", *(["sliding_window"] if family in WINDOWED else [])):
        got = in_chunks(theirs, cache_for(theirs, name), ids, mask, positions, CHUNKS)
        assert off(got, uncached(theirs, ids, mask, positions), mask) < 16 * torch.finfo(torch.float32).eps, name
