"""A tiny random model of transformers, and how it is fed.

It is Starcoder2, whose parts are a Llama's (rotary positions, grouped heads) and a Mistral's (a window); but its norms
stay in float64, where a Llama's round to float32, which would hide what is wrong by less.
"""

import inspect
from functools import cache as remember
from typing import Any

import torch

from minigpt.proof.situations import WINDOW

WINDOWS = {"full": None, "window": WINDOW}
SIZES: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
}


@remember
def model(rule: str):
    from transformers import Starcoder2Config, Starcoder2ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = Starcoder2Config(**SIZES, sliding_window=WINDOWS[rule])
        return Starcoder2ForCausalLM(config).double().eval()


@remember
def keyword() -> str:
    """The argument that takes a cache: it was past_key_values until 5.23."""
    known = inspect.signature(type(model("full")).forward).parameters
    return "cache" if "cache" in known else "past_key_values"


def places(text) -> dict:
    """The mask and the positions of ids, which are -1 where there is padding."""
    mask = (text >= 0).long()
    return {"attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}


def limit(cache) -> int | None:
    """How many tokens the cache takes (None: any). One with a window forgets instead."""
    ask = getattr(cache, "get_max_length", None) or getattr(cache, "get_max_cache_shape", None)
    grows_layers = getattr(cache, "layers", None) == []  # it makes them when it is fed, and can't be asked before
    if ask is None or grows_layers or any(getattr(cache, "is_sliding", [])):
        return None
    most = ask()
    return most if most is not None and most > 0 else None
