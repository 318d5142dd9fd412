"""What a GGUF file says of a Llama, as transformers' config.json says it."""

from typing import Any

from gguf import GGUFReader

# GGUF's keys, after "llama.", and transformers'.
KEYS = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.dimension_count": "head_dim",  # all of a head is rotated
    "rope.freq_base": "rope_theta",
    "vocab_size": "vocab_size",
}
SPECIAL = {"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id", "padding_token_id": "pad_token_id"}


def read_config(reader: GGUFReader) -> dict[str, Any]:
    """The content of a config.json. Raises ValueError for a model that is no Llama, or one with a key that is unknown
    here: it may change the mathematics."""
    architecture = value(reader, "general.architecture")
    if architecture != "llama":
        raise ValueError(f"this reads GGUF files of the architecture llama, got {architecture}")
    named = {name.removeprefix("llama.") for name in reader.fields if name.startswith("llama.")}
    if named != KEYS.keys():
        differing = ", ".join(f"llama.{name}" for name in sorted(named ^ KEYS.keys()))
        raise ValueError(f"the GGUF file has other keys than this reads, they differ in {differing}")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "dtype": "float32",
        **{theirs: value(reader, f"llama.{name}") for name, theirs in KEYS.items()},
        **special_tokens(reader),
    }


def special_tokens(reader: GGUFReader) -> dict[str, int]:
    """The ids of the tokens that begin a text, end it, and fill a row."""
    return {theirs: value(reader, f"tokenizer.ggml.{name}") for name, theirs in SPECIAL.items()}


def value(reader: GGUFReader, name: str) -> Any:
    """What the file holds under this name. Raises ValueError where there is none."""
    field = reader.get_field(name)
    if field is None:
        raise ValueError(f"the GGUF file has no {name}")
    return field.contents()
