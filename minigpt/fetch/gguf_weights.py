"""The weights of a Llama in a GGUF file, as float32, under the names and in the order of transformers."""

from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize
from jaxtyping import Float, Float32

NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
NAMES_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def read_weights(reader: GGUFReader, config: dict[str, Any]) -> dict[str, Float32[np.ndarray, "..."]]:
    """All tensors of the file, by the names of transformers' Llama. config: what read_config made of it.

    Rounded weights are multiplied out. Raises ValueError for a tensor that no Llama has.
    """
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for tensor in reader.tensors:
        name, numbers = full_name(tensor.name), dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.split(".")[-2]
        if part in heads:
            numbers = in_halves(numbers, heads[part])
        weights[name] = np.ascontiguousarray(numbers, dtype=np.float32)
    return weights


def full_name(name: str) -> str:
    """transformers' name of a tensor: of blk.3.attn_q.weight, model.layers.3.self_attn.q_proj.weight."""
    match name.split("."):
        case [part, "weight"] if part in NAMES:
            return f"{NAMES[part]}.weight"
        case ["blk", layer, part, "weight"] if part in NAMES_IN_LAYER:
            return f"model.layers.{layer}.{NAMES_IN_LAYER[part]}.weight"
    raise ValueError(f"tensor {name} of the GGUF file has no place in a Llama")


def in_halves(rows: Float[np.ndarray, "HD E"], heads: int) -> Float[np.ndarray, "HD E"]:
    """The rows of queries or keys, in transformers' order.

    Rotary positions turn the numbers of a head in pairs. GGUF has the two of a pair side by side, as RoFormer has them;
    transformers has the first of all pairs, then the second of all.
    """
    pairs = rows.reshape(heads, -1, 2, rows.shape[1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)
