"""The keys of published config.json files, also of types that come with their own code, and the bytes of a token.

Only keys on which the cache depends, under the names that the files have. The bytes are worked out in the last column:
two times layers, key heads, size of a head, and two bytes.
"""

import pytest

from minigpt.measure.forms import memory
from minigpt.measure.forms.config_json import read
from minigpt.measure.forms.real_models import load

FALCON = {"model_type": "falcon", "num_attention_heads": 71, "num_hidden_layers": 32, "hidden_size": 4544}
CHATGLM = {"model_type": "chatglm", "hidden_size": 4096, "num_attention_heads": 32, "num_layers": 28}
PUBLISHED = {
    "Falcon-7B": (
        {**FALCON, "multi_query": True, "num_kv_heads": 71, "new_decoder_architecture": False},
        2 * 32 * 1 * 64,
    ),
    "Falcon-40B": (
        {
            "model_type": "falcon",
            "hidden_size": 8192,
            "num_attention_heads": 128,
            "num_hidden_layers": 60,
            "num_kv_heads": 8,
            "multi_query": True,
            "new_decoder_architecture": True,
        },
        2 * 60 * 8 * 64,
    ),
    "BLOOM": ({"model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112}, 2 * 70 * 112 * 128),
    "MPT-7B": (
        {
            "model_type": "mpt",
            "d_model": 4096,
            "n_heads": 32,
            "n_layers": 32,
            "max_seq_len": 2048,
            "attn_config": {"attn_type": "multihead_attention", "alibi": True},
        },
        2 * 32 * 32 * 128,
    ),
    "GPT-Neo-1.3B": (
        {
            "model_type": "gpt_neo",
            "attention_types": [[["global", "local"], 12]],
            "hidden_size": 2048,
            "num_heads": 16,
            "num_layers": 24,
            "window_size": 256,
        },
        2 * 24 * 16 * 128,
    ),
    "CodeGen-16B": ({"model_type": "codegen", "n_embd": 6144, "n_head": 24, "n_layer": 34}, 2 * 34 * 24 * 256),
    "Persimmon-8B": (
        {"model_type": "persimmon", "hidden_size": 4096, "num_attention_heads": 64, "num_hidden_layers": 36},
        2 * 36 * 64 * 64,
    ),
    "XGLM-7.5B": ({"model_type": "xglm", "attention_heads": 32, "d_model": 4096, "num_layers": 32}, 2 * 32 * 32 * 128),
    "StarCoder": (
        {"model_type": "gpt_bigcode", "multi_query": True, "n_embd": 6144, "n_head": 48, "n_layer": 40},
        2 * 40 * 1 * 128,
    ),
    "OLMo-7B": (
        {
            "model_type": "hf_olmo",
            "d_model": 4096,
            "n_heads": 32,
            "n_layers": 32,
            "multi_query_attention": False,
            "max_sequence_length": 2048,
        },
        2 * 32 * 32 * 128,
    ),
    "Baichuan2-7B": (
        {
            "model_type": "baichuan",
            "hidden_size": 4096,
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "model_max_length": 4096,
        },
        2 * 32 * 32 * 128,
    ),
    "Qwen-7B": (
        {
            "model_type": "qwen",
            "hidden_size": 4096,
            "kv_channels": 128,
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "seq_length": 8192,
        },
        2 * 32 * 32 * 128,
    ),
    "ChatGLM2-6B": (
        {
            **CHATGLM,
            "kv_channels": 128,
            "multi_query_attention": True,
            "multi_query_group_num": 2,
            "seq_length": 32768,
        },
        2 * 28 * 2 * 128,
    ),
    "ChatGLM-6B": ({**CHATGLM, "max_sequence_length": 2048}, 2 * 28 * 32 * 128),
    "DBRX": (
        {"model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40, "attn_config": {"kv_n_heads": 8}},
        2 * 40 * 8 * 128,
    ),
    "Phi-2": (
        {"model_type": "phi", "hidden_size": 2560, "num_attention_heads": 32, "num_hidden_layers": 32},
        2 * 32 * 32 * 80,
    ),
    "Qwen2.5-7B": (
        {
            "model_type": "qwen2",
            "hidden_size": 3584,
            "max_window_layers": 28,
            "num_attention_heads": 28,
            "num_hidden_layers": 28,
            "num_key_value_heads": 4,
            "sliding_window": 131072,
            "use_sliding_window": False,
        },
        2 * 28 * 4 * 128,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_keeps_so_many_bytes_of_a_token(name):
    keys, numbers = PUBLISHED[name]
    model = read(keys, name)
    assert memory.nbytes(model, 1) == 2 * numbers
    assert any(model.windows) is (name == "GPT-Neo-1.3B")


def test_every_second_layer_of_gpt_neo_sees_256_tokens():
    assert read(PUBLISHED["GPT-Neo-1.3B"][0], "a test").windows == (None, 256) * 12


@pytest.mark.parametrize(
    ("name", "context"),
    [("MPT-7B", 2048), ("OLMo-7B", 2048), ("Baichuan2-7B", 4096), ("Qwen-7B", 8192), ("ChatGLM2-6B", 32768)],
)
def test_how_much_it_was_made_for_stands_under_many_names(name, context):
    assert read(PUBLISHED[name][0], "a test").context == context


def test_what_the_file_says_goes_before_what_its_type_fills_in_under_another_name():
    keys = {"n_layer": 3, "n_head": 2, "n_embd": 128}
    assert read({"model_type": "gpt2", "n_positions": 512} | keys, "a test").context == 512
    assert read({"model_type": "gpt2"} | keys, "a test").context == 1024
    assert load("recall").context == 512


@pytest.mark.parametrize(("shared", "kv_heads"), [(True, 1), (False, 32), (None, 32)])
def test_olmo_shares_one_head_or_none(shared, kv_heads):
    keys = {**PUBLISHED["OLMo-7B"][0], "multi_query_attention": shared}
    assert read(keys, "a test").kept["keys"] == (kv_heads, 128)


def test_chatglm_that_shares_no_heads_leaves_its_groups_unread():
    assert read({**PUBLISHED["ChatGLM2-6B"][0], "multi_query_attention": False}, "a test").kept["keys"] == (32, 128)


@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads", "num_hidden_layers"])
def test_of_a_type_with_code_of_its_own_nothing_is_filled_in(key):
    keys = {name: value for name, value in PUBLISHED["Baichuan2-7B"][0].items() if name != key}
    with pytest.raises(ValueError, match=f"the config has no {key}: add it"):
        read(keys, "a test")
