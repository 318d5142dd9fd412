"""Bytes of real models, right to the byte: published figures, real caches, and transformers' own reading of configs."""

import contextlib
import functools
import itertools
import json
import math
import os
from dataclasses import replace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import mutate

from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.measure.counted.peak import Peak
from minigpt.measure.forms import caches, memory, quantized
from minigpt.measure.forms.architecture import Architecture, architecture_of
from minigpt.measure.forms.config_json import MOST_LAYERS, Config, read
from minigpt.measure.forms.config_types import NOT_COUNTED
from minigpt.measure.forms.forward_pass import ForwardPass
from minigpt.measure.forms.real_models import MODELS, MOST_BYTES, NAMES, content, load

GIB, MIB = 2**30, 2**20
CONFIGS = {path.stem: content(path) for path in MODELS.glob("*.json")}

# Layers, key/value heads, their size, bytes of a token in 16 bits; the window, and bytes that a token adds past it.
FACTS = {
    "gpt2": (12, 12, 64, 36_864, None, 36_864),
    "gpt2-xl": (48, 25, 64, 307_200, None, 307_200),
    "llama-3-8b": (32, 8, 128, 131_072, None, 131_072),
    "llama-3-70b": (80, 8, 128, 327_680, None, 327_680),
    "mistral-7b": (32, 8, 128, 131_072, 4096, 0),
    "qwen3-0.6b": (28, 8, 128, 114_688, None, 114_688),
    "qwen3-8b": (36, 8, 128, 147_456, None, 147_456),
    "qwen3-32b": (64, 8, 128, 262_144, None, 262_144),
    "gemma-3-4b": (34, 4, 256, 139_264, 1024, 20_480),
    "gemma-3-27b": (62, 16, 128, 507_904, 1024, 81_920),
    "gpt-oss-120b": (36, 8, 64, 73_728, 128, 36_864),
}


def windowed(model, tokens):
    return memory.held("sliding_window", model, tokens).nbytes


def check_the_published_figures():
    for name, (layers, heads, size, token, window, past) in FACTS.items():
        model = load(name)
        assert model.kept == {"keys": (heads, size), "values": (heads, size)}, name
        assert len(model.windows) == layers, name
        assert memory.nbytes(model, 1) == token, name
        assert memory.nbytes(model, 1000, batch=3) == 3000 * token, name
        assert memory.growth(model) == past, name
        if window:
            steps = [windowed(model, window + 1 + step) for step in (-2, -1, 0, 1)]
            assert steps[0] == (window - 1) * token, name
            assert steps[1] == window * token, name
            assert steps[2:] == [steps[1] + past, steps[1] + 2 * past], name


def check_mistral_stops_at_512_mib():
    mistral = load("mistral-7b")
    assert windowed(mistral, 4096) == windowed(mistral, 32_768) == 512 * MIB


def check_deepseek_keeps_a_latent():
    model = load("deepseek-v3")
    assert memory.nbytes(model, 1) == 70_272 == 61 * (512 + 64) * 2
    assert [plan.cache for plan in memory.plans(model)].count("sliding_window") == 0


