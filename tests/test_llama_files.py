"""The files of Llamas: saved by transformers and loaded here, saved here and loaded there, or refused by name."""

import json

import pytest
import torch
from helpers import as_for_a_user, random_gpt, random_ids
from llamas import FAMILIES, LLAMA3, ours, theirs
from safetensors.torch import load_file, save_file
from test_pretrained import WEIGHTS, assert_same_weights, edit_config, edit_tensors, remove_key
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, MixtralConfig

import minigpt
from minigpt import GPT, Llama, LlamaConfig, ModelFileError
from minigpt.llama_config import Llama3Scaling


@pytest.fixture
def folder(tmp_path):
    """Of a family, as transformers saves it."""

    def saved(family):
        theirs(family).save_pretrained(tmp_path / "theirs")
        return tmp_path / "theirs"

    return saved


def logits_there(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    return model(ids).logits


# --- there and back ---


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_is_saved_here_is_the_same_model_there_and_here(family, tmp_path):
    model, ids = ours(family), random_ids(2, 20)
    model.save_pretrained(tmp_path)
    assert (logits_there(tmp_path, ids) - model(ids)).abs().max() < 1e-10
    back = minigpt.load(tmp_path, dtype=torch.float64)
    assert back.config == model.config
    assert_same_weights(back, model)


def test_load_gives_whichever_model_the_folder_holds(folder, tmp_path):
    random_gpt().save_pretrained(tmp_path / "gpt")
    assert type(minigpt.load(tmp_path / "gpt")) is GPT
    assert type(minigpt.load("recall")) is GPT
    loaded = minigpt.load(folder("qwen3"), dtype=torch.bfloat16, device="cpu")
    assert (type(loaded), loaded.dtype, loaded.training) == (Llama, torch.bfloat16, False)
    assert_same_weights(loaded, Llama.from_pretrained(folder("qwen3"), dtype=torch.bfloat16))


def test_shards_are_read(tmp_path):
    theirs("mistral").save_pretrained(tmp_path, max_shard_size="20KB")
    assert not (tmp_path / WEIGHTS).exists()
    assert_same_weights(minigpt.load(tmp_path, dtype=torch.float64), ours("mistral"))


@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_special_tokens_are_kept_for_others_to_read(model, folder, tmp_path):
    if model == "llama":
        path = folder("llama")
    else:
        path = tmp_path / "theirs"
        GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=61, n_positions=16)).save_pretrained(path)
    edit_config(path, bos_token_id=3, eos_token_id=[4, 5], pad_token_id=6)
    minigpt.load(path).with_window(8).with_window([None] * 3 if model == "llama" else [None]).save_pretrained(
        tmp_path / "back"
    )
    settings = json.loads((tmp_path / "back" / "config.json").read_text())
    assert [settings[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [3, [4, 5], 6]


def test_a_model_that_was_not_loaded_has_no_special_tokens(tmp_path):
    random_gpt().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert [settings[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [None, None, None]


@torch.no_grad()
def test_older_files_say_rope_theta_and_rope_scaling(folder, tmp_path):
    path, ids = folder("llama 3.1"), random_ids(2, 20)
    want = minigpt.load(path, dtype=torch.float64)
    remove_key(path, "rope_parameters")
    scaling = {key: value for key, value in LLAMA3.items() if key != "rope_theta"}
    edit_config(path, rope_theta=LLAMA3["rope_theta"], rope_scaling=scaling)
    old = minigpt.load(path, dtype=torch.float64)
    assert old.config == want.config
    assert (old(ids) - logits_there(path, ids)).abs().max() < 1e-10
    scaling["type"] = scaling.pop("rope_type")
    edit_config(path, rope_scaling=scaling)
    assert minigpt.load(path).config == want.config


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("llama", ["num_key_value_heads", "head_dim", "attention_bias", "mlp_bias", "rope_parameters", "rms_norm_eps"]),
        ("mistral", ["sliding_window", "head_dim", "hidden_act", "tie_word_embeddings"]),
        ("qwen2, the last layers slide", ["layer_types", "use_sliding_window"]),
        ("qwen2, the last layers slide", ["layer_types"]),
        ("qwen3, biases, all slide", ["layer_types", "rope_parameters"]),
    ],
    ids=str,
)
def test_a_key_that_is_left_out_is_what_transformers_takes_it_for(family, keys, folder):
    path, ids = folder(family), random_ids(2, 20)
    for key in keys:
        remove_key(path, key)
    if "num_key_value_heads" in keys:  # then there are as many as query heads
        edit_tensors(path, lambda tensors: {name: widened(name, tensor) for name, tensor in tensors.items()})
    assert (minigpt.load(path, dtype=torch.float64)(ids) - logits_there(path, ids)).abs().max() < 1e-10


def widened(name, tensor):
    return torch.cat([tensor, tensor]) if name.endswith(("k_proj.weight", "v_proj.weight")) else tensor


def test_files_may_have_a_repeated_head_and_buffers_of_frequencies(folder):
    path = folder("llama, tied")
    tensors = load_file(path / WEIGHTS)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, path / WEIGHTS)
    assert_same_weights(minigpt.load(path, dtype=torch.float64), ours("llama, tied"))


# --- what is refused ---

ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
REFUSED = {
    "yarn": ("llama", {"rope_parameters": {**ROPE, "rope_type": "yarn", "factor": 4.0}}, "rope_type is 'yarn'"),
    "linear, in an older file": ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type is 'linear'"),
    "dynamic": ("qwen2", {"rope_parameters": {**ROPE, "rope_type": "dynamic"}}, "rope_type is 'dynamic'"),
    "llama3 without its factor": (
        "llama",
        {"rope_parameters": {**ROPE, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}},
        "factor missing in the rope_parameters of llama3",
    ),
    "a rope for each kind of layer": (
        "qwen3",
        {"rope_parameters": {"full_attention": ROPE, "sliding_attention": ROPE}},
        "rope_parameters must be one set for all layers",
    ),
    "a part of the channels turned": ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    "the same in the rope": (
        "llama",
        {"rope_parameters": {**ROPE, "partial_rotary_factor": 0.25}},
        "partial_rotary_factor is 0.25",
    ),
    "gelu": ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu', which changes the mathematics; only 'silu'"),
    "pretraining_tp": ("llama", {"pretraining_tp": 2}, "pretraining_tp is 2"),
    "a window of a Llama": ("llama", {"sliding_window": 8}, "sliding_window is 8"),
    "biases of a Mistral": ("mistral", {"attention_bias": True}, "attention_bias is True"),
    "layers of a Mistral": ("mistral", {"layer_types": ["full_attention"] * 3}, "layer_types is"),
    "chunked layers": ("qwen2", {"layer_types": ["chunked_attention"] * 3}, "layer_types has 'chunked_attention'"),
    "a layer too few": ("qwen2, layers in turn", {"layer_types": ["full_attention"] * 2}, "one for each of 3 layers"),
    "sliding without a window": (
        "qwen2, layers in turn",
        {"use_sliding_window": False},
        "layer_types has sliding_attention, and there is no sliding_window",
    ),
    "quantized weights": ("llama", {"quantization_config": {"bits": 4}}, "quantization_config is"),
    "a tied head": ("llama", {"tie_word_embeddings": True}, "lm_head.weight is not embed_tokens.weight"),
    "a head that is missing": ("llama, tied", {"tie_word_embeddings": False}, "tensor lm_head.weight is missing"),
    "biases that are missing": ("llama", {"attention_bias": True}, "tensor layers.0.self_attn.q_proj.bias is missing"),
    "heads that do not divide": (
        "llama",
        {"num_attention_heads": 6},
        "tensor layers.0.self_attn.q_proj.weight has shape",
    ),
    "key heads that do not divide": (
        "llama",
        {"num_key_value_heads": 3},
        "num_attention_heads 4 must be a multiple of num_key_value_heads 3",
    ),
    "a size that is text": ("llama", {"hidden_size": "32"}, "hidden_size must be a whole number, 1 or more, got '32'"),
    "a window of 0": ("mistral", {"sliding_window": 0}, "window must be a whole number, 1 or more, got 0"),
    "an odd head": ("qwen3", {"head_dim": 15}, "head_dim must be even"),
    "a bias that is text": ("qwen3", {"attention_bias": "yes"}, "qkv_bias must be True or False, got 'yes'"),
    "too many layers": ("qwen2", {"num_hidden_layers": 2**63}, "which no model has"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_this_does_not_compute_is_refused_by_name(what, folder):
    family, changes, message = REFUSED[what]
    path = folder(family)
    edit_config(path, **changes)
    with as_for_a_user(), pytest.raises(ModelFileError) as refused:
        minigpt.load(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "max_position_embeddings", "vocab_size"])
def test_a_size_that_is_missing_is_named(key, folder):
    path = folder("llama")
    remove_key(path, key)
    with pytest.raises(ModelFileError, match=rf"config.json: {key} missing"):
        minigpt.load(path)


def test_other_kinds_of_model_are_refused_with_those_that_are_known(folder):
    path = folder("llama")
    (path / "config.json").write_text(MixtralConfig().to_json_string())
    with pytest.raises(ModelFileError, match="model_type is 'mixtral'; known are gpt2, llama, mistral, qwen2, qwen3"):
        minigpt.load(path)
    edit_config(path, model_type=["llama"])
    with pytest.raises(ModelFileError, match="model_type is"):
        minigpt.load(path)


def test_a_model_of_the_other_class_is_refused_and_told_what_reads_it(folder, tmp_path):
    with pytest.raises(ModelFileError, match=r"model_type is 'llama', this reads 'gpt2'; minigpt.load reads all"):
        GPT.from_pretrained(folder("llama"))
    random_gpt().save_pretrained(tmp_path / "gpt")
    with pytest.raises(ModelFileError, match=r"is 'gpt2', this reads 'llama' or 'mistral' .*; minigpt.load reads all"):
        Llama.from_pretrained(tmp_path / "gpt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 6, "sinks": 1}, "have no sinks"),
        ({"window": [4, 6, None]}, "windows of one width"),
        ({"window": [6, None, 6]}, "says all of"),
        ({"o_bias": True}, "says all of"),
        ({"qk_norm": True, "mlp_bias": True}, "says all of"),
        ({"window": 6, "mlp_bias": True}, "says all of"),
    ],
    ids=str,
)
def test_what_no_file_can_say_is_refused_and_nothing_is_written(changes, message, tmp_path):
    sizes = {"vocab_size": 61, "context": 48, "n_layer": 3, "n_head": 4, "n_embd": 32, "n_inner": 40}
    with pytest.raises(ValueError, match=message):
        Llama(LlamaConfig(**sizes, **changes)).save_pretrained(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_for_llama31_is_its_rope(tmp_path):
    ours("llama 3.1").save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["rope_parameters"] == LLAMA3
    assert ours("llama 3.1").config.rope_scaling == Llama3Scaling(4.0, 1.0, 4.0, 32)
