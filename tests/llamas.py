"""Random tiny Llamas of each family, ours and transformers' with the same weights."""

import functools

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

SIZES = {
    "vocab_size": 61,
    "max_position_embeddings": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 32,
    "intermediate_size": 40,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
# Of the six planes of 12 channels it leaves the first, slows two in part, and the others by the whole factor.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
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
    "qwen2, last layers slide": (Qwen2Config, {**WINDOW, "max_window_layers": 1}),
    "qwen2, layers in turn": (
        Qwen2Config,
        {**WINDOW, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "qwen3": (Qwen3Config, {"head_dim": 16}),
    "qwen3, biases, all slide": (
        Qwen3Config,
        {"head_dim": 6, **WINDOW, "max_window_layers": 0, "attention_bias": True},
    ),
}


def their_config(family: str) -> PreTrainedConfig:
    kind, own = FAMILIES[family]
    return kind(**{**SIZES, **own}, rms_norm_eps=1e-5)


@functools.cache
def theirs(family: str):
    """transformers' own, in float64, drawn so that every parameter and every position matters."""
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(their_config(family)).double()
    for number, (name, module) in enumerate(model.named_modules()):
        if "lm_head" not in name or not model.config.tie_word_embeddings:
            spread_own(module, number)
    return model.eval()


def spread_own(module, seed):
    """Its own parameters, and not those of the modules in it. Matrices that make queries and keys are drawn larger, or
    attention would hardly tell one position from another."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters(recurse=False):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise * (0.3 if parameter.ndim == 1 else 2 * parameter.shape[-1] ** -0.5))
            if parameter.ndim == 1 and "Norm" in type(module).__name__:
                parameter.add_(1)
