"""Random tiny Llamas of each family, transformers' own and ours with the same weights."""

import functools
import tempfile

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

import minigpt

SIZES = {
    "vocab_size": 61,
    "max_position_embeddings": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "intermediate_size": 40,
    "rms_norm_eps": 1e-5,
    "bos_token_id": None,
    "eos_token_id": None,
}
# Of the six planes of 12 channels it leaves the first, slows three in part, and two by the whole factor.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 20.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
FULL, SLIDING = "full_attention", "sliding_attention"
WINDOW = {"use_sliding_window": True, "sliding_window": 6}
FAMILIES = {
    "llama": (LlamaConfig, {}),
    "llama, tied": (LlamaConfig, {"tie_word_embeddings": True}),
    "llama, every bias": (LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "llama, one key head, wide heads": (LlamaConfig, {"num_key_value_heads": 1, "head_dim": 12}),
    "llama 3.1": (LlamaConfig, {"head_dim": 12, "rope_parameters": LLAMA3}),
    "llama, far base": (LlamaConfig, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "mistral": (MistralConfig, {"sliding_window": 5}),
    "mistral, no window": (MistralConfig, {"sliding_window": None, "head_dim": 6}),
    "qwen2": (Qwen2Config, {"tie_word_embeddings": True}),
    "qwen2, the last layers slide": (Qwen2Config, {**WINDOW, "max_window_layers": 1}),
    "qwen2, layers in turn": (Qwen2Config, {**WINDOW, "layer_types": [SLIDING, FULL, SLIDING]}),
    "qwen3": (Qwen3Config, {"head_dim": 16}),
    "qwen3, biases, all slide": (
        Qwen3Config,
        {"head_dim": 6, **WINDOW, "max_window_layers": 0, "attention_bias": True},
    ),
}


@functools.cache
def theirs(family: str):
    """transformers' own, in float64, drawn so that every parameter and every position matters."""
    kind, its_own = FAMILIES[family]
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(kind(**{**SIZES, **its_own})).double().eval()
    generator = torch.Generator().manual_seed(len(family))
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # a tied head is not among them
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            scale = 0.3 if parameter.ndim == 1 else 2 * parameter.shape[-1] ** -0.5
            parameter.copy_(noise * scale + ("norm" in name))
    return model


@functools.cache
def ours(family: str):
    """What is loaded from the folder that transformers saves."""
    with tempfile.TemporaryDirectory() as folder:
        theirs(family).save_pretrained(folder)
        return minigpt.load(folder, dtype=torch.float64)


def slides(family: str) -> bool:
    return ours(family).config.window is not None