SHAPES = [
    {"n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 256},  # heads of 64
    {"n_layer": 1, "n_head": 4, "n_kv_head": 4, "n_embd": 128},  # of 32: groups of 32
    {"n_layer": 3, "n_head": 4, "n_kv_head": 1, "n_embd": 384},  # of 96: groups of 32
    {"n_layer": 2, "n_head": 2, "n_kv_head": 1, "n_embd": 256},  # of 128: two groups
]
TOKENS = 1, 2, 5, 6, 129, 130, 131
WINDOW = 5


def as_config(shape):
    return {
        "model_type": "mistral",
        "hidden_size": shape["n_embd"],
        "num_attention_heads": shape["n_head"],
        "num_hidden_layers": shape["n_layer"],
        "num_key_value_heads": shape["n_kv_head"],
        "sliding_window": WINDOW,
    }


def filled(name, config, tokens, batch, prompt, watch=None, **options):
    """A real cache in 16 bits that holds so many tokens: a prompt, then one after the other."""
    watch = watch or contextlib.nullcontext()
    with watch:
        cache = make_cache(name, config, batch_size=batch, dtype=torch.bfloat16, **options)
    start, most = 0, cache.largest_chunk or max(prompt, 1)
    for end in [*range(most, prompt, most), *([prompt] if prompt else []), *range(prompt + 1, tokens + 1)]:
        rows = torch.ones(batch, end - start, config.n_kv_head, config.head_size, dtype=torch.bfloat16)
        cache.admit(torch.arange(start, end).expand(batch, -1))
        for layer in range(config.n_layer):
            with watch:
                cache.update(rows, rows, layer)
        start = end
    return cache


@functools.cache  # the mutants don't change it
def really_held() -> list:
    """(shape, tokens, cache, bits, bytes here, bytes below) of real caches of two rows."""
    held = []
    for shape, tokens in itertools.product(SHAPES, TOKENS):
        config = GPTConfig(vocab_size=9, context=256, window=WINDOW, **shape)
        group = math.gcd(64, config.head_size)  # what the head's size allows of 64
        slots = {"max_cache_len": tokens}
        makes = [("concat", {}), ("dynamic", {}), ("static", slots), ("offloaded", {}), ("offloaded_static", slots)]
        makes += [("quantized", {"nbits": bits, "q_group_size": group}) for bits in (8, 4, 2, 1)]
        makes += [("quantized_static", {"nbits": bits, "q_group_size": group, **slots}) for bits in (8, 4, 2, 1)]
        makes += [("sliding_window", {"chunk": 1})] * (
            tokens in (WINDOW, WINDOW + 1)
        )  # it has its slots from the start
        for name, options in makes:
            cache = filled(name, config, tokens, 2, 0 if name == "sliding_window" else tokens - 1, **options)
            here = getattr(cache, "resident_nbytes", cache.nbytes)
            below = cache.nbytes if name.startswith("offloaded") else 0
            held.append((shape, tokens, name, options.get("nbits", 16), here, below))
    return held


def check_real_caches_hold_as_much():
    for shape, tokens, name, bits, here, below in really_held():
        plans = memory.plans(read(as_config(shape), "a test"), batch=2)
        (plan,) = [plan for plan in plans if (plan.cache, plan.bits) == (name, bits)]
        assert (plan.here(tokens), plan.below(tokens)) == (here, below), (shape, tokens, name, bits)


WIDE = {"vocab_size": 9, "context": 256, "n_layer": 4, "n_head": 2, "n_embd": 128}


@functools.cache
def really_held_at_the_peak() -> list:
    """(config, tokens, cache, bytes held in the end, most bytes held at once), every release counted."""
    held = []
    for window, name, tokens in [
        *itertools.product([None], ["concat", "dynamic", "static"], TOKENS),
        *itertools.product([[WINDOW, None, WINDOW, None], WINDOW], ["sliding_window"], [WINDOW + 1, 12]),
    ]:
        config, peak = GPTConfig(window=window, **WIDE), Peak()
        options = {"static": {"max_cache_len": tokens}, "sliding_window": {"chunk": 1}}.get(name, {})
        cache = filled(name, config, tokens, 2, 0 if window else tokens - 1, peak, **options)
        held.append((config, tokens, name, cache.nbytes, peak.most))
    return held


def check_real_caches_hold_as_much_at_their_peak():
    for config, tokens, name, nbytes, most in really_held_at_the_peak():
        (plan,) = [plan for plan in memory.plans(architecture_of(config), batch=2) if plan.cache == name]
        assert (plan.here(tokens), plan.peak(tokens)) == (nbytes, most), (config.window, name, tokens)


TYPES = {
    "gpt2": transformers.GPT2Config,
    "llama": transformers.LlamaConfig,
    "mistral": transformers.MistralConfig,
    "qwen3": transformers.Qwen3Config,
    "gemma3": transformers.Gemma3Config,
    "deepseek_v3": transformers.DeepseekV3Config,
    "gpt_oss": transformers.GptOssConfig,
}


def check_transformers_reads_the_built_in_configs_alike():
    for name, keys in CONFIGS.items():
        config = TYPES[keys["model_type"]](**keys)
        text = config.get_text_config()
        model = load(name)
        assert model == read(config.to_dict(), name), name
        assert model.windows == windows(text), name
        assert model.context == text.max_position_embeddings, name
        if keys["model_type"] != "deepseek_v3":
            heads = getattr(text, "num_key_value_heads", text.num_attention_heads)
            size = getattr(text, "head_dim", text.hidden_size // text.num_attention_heads)
            assert model.kept == {"keys": (heads, size), "values": (heads, size)}, name


def windows(config):
    """The window of each layer, in the cache that transformers itself would make."""
    layers = transformers.DynamicCache(config=config).layers
    return tuple(getattr(layer, "sliding_window", None) for layer in layers) or (None,) * config.num_hidden_layers


OTHERS = [
    transformers.GPT2Config(n_head=6),
    transformers.GPTNeoXConfig(),
    transformers.GPTJConfig(),
    transformers.OPTConfig(),
    transformers.PhiConfig(),
    transformers.LlamaConfig(num_key_value_heads=4),
    transformers.MistralConfig(sliding_window=None),
    transformers.MixtralConfig(sliding_window=77),
    transformers.Qwen2Config(use_sliding_window=True, sliding_window=99, max_window_layers=20),
    transformers.Qwen2Config(sliding_window=99),
    transformers.Qwen3Config(use_sliding_window=True, sliding_window=99, max_window_layers=7),
    transformers.Gemma2Config(),
    transformers.Gemma3TextConfig(),
    transformers.Cohere2Config(),
    transformers.Phi3Config(sliding_window=2047),
    transformers.Starcoder2Config(sliding_window=50),
    transformers.GptOssConfig(),
    transformers.GPTBigCodeConfig(bos_token_id=None, eos_token_id=None),
]


def check_transformers_reads_other_types_alike():
    """With the list of layers, and without it, as older files are."""
    for config in OTHERS:
        keys = config.to_dict()
        assert read(keys, "with layer_types").windows == windows(config), config
        keys.pop("layer_types", None)
        assert read(keys, "without").windows == windows(config), config


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_counts_right(check):
    check()


MUTANTS = {
    "key heads are taken for granted": (Config, "kv_heads", "null and not", "null or not"),
    "the values are forgotten": (Config, "kept", ', "values": (kv_heads, self.value_size(size))', ""),
    "head_dim is ignored": (Config, "head_size", 'if self.has("head_dim")', "if False"),
    "the rotary key is forgotten": (Config, "kept", ', "rotary key": (1, self.number("qk_rope_head_dim"))', ""),
    "a number has one byte": (ForwardPass, "layer", " * self.itemsize", ""),
    "the batch is forgotten": (ForwardPass, "layer", "self.batch * ", ""),
    "the window is ignored": (caches, "rings", "None if window is None else window + slack", "None"),
    "the window is one too wide": (caches, "rings", "window + slack", "window + 1 + slack"),
    "a ring has its slots before they are needed": (memory, "held", "window and min(window, tokens)", "window"),
    "a quantized cache has no residual": (quantized, "quantized", "past - residual_length", "past"),
    "the new token is rounded": (quantized, "quantized", "past - residual_length", "past + 1 - residual_length"),
    "a group has no offset": (quantized, "kinds", "sharing * parameters", "sharing"),
    "bits are bytes": (quantized, "code_nbytes", "return numbers * bits // 8", "return numbers * bits"),
    "the old layer goes before the new one comes": (memory.Plan, "peak", "cost.resident + (", "cost.resident + 0 * ("),
    "the new token is there twice": (memory.Plan, "peak", "tokens - 1", "tokens"),
    "a ring is copied": (memory.Plan, "peak", " and cost.copied > 0", ""),
    "dynamic is a token short": (memory, "held", "max(1, tokens - 1)", "max(1, tokens - 2)"),
    "one layer is here": (caches, "in_slower_memory", "min(2,", "min(1,"),
}  # fmt: skip


@pytest.mark.parametrize("bug", MUTANTS)
def test_a_check_notices_that(bug, monkeypatch):
    owner, name, *_ = MUTANTS[bug]
    original = getattr(owner, name)
    mutate(monkeypatch, *MUTANTS[bug])
    for cache, form in caches.FORMS.items():
        if form.cost is original:
            monkeypatch.setitem(caches.FORMS, cache, replace(form, cost=getattr(owner, name)))
    assert any(map(fails, CHECKS)), f"nothing noticed that {bug}"


def fails(check):
    try:
        check()
    except (AssertionError, ValueError):
        return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([*CONFIGS, "recall"]), nbytes=st.integers(1, 2**50), batch=st.integers(1, 9), data=st.data()
)
def test_the_longest_context_fits_and_one_token_more_does_not(name, nbytes, batch, data):
    plan = data.draw(st.sampled_from(memory.plans(load(name), batch)))
    tokens = memory.longest(plan.peak, nbytes)
    if tokens is None:
        assert name == "mistral-7b"
        assert plan.peak(10**15) <= nbytes
        return
    assert tokens == 0 or plan.peak(tokens) <= nbytes
    assert plan.peak(tokens + 1) > nbytes


def test_24_gib_hold_196_608_tokens_of_llama_3_8b_and_a_byte_less_does_not():
    here = memory.plans(load("llama-3-8b"))[0].here
    assert memory.longest(here, 24 * GIB) == 24 * GIB // 131_072 == 196_608
    assert memory.longest(here, 24 * GIB - 1) == 196_607
    assert memory.longest(here, 131_071) == 0


def test_the_longest_context_fits_at_its_peak_too():
    lines = memory.summary(load("llama-3-8b"), 8192, 1, (4,), 8 * GIB)["caches"]
    longest = {line["cache"]: line["longest_context"] for line in lines}
    token, layer = 131_072, 131_072 // 32  # bytes of a token in all layers, and in the one that is there twice
    assert longest["static"] == 8 * GIB // token == 65_536
    assert longest["concat"] == (8 * GIB + layer) // (token + layer) == 63_550
    assert longest["dynamic"] == 8 * GIB // (2 * token + layer) + 1 == 32_264


def test_a_model_that_sees_all_through_windows_has_no_longest_context():
    here = {plan.cache: plan.here for plan in memory.plans(load("mistral-7b"))}
    assert memory.longest(here["sliding_window"], 512 * MIB) is None
    assert memory.longest(here["sliding_window"], 512 * MIB - 1) == 4095


@pytest.mark.parametrize("arguments", [(0, 1), (5, 0), (-1, 1)])
def test_no_tokens_and_no_rows_are_refused(arguments):
    with pytest.raises(ValueError, match="1 or more"):
        memory.nbytes(load("gpt2"), *arguments)


def test_bits_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="bits must be 8, 4, 2 or 1, got 3"):
        memory.held("quantized", load("gpt2"), 9, nbits=3)
    with pytest.raises(ValueError, match="4 codes of 1 bits don't fill whole bytes"):
        memory.held("quantized", Architecture(dict.fromkeys(("keys", "values"), (1, 4)), (None,), None), 9, nbits=1)


