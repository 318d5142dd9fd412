"""Tiny models of every causal type that transformers has, and what their caches hold.

Run by itself it records `minigpt/measure/forms/types.json`: the keys that each counted type knows, with their defaults.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from minigpt.measure.forms import config_types

CAUSAL = [*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES]
INSIDE = {"emu3_text_model": "emu3"}  # a type that only stands inside of another
RECORD = Path(config_types.__file__).parent / "types.json"

LENGTHS = dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64)
LAYERS = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 6)
HEADS = dict.fromkeys(
    ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads"), 4
)
WIDTHS = dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim", "embedding_size"), 64)
INNER = (
    *("intermediate_size", "ffn_dim", "moe_intermediate_size", "shared_expert_intermediate_size", "decoder_ffn_dim"),
    *("shared_intermediate_size", "ffn_hidden_size", "expert_ffn_hidden_size", "dense_intermediate_size"),
)
EXPERTS = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4)
CHOSEN = dict.fromkeys(("num_experts_per_tok", "moe_k", "moe_topk"), 2)
GROUPS = dict.fromkeys(("n_group", "topk_group"), 1)
WINDOWS = dict.fromkeys(("sliding_window", "window_size"), 5)
LATENTS = {"kv_lora_rank": 16, "q_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 12}
OTHERS = {
    "vocab_size": 64,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "kv_channels": 8,
    "rotary_dim": 4,
    "is_decoder": True,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SIZES = LENGTHS | LAYERS | HEADS | WIDTHS | dict.fromkeys(INNER, 32) | EXPERTS | CHOSEN | GROUPS | WINDOWS | LATENTS
SIZES |= OTHERS

WIDTH = {"hidden_size": 16, "intermediate_size": 16}
# What a type wants beside these sizes.
SPECIAL = {
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0}},
    "dots1": {"n_shared_experts": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 3]]},
    "helium": {"head_dim": 16},
    "phi4_multimodal": {
        "vision_config": {"num_hidden_layers": 1, "num_attention_heads": 2, **WIDTH},
        "audio_config": {"num_blocks": 1, "num_attention_heads": 2, **WIDTH},
    },
    "roc_bert": {"pronunciation_vocab_size": 8, "shape_vocab_size": 8},
    "xmod": {"default_language": "en_XX"},
}


def fields(kind: str) -> dict:
    """The keys that the config of a type knows, with their defaults."""
    return {each.name: each.default for each in dataclasses.fields(CONFIG_MAPPING[kind])}


def given(kind: str, **changes) -> dict:
    """Keys of a config, as a file has them, so small that the model is there at once."""
    sizes = {key: size for key, size in SIZES.items() if key in fields(kind)}
    return sizes | SPECIAL.get(kind, {}) | changes


def tiny(kind: str, **changes):
    return CONFIG_MAPPING[kind](**given(kind, **changes))


def inside(kind: str) -> str | None:
    """The type of the text_config of a model that also reads images."""
    return CONFIG_MAPPING[kind]().text_config.model_type if "text_config" in fields(kind) else None


def held(config, tokens: int, prompt: int) -> list[tuple]:
    """What the cache of a model keeps of a row, fed a prompt and then token by token: for each layer, the shapes
    (heads, slots, size) of keys and values, as the model itself made the cache."""
    torch.manual_seed(0)
    if config.model_type in INSIDE:
        config = CONFIG_MAPPING[INSIDE[config.model_type]](text_config=config)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    ids, cache, start = torch.arange(3, 3 + tokens)[None], None, 0
    with torch.no_grad():
        for end in range(prompt, tokens + 1):
            cache = model(ids[:, start:end], use_cache=True, cache=cache).cache
            start = end
    cache = getattr(cache, "self_attention_cache", cache)
    return [tuple(tuple(each.shape[1:]) for each in (layer.keys, layer.values)) for layer in cache.layers]


def numbers(shapes: list[tuple]) -> int:
    return sum(math.prod(shape) for layer in shapes for shape in layer)


NAMES = [names[0] for names in config_types.SAME]
KEPT = (
    *NAMES,
    *("max_position_embeddings", "kv_lora_rank", "qk_rope_head_dim"),
    *("multi_query", "new_decoder_architecture", "use_sliding_window"),
)


def recorded(kind: str) -> dict:
    """What types.json says of a type."""
    known = fields(kind)
    first = {name: names[0] for names in (*config_types.SAME, config_types.CONTEXT) for name in names}
    found = {first.get(key, key): default for key, default in known.items() if first.get(key, key) in KEPT}
    if "head_dim" not in found and honours_head_dim(kind):
        found["head_dim"] = None
    if kind == "dbrx":
        found["attn_config"] = {"kv_n_heads": 1}
    if kind == "gpt_neo":
        found["attention_types"] = CONFIG_MAPPING[kind]().attention_types
    elif "sliding_window" in found:
        found |= rule(kind)
    return dict(sorted(found.items()))


def rule(kind: str) -> dict:
    """Which layers use the window if the file doesn't say it."""
    known = fields(kind)
    if "layer_types" not in known:
        return {"all_slide": True}
    asked = {key: value for key, value in {"use_sliding_window": True, "max_window_layers": 20}.items() if key in known}
    slides = [each == "sliding_attention" for each in tiny(kind, num_hidden_layers=26, **asked).layer_types]
    if "max_window_layers" in known and slides == [layer >= 20 for layer in range(26)]:
        return {"max_window_layers": known["max_window_layers"]}
    if asked:
        return {}
    if len({*slides}) == 1:
        return {"all_slide": slides[0]}
    periods = [period for period in range(2, 9) if slides == [(layer + 1) % period > 0 for layer in range(26)]]
    return {"sliding_window_pattern": periods[0]} if periods else {}


def honours_head_dim(kind: str) -> bool:
    """Whether the model of a type has heads of the size that the file says, though its config doesn't know the key."""
    try:
        return held(tiny(kind, head_dim=24), 2, 1)[0][0][2] == 24
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
        return False


def counted() -> list[str]:
    return [kind for kind in [*CAUSAL, *INSIDE] if kind in config_types.TYPES]


def read_inside() -> dict[str, str]:
    """The types of models that also read images or sounds, and whose text is counted: the type of the text."""
    found = {kind: inside(kind) for kind in CAUSAL if kind not in config_types.REFUSED}
    return {kind: text for kind, text in found.items() if text in config_types.TYPES}


def candidates() -> list[str]:
    refused = config_types.REFUSED
    return [kind for kind in [*CAUSAL, *INSIDE] if "text_config" not in fields(kind) and kind not in refused]


if __name__ == "__main__":
    lines = [f"{json.dumps(kind)}: {json.dumps(recorded(kind))}" for kind in sorted(candidates())]
    head = f'{{"transformers": {json.dumps(transformers.__version__)}, "types": {{'
    RECORD.write_text("\n".join([head, ",\n".join(lines), "}}", ""]), encoding="utf-8")
    by_text, found = read_inside(), [kind for kind in CAUSAL if kind in candidates()]
    print(f"{len(CAUSAL)} causal types: {len(found)} counted, {len(by_text)} by the type of their text, "
          f"{len(CAUSAL) - len(found) - len(by_text)} refused")  # fmt: skip
