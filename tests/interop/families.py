"""Tiny models of transformers, of ten families, with random weights in float64; and texts for them.

Without transformers, the tests that import this skip, and say so.
"""

from functools import cache as remember

import pytest
import torch
from helpers import left_padding, random_ids, spread

transformers = pytest.importorskip("transformers", reason="pip install 'transformers>=5.24'")
pytest.importorskip("minigpt.interop", reason="pip install 'transformers>=5.24'", exc_type=ImportError)

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
WINDOW = {"sliding_window": 6}
HYBRID = {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
NO_ENDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
FAMILIES = {
    "llama": {},
    "qwen2": {"use_sliding_window": False},
    "qwen3": {"head_dim": 12},
    "gpt2": {},
    "mistral": WINDOW,
    "phi3": {"sliding_window": None},
    "starcoder2": WINDOW,
    "olmo2": {},
    "olmo3": HYBRID,
    "gemma3_text": {**HYBRID, "head_dim": 16, "tie_word_embeddings": False},
}
TOLERANCE = 1e-10


@remember
def model(family: str, attention: str = "sdpa"):
    """Query heads of 8 channels, unless the family's config gives the head another size."""
    config = transformers.AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family], **NO_ENDS})
    theirs = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.float64)
    return spread(theirs, seed=7)


def text(pads: list[int], length: int, seed=0):
    """Ids, their attention_mask, and their positions as transformers' generate counts them."""
    mask = left_padding(pads, length)
    return random_ids(len(pads), length, seed), mask, (mask.cumsum(1) - 1).masked_fill(mask == 0, 0)


@torch.no_grad()
def uncached(theirs, ids, mask, positions):
    return theirs(ids, attention_mask=mask, position_ids=positions, use_cache=False).logits


@torch.no_grad()
def in_chunks(theirs, cache, ids, mask, positions, sizes):
    """The logits of all tokens, fed in chunks of these sizes."""
    start, logits = 0, []
    for size in sizes:
        end = start + size
        given = {"attention_mask": mask[:, :end], "position_ids": positions[:, start:end]}
        logits.append(theirs(ids[:, start:end], cache=cache, **given).logits)
        start = end
    return torch.cat(logits, dim=1)


def off(got, want, mask):
    """The largest difference at a token that is no padding, of the largest logit."""
    return ((got - want).abs().amax(-1) * mask[:, : got.shape[1]]).max() / want.abs().max()


def generate(theirs, ids, mask, new=10, **how):
    return theirs.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=0, **how)
