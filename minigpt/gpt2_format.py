"""GPT-2's files, in transformers' format."""

import re
from typing import Any

from minigpt.config import GPTConfig
from minigpt.file_format import FileFormat, check_values

SIZES = {
    "vocab_size": "vocab_size",
    "n_positions": "context",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
    "n_inner": "n_inner",
    "layer_norm_epsilon": "layer_norm_epsilon",
}
# Keys that change the mathematics, and the only values of each that this model computes.
FIXED = {
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of one function
}


class GPT2Format(FileFormat):
    types = ("gpt2",)
    sizes = SIZES
    required = "vocab_size", "n_positions", "n_layer", "n_head", "n_embd"
    prefix = "transformer."  # the original checkpoint goes without
    embedding = "wte.weight"
    block = "h."
    unread = r"h\.\d+\.attn\.(bias|masked_bias)"  # the causal mask, which the original checkpoint carries as a buffer

    def check(self, path, settings):
        check_values(path, settings, FIXED)

    def read(self, settings: dict) -> GPTConfig:
        return GPTConfig(**{ours: settings[theirs] for theirs, ours in SIZES.items() if theirs in settings})

    def settings(self, config: GPTConfig) -> dict[str, Any]:
        if config.n_kv_head != config.n_head:
            heads = f"n_kv_head {config.n_kv_head}, n_head {config.n_head}"
            raise ValueError(f"GPT-2's format has no grouped heads: {heads}")
        if config.n_head * config.head_size != config.n_embd:
            heads = f"n_head {config.n_head} of {config.head_size}, n_embd {config.n_embd}"
            raise ValueError(f"GPT-2's format has heads that fill its width: {heads}")
        if config.window is not None:
            raise ValueError(f"GPT-2's format has no window: window {config.window}, sinks {config.sinks}")
        return {
            **{theirs: getattr(config, ours) for theirs, ours in SIZES.items()},
            **{key: values[0] for key, values in FIXED.items()},
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
        }

    def transposed(self, parameter):
        """What transformers has as a Conv1D: (in, out), where nn.Linear has (out, in)."""
        return re.search(r"\.c_(attn|fc|proj)\.weight$", parameter) is not None
