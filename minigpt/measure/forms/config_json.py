"""Reads from a config.json, in transformers' format, what the model keeps for each token."""

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.config_types import ALL_WINDOWS, LEFT_OUT, MULTI_HEAD, NOT_COUNTED

# Names that a config may have for the same number.
LAYERS = "num_hidden_layers", "n_layer"
HEADS = "num_attention_heads", "n_head"
WIDTH = "hidden_size", "n_embd"
KV_HEADS = "num_key_value_heads"
CONTEXT = "max_position_embeddings", "n_positions"

MOST = 10**9  # the largest number accepted in a config; real ones are far smaller
MOST_LAYERS = 10_000


def read(keys: object, source: str) -> Architecture:
    """The Architecture that a config.json describes. keys: its content. source: its name in messages."""
    config = Config(keys, source)
    if config.has("text_config"):  # a model that also reads images
        config = Config(config.keys["text_config"], source)
    context = config.number(*CONTEXT) if any(config.has(key) for key in CONTEXT) else None
    return Architecture(config.kept(), config.windows(), context)


class Config:
    """The keys of a config.json, each checked when it is read. A null counts as missing."""

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

    def number(self, *names: str, most: int = MOST) -> int:
        """The number under the first of these names that is there."""
        key = next(filter(self.has, names), None)
        if key is None:
            raise self.error(f"the config has no {' or '.join(names)}")
        if type(self.keys[key]) is not int or self.keys[key] < 1:
            raise self.error(f"{key} must be a whole number, 1 or more, got {self.keys[key]!r}")
        if self.keys[key] > most:
            raise self.error(f"{key} must be {most:,} at most, got {self.keys[key]:,}")
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
        """For each layer, whether it sees through the window, by transformers' rules."""
        layers = range(self.number(*LAYERS, most=MOST_LAYERS))
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
