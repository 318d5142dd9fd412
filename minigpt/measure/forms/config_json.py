"""Reads from a config.json, in transformers' format, what the model keeps for each token."""

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.config_keys import ALONE, Keys, shown
from minigpt.measure.forms.config_types import ALL_SLIDE, CONTEXT, TYPES

MOST_LAYERS = 10_000
MULTI_HEAD = "multihead_attention"


def read(keys: object, source: str) -> Architecture:
    """The Architecture that a config.json describes. keys: its content. source: its name in messages.

    Without a model_type all sizes are read from the other keys, and nothing is filled in. Raises ValueError for a type
    that is not known or keeps something else, and for a key that is missing or wrong.
    """
    config = Config(keys, source)
    if config.has("text_config"):  # a model that also reads images
        config = Config(config.keys["text_config"], source)
    if config.has("model_type") and config.type not in TYPES:
        raise config.error(
            f"model_type {shown(config.type)} is not known here: if each of its layers keeps keys and values as "
            "Llama's do, take model_type out of a copy of the file, and all sizes are read from its other keys"
        )
    return Architecture(config.kept(), config.windows(), config.context())


class Config(Keys):
    """The rules by which transformers reads a config.json, for what is kept of a token."""

    def kept(self) -> dict[str, tuple[int, int]]:
        if self.has("kv_lora_rank"):
            return {"latent": (1, self.number("kv_lora_rank")), "rotary key": (1, self.number("qk_rope_head_dim"))}
        kv_heads, size = self.kv_heads(), self.head_size()
        if self.has("num_attention_heads") and self.number("num_attention_heads") % kv_heads:
            heads = self.number("num_attention_heads")
            raise self.error(f"{heads} query heads can't share {kv_heads} key heads equally: correct one of them")
        return {"keys": (kv_heads, size), "values": (kv_heads, self.value_size(size))}

    def context(self) -> int | None:
        """What the file says under any of the names, before what its type fills in under another."""
        said = (keys for keys in (self.given, self.keys) if any(self.has(name, keys) for name in CONTEXT))
        keys = next(said, None)
        return None if keys is None else self.number(*CONTEXT, of=keys)

    def kv_heads(self) -> int:
        attention = self.keys.get("attn_config") or {}  # of DBRX and MPT
        if not isinstance(attention, dict) or attention.get("attn_type", MULTI_HEAD) != MULTI_HEAD:
            raise self.error(f"attn_config must have {MULTI_HEAD} to be counted here, got {shown(attention)}: {ALONE}")
        if self.has("kv_n_heads", attention):
            return self.number("kv_n_heads", of=attention)
        one = self.keys.get("multi_query") and not self.keys.get("new_decoder_architecture")  # of Falcon and StarCoder
        shared = self.keys.get("multi_query_attention")  # of ChatGLM and OLMo
        if one or (shared and not self.has("num_key_value_heads")):
            return 1
        # Null means as many as query heads, in every type; a key that is not there, only in those that are known.
        null = self.type in TYPES or "num_key_value_heads" in self.keys
        if shared is False or (null and not self.has("num_key_value_heads")):
            return self.number("num_attention_heads")
        return self.number("num_key_value_heads")

    def head_size(self) -> int:
        if self.has("head_dim"):
            return self.number("head_dim")
        width, heads = self.number("hidden_size"), self.number("num_attention_heads")
        if width % heads:
            raise self.error(f"{width} can't be split into {heads} heads of equal size: the config needs a head_dim")
        return width // heads

    def value_size(self, size: int) -> int:
        return self.number("v_head_dim") if self.has("v_head_dim") else size

    def windows(self) -> tuple[int | None, ...]:
        return tuple(self.number("sliding_window") if slides else None for slides in self.sliding())

    def sliding(self) -> list[bool]:
        """For each layer, whether it sees through the window, by transformers' rules."""
        layers = range(self.number("num_hidden_layers", most=MOST_LAYERS))
        if self.has("layer_types"):
            return self.listed("layer_types", self.keys["layer_types"], "full_attention", "sliding_attention")
        if self.has("attention_types"):  # of GPT-Neo
            return self.listed("attention_types", self.unrolled(self.keys["attention_types"]), "global", "local")
        if not self.has("sliding_window") or self.keys.get("use_sliding_window") is False:
            return [False for _ in layers]
        if self.has(ALL_SLIDE):
            return [self.keys[ALL_SLIDE] for _ in layers]
        if self.has("max_window_layers"):
            first = self.number("max_window_layers")
            return [layer >= first for layer in layers]
        if self.has("sliding_window_pattern"):
            period = self.number("sliding_window_pattern")
            return [(layer + 1) % period > 0 for layer in layers]
        raise self.error(
            "the config has a sliding_window, but no layer_types that say which layers use it: add them (a new "
            "transformers writes them when it saves the config), or make sliding_window null to count each layer whole"
        )

    def unrolled(self, turns: list) -> list:
        """[[["global", "local"], 12]] is twelve times these two in turn."""
        try:
            return [kind for kinds, times in turns for kind in [*kinds] * min(times, MOST_LAYERS)]
        except (TypeError, ValueError):
            raise self.error(f'attention_types must be like [[["global", "local"], 12]], got {shown(turns)}') from None

    def listed(self, key: str, kinds: object, full: str, sliding: str) -> list[bool]:
        layers = self.number("num_hidden_layers")
        if not isinstance(kinds, list) or len(kinds) != layers:
            got = len(kinds) if isinstance(kinds, list) else shown(kinds)
            raise self.error(f"{key} must name {layers} layers, as many as num_hidden_layers says, got {got}")
        if unknown := [kind for kind in kinds if kind not in (full, sliding)]:
            raise self.error(f"{key} has {shown(unknown[0])}: only layers of {full} and {sliding} can be counted here")
        return [kind == sliding for kind in kinds]
