"""What a model keeps of each token, read from its config.json."""

import json
from dataclasses import dataclass
from pathlib import Path

from minigpt.measure.models import ALL_WINDOWS, CONFIGS, LEFT_OUT, MULTI_HEAD

RECALL = Path(__file__).parent.parent / "recall" / "weights"
NAMES = "recall", *CONFIGS

# Names that a config may have for the same number.
LAYERS = "num_hidden_layers", "n_layer"
HEADS = "num_attention_heads", "n_head"
WIDTH = "hidden_size", "n_embd"
KV_HEADS = "num_key_value_heads"
CONTEXT = "max_position_embeddings", "n_positions"

# Keys that change what is kept in a way that is not counted here.
NOT_COUNTED = {
    "attention_chunk_size": "layers that see only their own chunk",
    "attn_layer_period": "layers without attention",
    "attn_type_list": "layers without attention",
    "block_configs": "layers of different sizes",
    "cross_attention_layers": "keys and values of images",
    "full_attention_interval": "layers of linear attention",
    "global_head_dim": "layers of different sizes",
    "hybrid_override_pattern": "layers without attention",
    "index_head_dim": "an index beside the keys",
    "is_encoder_decoder": "keys and values of an encoder",
    "layers_block_type": "layers without attention",
    "mamba_d_state": "a state beside the keys",
    "num_global_key_value_heads": "layers of different sizes",
    "num_kv_shared_layers": "layers that share keys and values",
    "ssm_cfg": "a state instead of keys",
    "swa_num_key_value_heads": "layers of different sizes",
}


@dataclass(frozen=True)
class Architecture:
    """What a model keeps of each token, in each layer.

    kept: heads and their size, of each thing kept: of keys and of values; or, in multi-head latent attention
        (DeepSeek-V2, arXiv 2405.04434, section 2.1), of the latent that all heads share and of the rotary key.
    windows: how many tokens each layer sees, None where all.
    context: the most tokens that the model was made for, None where the config doesn't say.
    """

    kept: dict[str, tuple[int, int]]
    windows: tuple[int | None, ...]
    context: int | None


def load(name: str) -> Architecture:
    """That of a model by name, or of a config.json in transformers' format, or of a folder that has one.

    Raises ValueError for an unknown name, and for a config that can't be read, with its key.
    """
    if name in CONFIGS:
        return read(CONFIGS[name], name)
    path = RECALL if name == "recall" else Path(name)
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(
            f"{name}: no such file or folder with a config.json, nor a model known by name; "
            f"these are: {', '.join(NAMES)}"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from error
    return read(config, str(path))


def read(keys: object, source: str) -> Architecture:
    """From the keys of a config.json. source: what messages call it."""
    config = Config(keys, source)
    if config.has("text_config"):  # of a model that reads images too
        config = Config(config.keys["text_config"], source)
    context = config.number(*CONTEXT) if any(config.has(key) for key in CONTEXT) else None
    return Architecture(config.kept(), config.windows(), context)


class Config:
    """The keys of a config.json, each checked when it is read. A key that is null is as good as not there."""

    def __init__(self, keys: object, source: str):
        if not isinstance(keys, dict):
            raise ValueError(f"{source}: must be a JSON object, as transformers' config.json, got {keys!r}")
        self.keys, self.source = LEFT_OUT.get(str(keys.get("model_type")), {}) | keys, source
        for key, what in NOT_COUNTED.items():
            if self.keys.get(key):
                raise self.error(f"{key} {self.keys[key]!r} means {what}, which can't be counted here")

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.source}: {message}")

    def has(self, key: str) -> bool:
        return self.keys.get(key) is not None

    def number(self, *names: str) -> int:
        """The number that has one of these names."""
        key = next(filter(self.has, names), None)
        if key is None:
            raise self.error(f"the config has no {' or '.join(names)}")
        if type(self.keys[key]) is not int or self.keys[key] < 1:
            raise self.error(f"{key} must be a whole number, 1 or more, got {self.keys[key]!r}")
        return self.keys[key]

    def kept(self) -> dict[str, tuple[int, int]]:
        if self.has("kv_lora_rank"):
            return {"latent": (1, self.number("kv_lora_rank")), "rotary key": (1, self.number("qk_rope_head_dim"))}
        heads = self.number(*HEADS)
        size = self.head_size(heads)
        if self.has("v_head_dim") and self.number("v_head_dim") != size:
            raise self.error(
                f"v_head_dim {self.keys['v_head_dim']} is not head_dim {size}, which can't be counted here"
            )
        # Null means as many as query heads, in every type; a key that is not there, only in some.
        multi_head = self.keys.get("model_type") in MULTI_HEAD
        alike = self.keys[KV_HEADS] is None if KV_HEADS in self.keys else multi_head
        kv_heads = heads if alike else self.number(KV_HEADS)
        if heads % kv_heads:
            raise self.error(f"{heads} query heads can't share {kv_heads} key heads equally")
        return dict.fromkeys(("keys", "values"), (kv_heads, size))

    def head_size(self, heads: int) -> int:
        if self.has("head_dim"):
            return self.number("head_dim")
        width = self.number(*WIDTH)
        if width % heads:
            raise self.error(f"{width} can't be split into {heads} heads of equal size: the config needs a head_dim")
        return width // heads

    def windows(self) -> tuple[int | None, ...]:
        return tuple(self.number("sliding_window") if slides else None for slides in self.sliding())

    def sliding(self) -> list[bool]:
        """Of each layer whether it sees through the window, by transformers' rules."""
        layers = range(self.number(*LAYERS))
        if self.has("layer_types"):
            kinds = self.keys["layer_types"]
            if not isinstance(kinds, list) or len(kinds) != len(layers):
                raise self.error(f"layer_types must name {len(layers)} layers, got {kinds!r}")
            if unknown := [kind for kind in kinds if kind not in ("full_attention", "sliding_attention")]:
                raise self.error(
                    f"layer_types has {unknown[0]!r}: only full_attention and sliding_attention can be counted here"
                )
            return [kind == "sliding_attention" for kind in kinds]
        if not self.has("sliding_window") or self.keys.get("use_sliding_window") is False:
            return [False for _ in layers]
        if self.keys.get("use_sliding_window"):
            first = self.number("max_window_layers")
            return [layer >= first for layer in layers]
        if self.has("sliding_window_pattern"):
            period = self.number("sliding_window_pattern")
            return [(layer + 1) % period > 0 for layer in layers]
        if self.keys.get("model_type") not in ALL_WINDOWS:
            raise self.error("the config has a sliding_window, but no layer_types that say which layers use it")
        return [True for _ in layers]