GOOD = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 99,
}
BAD = {
    "no layers": ({"num_hidden_layers": None}, "the config has no num_hidden_layers: add it"),
    "no heads": ({"num_attention_heads": None}, "the config has no num_attention_heads: add it"),
    "no width": ({"hidden_size": None}, "the config has no hidden_size: add it"),
    "a width that can't be split": ({"hidden_size": 66}, "66 can't be split into 4 heads .* needs a head_dim"),
    "half a head": ({"num_key_value_heads": 0.5}, "num_key_value_heads must be a whole number, 1 or more, got 0.5"),
    "no head": ({"num_key_value_heads": 0}, "num_key_value_heads must be a whole number, 1 or more, got 0"),
    "a yes": ({"num_hidden_layers": True}, "num_hidden_layers must be a whole number, 1 or more, got True"),
    "words": ({"head_dim": "64"}, "head_dim must be a whole number, 1 or more, got '64'"),
    "a list": ({"num_key_value_heads": [2, 4]}, r"num_key_value_heads must be .* got \[2, 4\]"),
    "heads that can't be shared": ({"num_key_value_heads": 3}, "4 query heads can't share 3 key heads equally"),
    "two numbers of layers": ({"n_layer": 3}, "n_layer 3 contradicts num_hidden_layers 2: leave one of them out"),
    "attention without a list": ({"attention_types": [3]}, r"attention_types must be like .* got \[3\]"),
    "attention of another kind": (
        {"attn_config": {"attn_type": "grouped_query_attention"}},
        "must have multihead_attent",
    ),
    "an attn_config that is a list": ({"attn_config": [1]}, r"attn_config must have multihead_attention .* got \[1\]"),
    "a latent without its rotary key": ({"kv_lora_rank": 32}, "the config has no qk_rope_head_dim"),
    "windows of no width": ({"layer_types": ["sliding_attention"] * 2}, "the config has no sliding_window"),
    "linear attention": ({"layer_types": ["full_attention", "linear_attention"]}, "layer_types has 'linear_attention'"),
    "a layer too few": ({"layer_types": ["full_attention"]}, "layer_types must name 2 layers, .* got 1"),
    "layers without end": (
        {"attention_types": [[["global"], 10**14]]},
        "attention_types must name 2 layers, .* got 10",
    ),
    "windows from where": (
        {"sliding_window": 9, "use_sliding_window": True},
        "has a sliding_window, but no layer_types",
    ),
    "windows in which layers": ({"sliding_window": 9}, "has a sliding_window, but no layer_types"),
    "a pattern in letters": ({"sliding_window": 9, "sliding_window_pattern": "LLLG"}, "pattern must be a whole number"),
    "an encoder": ({"is_encoder_decoder": True}, "is_encoder_decoder True means keys and values of an encoder"),
    "layers that share": ({"num_kv_shared_layers": 1}, "num_kv_shared_layers 1 means layers that share"),
    "blocks of a state": ({"block_types": ["recurrent"]}, "block_types .* means a state beside keys and values"),
    "a type that is a list": ({"model_type": []}, r"model_type '\[\]' is not known here"),
    "no object": ({"text_config": "gemma"}, "must be a JSON object"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_config_that_can_not_be_read_is_refused_with_its_key(what, tmp_path):
    change, message = BAD[what]
    (tmp_path / "config.json").write_text(json.dumps(GOOD | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        load(str(tmp_path))
    assert str(tmp_path / "config.json") in str(refusal.value)


def test_key_heads_that_are_not_told_are_those_of_the_queries_only_where_the_type_says_so():
    keys = {key: value for key, value in GOOD.items() if key != "num_key_value_heads"}
    with pytest.raises(ValueError, match="the config has no num_key_value_heads"):
        read(keys, "a test")
    assert read({**keys, "model_type": "llama"}, "a test").kept["keys"] == (4, 16)
    assert read({**keys, "num_key_value_heads": None}, "a test").kept["keys"] == (4, 16)


HYBRID = "a state beside keys and values, or instead of them in some layers"
UNEQUAL = "layers of different sizes"
# Keys of a file, and who has them, of which each means that something else is kept.
TELLING = {
    "add_cross_attention": (True, "gpt2 as a decoder beside an encoder", "keys and values of an encoder beside"),
    "attention_chunk_size": (8192, "llama4_text", "layers that see only their own chunk"),
    "attn_layer_period": (8, "jamba", HYBRID),
    "attn_type_list": ([0, 1], "MiniMax-Text-01", HYBRID),
    "block_configs": ([{"attention": {"n_heads_in_group": 8}}], "Llama-3_1-Nemotron-51B", UNEQUAL),
    "block_types": (["recurrent", "attention"], "recurrent_gemma", HYBRID),
    "cross_attention_layers": ([3, 8], "mllama_text_model", "keys and values of images"),
    "full_attention_interval": (4, "qwen3_next", HYBRID),
    "global_head_dim": (512, "gemma4_text", UNEQUAL),
    "hybrid_override_pattern": ("M-M*", "nemotron_h", HYBRID),
    "index_head_dim": (128, "deepseek_v32", "an index beside the keys"),
    "is_encoder_decoder": (True, "t5", "keys and values of an encoder beside"),
    "layers_block_type": (["mamba", "hybrid"], "zamba2", HYBRID),
    "mamba_d_state": (256, "bamba", HYBRID),
    "num_global_key_value_heads": (2, "gemma4_text", UNEQUAL),
    "num_kv_shared_layers": (15, "gemma3n_text", "layers that share keys and values"),
    "num_loops": (2, "LoopedLlamaForCausalLM, by code of its own", "layers that run several times"),
    "per_layer_config": ({"0": {"num_experts": 8}}, "dots3_note_text", UNEQUAL),
    "ssm_cfg": ({"layer": "Mamba2"}, "mamba_ssm", "a state instead of keys and values"),
    "swa_num_key_value_heads": (8, "mimo_v2_flash, inkling_text", UNEQUAL),
    "use_bidirectional_attention": (True, "gemma3_text, as EmbeddingGemma", "an encoder, not a decoder"),
}


@pytest.mark.parametrize("key", TELLING)
def test_a_key_that_tells_of_something_else_is_refused_with_its_reason(key):
    value, _, means = TELLING[key]
    with pytest.raises(ValueError, match=rf"^a test: {key} .* means {means}.* can't be counted here: (ask|to count)"):
        read(GOOD | {key: value}, "a test")
    assert read(GOOD | {key: None}, "a test") == read(GOOD, "a test")


def test_each_key_that_tells_of_something_else_is_among_these():
    assert TELLING.keys() == NOT_COUNTED.keys()


@pytest.mark.parametrize("said", [True, False, "yes"])
def test_a_key_of_our_own_table_is_not_read_from_a_file(said):
    with pytest.raises(ValueError, match="has a sliding_window, but no layer_types"):
        read(GOOD | {"sliding_window": 9, "all_slide": said}, "a test")
    mistral = GOOD | {"model_type": "mistral", "sliding_window": 9}
    assert read(mistral | {"all_slide": said}, "a test") == read(mistral, "a test")


KEEPS = {
    "BertConfig": "an encoder, not a decoder",
    "JambaConfig": "a state beside keys and values",
    "Llama4TextConfig": "layers that see the text in another way",
    "MambaConfig": "a state instead of keys and values",
    "Qwen3NextConfig": "a state beside keys and values",
    "RecurrentGemmaConfig": "a state beside keys and values",
    "T5Config": "keys and values of an encoder",
    "MiMoV2FlashConfig": "layers of different sizes",
}


@pytest.mark.parametrize("name", KEEPS)
def test_a_model_that_keeps_something_else_is_refused(name):
    with pytest.raises(ValueError, match=f"a test: .* means {KEEPS[name]}.* can't be counted here: (ask|to count)"):
        read(getattr(transformers, name)().to_dict(), "a test")


def test_what_a_refusal_says_to_do_can_be_done():
    keys = transformers.JambaConfig().to_dict()
    part = {key: keys[key] for key in ("num_attention_heads", "num_key_value_heads", "hidden_size")}
    assert (
        memory.nbytes(read({**part, "num_hidden_layers": 4, "head_dim": None}, "its layers of attention"), 1) == 16_384
    )
    unknown = {**GOOD, "model_type": "new"}
    with pytest.raises(ValueError, match=r"model_type 'new' is not known here: .* take model_type out of a copy"):
        read(unknown, "a test")
    del unknown["model_type"]
    assert read(unknown, "a test").kept["keys"] == (2, 16)


@pytest.mark.parametrize("change", [{"num_hidden_layers": 10**8}, {"num_hidden_layers": MOST_LAYERS + 1}])
def test_more_layers_than_any_model_has_are_refused_at_once(change):
    with pytest.raises(ValueError, match=r"a test: num_hidden_layers must be 10,000 at most, got 1"):
        read(GOOD | change, "a test")
    read(GOOD | {"num_hidden_layers": MOST_LAYERS}, "a test")


@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"])
def test_a_size_beyond_all_models_is_refused(key):
    with pytest.raises(ValueError, match=rf"{key} must be 1,000,000,000 at most, got 1,000,000,001"):
        read(GOOD | {key: 10**9 + 1}, "a test")


def test_only_a_regular_file_of_a_sane_size_is_read(tmp_path):
    os.mkfifo(tmp_path / "config.json")  # reading it would wait for a writer for ever
    for name in (str(tmp_path), "/dev/zero"):
        with pytest.raises(ValueError, match="must be a regular file"):
            load(name)
    path = tmp_path / "large.json"
    path.write_text(json.dumps(GOOD) + " " * MOST_BYTES, encoding="utf-8")
    with pytest.raises(ValueError, match="has 10,000,000 bytes at most, and this has more"):
        load(str(path))
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match="can't be read as JSON"):
        load(str(path))


@pytest.mark.parametrize("name", ["gpt2", "mistral-7b", "deepseek-v3"])
def test_the_longest_context_has_no_limit_of_its_own(name):
    for plan in memory.plans(load(name)):
        tokens = memory.longest(plan.here, 10**40)
        if plan.cache == "sliding_window":
            assert tokens is None
        else:
            assert plan.here(tokens) <= 10**40 < plan.here(tokens + 1)


def test_a_context_or_a_batch_beyond_all_memory_is_refused():
    for tokens, batch in ((10**30, 1), (1, 10**30)):
        with pytest.raises(ValueError, match="of 1,000,000,000,000,000 at most can be counted, got"):
            memory.summary(load("gpt2"), tokens, batch, (4,), None)


def test_a_file_and_its_folder_are_the_same_model(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    assert load(str(path)) == load(str(tmp_path)) == read(GOOD, "a test")
    assert load(str(path)).context == 99


def test_the_bundled_model_is_known_by_name():
    config = GPTConfig(**{"vocab_size": 1024, "context": 512, "n_layer": 3, "n_head": 2, "n_embd": 128})
    assert memory.nbytes(load("recall"), 77) == filled("concat", config, 77, 1, 76).nbytes


@pytest.mark.parametrize("content", ["{", "\udcff", "[]"])
def test_a_file_that_holds_no_config_is_refused(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"config.json: (can't be read as JSON|must be a JSON object)"):
        load(str(path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            json.dumps([*range(10_000)]),
            "must be a JSON object, as transformers' config.json, got [0, 1, 2, 3, 4, 5, ...]",
        ),
        (json.dumps(GOOD | {"head_dim": [1] * 10_000}), "head_dim must be a whole number, 1 or more, got [1, 1"),
        (json.dumps(GOOD | {"block_types": ["a"] * 10_000}), "block_types ['a', 'a'"),
        ('{"num_hidden_layers": ' + "9" * 5000 + "}", "a number has 5,000 digits, and 100 at most are read"),
    ],
    ids=["a long list", "a long number of heads", "a long list of blocks", "a long number"],
)
def test_a_refusal_is_short_however_long_the_file(content, says, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json: ") as refusal:
        load(str(path))
    assert str(path) in str(refusal.value)
    assert says in str(refusal.value)
    assert len(str(refusal.value)) < len(str(path)) + 600


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=f"nowhere: no such file .* these are: {', '.join(NAMES)}"):
        load("nowhere")
