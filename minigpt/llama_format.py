"""The files of Llama, Mistral, Qwen2 and Qwen3, in transformers' format."""

from typing import Any

from minigpt.file_format import FileFormat, check_values
from minigpt.llama_config import Llama3Scaling, LlamaConfig
from minigpt.model_files import ModelFileError

SIZES = {
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "num_key_value_heads": "n_kv_head",
    "hidden_size": "n_embd",
    "intermediate_size": "n_inner",
    "head_dim": "head_size",
    "rms_norm_eps": "rms_norm_eps",
    "tie_word_embeddings": "tied_head",
}
# What transformers takes where config.json leaves a key out.
USUAL: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28},
    "qwen3": {"num_key_value_heads": 32, "head_dim": 128, "sliding_window": 4096, "max_window_layers": 28},
}
FIXED: dict[str, tuple] = {
    "hidden_act": ("silu", "swish"),  # two names of one function
    "partial_rotary_factor": (1, None),
    "quantization_config": (None,),
}
# Keys by which a kind would compute otherwise than transformers' class of its name does.
FIXED_OF: dict[str, dict[str, tuple]] = {
    "llama": {"pretraining_tp": (1, None), "sliding_window": (None,)},
    "mistral": {"attention_bias": (False, None), "layer_types": (None,)},
    "qwen2": {},
    "qwen3": {},
}
ROPE = {"rope_type": ("default", "llama3"), "partial_rotary_factor": (1, None)}
FULL, SLIDING = "full_attention", "sliding_attention"
SCALING = {
    "factor": "factor",
    "low_freq_factor": "low",
    "high_freq_factor": "high",
    "original_max_position_embeddings": "context",
}


class LlamaFormat(FileFormat):
    types = tuple(USUAL)
    sizes = SIZES
    required = (
        *("vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads"),
        *("hidden_size", "intermediate_size"),
    )
    prefix = "model."
    embedding = "embed_tokens.weight"
    block = "layers."
    unread = r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq"  # computed; old files have it as a buffer

    def check(self, path, settings):
        kind = settings["model_type"]
        check_values(path, settings, FIXED | FIXED_OF[kind])
        if kinds := set(settings.get("layer_types") or []) - {FULL, SLIDING}:
            raise ModelFileError(f"{path}: layer_types has {sorted(map(str, kinds))[0]!r}; only {FULL!r}, {SLIDING!r}")
        rope = rope_of(settings)
        if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
            raise ModelFileError(f"{path}: rope_parameters must be one set for all layers, got {rope!r}")
        check_values(path, rope, ROPE)
        if rope["rope_type"] == "llama3" and (missing := SCALING.keys() - rope.keys()):
            raise ModelFileError(f"{path}: {', '.join(sorted(missing))} missing in the rope_parameters of llama3")

    def read(self, settings: dict) -> LlamaConfig:
        kind = settings["model_type"]
        settings = USUAL[kind] | settings
        rope, biased = rope_of(settings), settings.get("attention_bias") or False
        scaling = {ours: rope[theirs] for theirs, ours in SCALING.items() if rope["rope_type"] == "llama3"}
        return LlamaConfig(
            **{ours: settings[theirs] for theirs, ours in SIZES.items() if theirs in settings},
            window=windows(kind, settings),
            rope_theta=rope["rope_theta"],
            rope_scaling=Llama3Scaling(**scaling) if scaling else None,
            qkv_bias=kind == "qwen2" or biased,
            o_bias=kind != "qwen2" and biased,
            mlp_bias=kind == "llama" and (settings.get("mlp_bias") or False),
            qk_norm=kind == "qwen3",
        )

    def settings(self, config: LlamaConfig) -> dict[str, Any]:
        kind = self.kind(config)
        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
        if config.rope_scaling:
            rope["rope_type"] = "llama3"
            rope |= {theirs: getattr(config.rope_scaling, ours) for theirs, ours in SCALING.items()}
        settings = {
            **{theirs: getattr(config, ours) for theirs, ours in SIZES.items()},
            "architectures": [f"{kind.capitalize()}ForCausalLM"],
            "model_type": kind,
            "hidden_act": "silu",
            "rope_parameters": rope,
        }
        if kind == "llama":
            settings |= {"attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias}
        if kind == "qwen3":
            settings |= {"attention_bias": config.qkv_bias}
        if kind == "mistral":
            settings |= {"sliding_window": config.window}
        if kind in ("qwen2", "qwen3"):
            width = max(filter(None, config.windows), default=None)
            kinds = [SLIDING if window else FULL for window in config.windows]
            settings |= {"layer_types": kinds, "use_sliding_window": width is not None, "sliding_window": width}
        return settings

    def kind(self, config: LlamaConfig) -> str:
        """The model_type whose class in transformers computes what this config says."""
        biases = config.qkv_bias, config.o_bias, config.mlp_bias
        if config.streaming or config.sinks or len(set(config.windows) - {None}) > 1:
            seen = f"window {config.window}, sinks {config.sinks}, streaming {config.streaming}"
            raise ValueError(f"transformers' formats have no sinks, no streaming and windows of one width: {seen}")
        if config.qk_norm and not config.mlp_bias and config.qkv_bias == config.o_bias:
            return "qwen3"
        if not config.qk_norm and biases == (True, False, False):
            return "qwen2"
        if not config.qk_norm and config.window is None and config.qkv_bias == config.o_bias:
            return "llama"
        if not config.qk_norm and isinstance(config.window, int) and not any(biases):
            return "mistral"
        raise ValueError(f"neither {', '.join(self.types[:-1])} nor {self.types[-1]} says all of {config}")

    def name(self, parameter):
        return "lm_head.weight" if parameter == "head.weight" else parameter


def rope_of(settings: dict) -> Any:
    """The rope_parameters, by transformers' own rules: older files have rope_scaling and rope_theta instead."""
    given = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    if not isinstance(given, dict):
        return given
    usual = {"rope_theta": settings.get("rope_theta", 10_000.0), "rope_type": given.get("type", "default")}
    trained = settings.get("original_max_position_embeddings") or given.get("original_max_position_embeddings")
    return usual | given | {"original_max_position_embeddings": trained or settings.get("max_position_embeddings")}


def windows(kind: str, settings: dict) -> int | list[int | None] | None:
    """How many tokens each layer sees: in Mistral all through one window, in Qwen some layers, where it is used."""
    width = settings.get("sliding_window")
    if kind in ("llama", "mistral"):
        return width
    width = width if settings.get("use_sliding_window") else None
    kinds = settings.get("layer_types")
    if kinds is None:
        first = settings["max_window_layers"]
        kinds = [SLIDING if layer >= first else FULL for layer in range(settings["num_hidden_layers"])]
    elif width is None and SLIDING in kinds:
        raise ValueError("layer_types has sliding_attention, and there is no sliding_window, or it is not used")
    return [width if kind == SLIDING else None for kind in kinds]
