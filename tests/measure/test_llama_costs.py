"""What a Llama computes, keeps and moves is what the closed forms say; and what is measured of a model, of it too."""

import dataclasses

import pytest
import situations
import torch
from helpers import random_ids, spread
from llamas import FAMILIES, ours
from situations import OPTIONS, Situation, by_form, bytes_of, counted

from minigpt.cache import CACHES, make_cache
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.measure.counted.flops import flops_of_shapes
from minigpt.measure.counted.trace import trace
from minigpt.measure.forms.flops import flops, prefill_flops
from minigpt.measure.forms.generation import kv_costs
from minigpt.measure.forms.weights import weights
from minigpt.measure.quality.compare import compare
from minigpt.measure.quality.outliers import scale_key_channel
from minigpt.measure.quality.rounding import errors, heads

SIZES = {"vocab_size": 11, "context": 24, "n_layer": 3, "n_head": 4, "n_kv_head": 2, "n_embd": 16, "n_inner": 20}
EVERYTHING = {"qkv_bias": True, "o_bias": True, "mlp_bias": True, "qk_norm": True, "tied_head": True}
WINDOWS = {"window": [4, None, 6], "sinks": 2}
ROOM = {name: {"max_cache_len": 48} for name in CACHES if "static" in name}


@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("its_own", [{}, {"head_size": 8, **EVERYTHING}], ids=["llama", "with everything"])
def test_what_is_counted_is_what_the_closed_forms_say(name, its_own, monkeypatch):
    monkeypatch.setattr(situations, "GPT", Llama)
    windows = WINDOWS if CACHES[name].needs_window else {}
    chunk = None if name == "none" else 3
    this = Situation(
        name,
        LlamaConfig(**SIZES, **its_own, **windows),
        prompt=7,
        batch=2,
        prefill_chunk_size=chunk,
        options=OPTIONS.get(name, ()),
    )
    assert counted(this) == by_form(this)


@pytest.mark.parametrize("name", CACHES)
def test_streaming_keeps_and_moves_what_a_window_does(name):
    """For twice the context."""
    window = LlamaConfig(**SIZES | {"context": 64}, window=6, sinks=2)
    streaming = dataclasses.replace(window, streaming=True, context=24)
    model, options = spread(Llama(streaming).double(), seed=0), dict(OPTIONS.get(name, ())) | ROOM.get(name, {})
    passes = trace(model, random_ids(2, 5, vocab_size=11), 44, name, **options).passes
    for config in (streaming, window):
        costs = kv_costs(name, config, 5, 44, itemsize=8, batch=2, **options)
        assert [bytes_of(each) for each in passes] == [dataclasses.asdict(each) for each in costs]


@pytest.mark.parametrize(
    ("name", "twice"),
    [("none", [1] * 9), ("dynamic", [1, 0, 0, 0, 0, 1, 1, 1, 1]), ("static", [1] * 9), ("sliding_window", [1] * 9)],
)
def test_streaming_attention_is_twice_as_wide_unless_the_cache_knows_that_every_slot_is_seen(name, twice):
    """Which steps these are depends on cache, padding and length: so FLOPs have no closed form."""
    window, options = LlamaConfig(**SIZES, window=6, sinks=2), ROOM.get(name, {})
    streaming, counts = dataclasses.replace(window, streaming=True), []
    for config in (window, streaming):
        passes = trace(Llama(config), random_ids(1, 2, vocab_size=11), 9, name, **options).passes
        counts.append([each.flops for each in passes])
    apart = [other.attention // one.attention - 1 for one, other in zip(*counts, strict=True)]
    assert apart == twice
    for one, other, more in zip(*counts, twice, strict=True):
        assert other == dataclasses.replace(one, attention=(1 + more) * one.attention)
    with pytest.raises(ValueError, match="no closed form says the FLOPs of streaming: its attention is twice as wide"):
        prefill_flops(streaming, 5, attention="dense", logits="last")


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_are_multiplied_are_the_matrices_of_the_model(family):
    model = ours(family)
    matrices = sum(each.numel() for name, each in model.named_parameters() if each.ndim == 2 and "embed" not in name)
    config = model.config
    assert weights(config) == matrices + config.tied_head * config.vocab_size * config.n_embd
    assert flops_of_shapes(config, 5, 9, 2, rows=3) == flops(config, 3 * 5, 3 * 5 * 9 * config.n_layer, 3 * 2)


def test_each_cache_equals_its_oracle_in_compare():
    model = spread(Llama(LlamaConfig(**SIZES | {"context": 200}, qk_norm=True, head_size=8)).double(), seed=1)
    lines, _ = compare(model, random_ids(1, 120, vocab_size=11), 20, list(CACHES), seed=None)
    assert {line.cache: line.tokens_equal for line in lines} == dict.fromkeys(CACHES, True)
    rounds = next(line for line in lines if line.cache == "quantized")
    assert rounds.largest_logit_difference < 1e-5 < rounds.exact_logit_difference  # norms are rounded to float32


@torch.no_grad()
def test_heads_are_what_the_cache_is_given():
    config = LlamaConfig(**SIZES | {"context": 64}, qk_norm=True, head_size=8)
    model, ids = spread(Llama(config).double(), seed=2), random_ids(1, 64, vocab_size=11)
    cache = make_cache("dynamic", config, dtype=torch.float64)
    model(ids, cache=cache)
    for layer, (q, k, v) in enumerate(heads(model, ids)):
        assert torch.equal(k, cache.tensors(layer)[0][:, :64])
        assert torch.equal(v, cache.tensors(layer)[1][:, :64])
        assert q.shape == (1, 64, config.n_head, config.head_size)
    assert "qkv" not in vars(model.layers[0].self_attn), "the model itself was left alone"
    rounded = {each.bits: each.keys for each in errors(model, ids, groups=["token"]) if each.layer == 0}
    assert rounded[2] > rounded[4] > rounded[8] > 0


def test_a_channel_of_a_llama_is_not_scaled_alone():
    with pytest.raises(ValueError, match=r"a Llama turns channels in pairs"):
        scale_key_channel(ours("llama"), 0, 0, 0, 20.0)
