"""What a model of transformers keeps for each token: looked at, not inferred from its config."""

from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from minigpt.config import LARGEST, GPTConfig
from minigpt.measure.forms.config_types import CONTEXT

OTHERS = {"chunked_attention": "sees the text in chunks", "dummy": "keeps nothing, or shares what another layer keeps"}


def config_of(model: PreTrainedModel) -> GPTConfig:
    """The config that `make_cache` takes, for a decoder of transformers: its layers, key/value heads, their size, and
    windows. n_embd is the width of these heads together. One token goes through the model, to see what it keeps.

    Raises ValueError, with the reason, for a model that keeps something else than keys and values of one size.
    """
    if not isinstance(model, PreTrainedModel):
        raise ValueError(f"config_of wants a model of transformers, got a {type(model).__name__}")
    name, config = type(model).__name__, model.config.get_text_config(decoder=True)
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise ValueError(f"{name} keeps keys and values of an encoder beside its own, which no cache here does")
    layers = layers_of(name, config)
    with torch.no_grad():
        model(torch.zeros(1, 1, dtype=torch.int64, device=model.device), cache=layers, use_cache=True)
    kinds = sorted(
        {(*each.keys.shape[1::2], *each.values.shape[1::2]) for each in layers.layers if each.is_initialized}
    )
    if len(kinds) != 1 or not layers.is_initialized:
        kept = "; ".join("keys of {} heads of {}, values of {} heads of {}".format(*kind) for kind in kinds)
        raise ValueError(f"{name} must keep keys and values in each layer, all of one size; it keeps {kept or 'none'}")
    heads, size, *values = kinds[0]
    if values != [heads, size]:
        raise ValueError(
            f"{name} keeps keys of {heads} heads of {size} and values of {values[0]} heads of {values[1]}; "
            "a cache here keeps both in one size"
        )
    context = next((each for name in CONTEXT if isinstance(each := getattr(config, name, None), int)), LARGEST)
    windows = [each.sliding_window if each.is_sliding else None for each in layers.layers]
    return GPTConfig(
        vocab_size=config.vocab_size,
        context=context,
        n_layer=len(windows),
        n_head=heads,
        n_embd=heads * size,
        window=windows,
    )


def layers_of(name: str, config) -> Any:
    """transformers' own cache for that config, if each of its layers sees the text whole or through a window."""
    for layer, kind in enumerate(getattr(config, "layer_types", None) or []):
        if kind in OTHERS:
            raise ValueError(f"layer {layer} of {name} is of {kind}: it {OTHERS[kind]}, which no cache here knows")
    layers: Any = DynamicCache(config=config)
    for layer, kept in enumerate(layers.layers):
        if type(kept) not in (DynamicLayer, DynamicSlidingWindowLayer):
            what = type(kept).__name__
            raise ValueError(f"layer {layer} of {name} keeps a {what} instead of keys and values only: not served here")
    return layers
