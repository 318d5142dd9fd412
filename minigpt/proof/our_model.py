"""A small random GPT, and how it is fed."""

from functools import cache as remember

import torch

from minigpt.attention import NEVER
from minigpt.config import GPTConfig
from minigpt.language_model import LanguageModel
from minigpt.proof.situations import LONG, RULES, random_model


@remember
def model(rule: str) -> LanguageModel:
    sizes = {"n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32}
    return random_model(GPTConfig(vocab_size=53, context=LONG, **sizes, **RULES[rule]))


def positions(text):
    """Of ids, which are -1 where there is padding."""
    real = text >= 0
    return (real.cumsum(1) - 1).masked_fill(~real, NEVER)


def fed(gpt, cache, text, new: int):
    """The logits of the last `new` tokens, in as few pieces as the cache can take at once. Where there is no padding,
    the positions are the cache's own to know."""
    step = cache.largest_chunk or new
    ids, at = (each[:, -new:].split(step, dim=1) for each in (text.clamp(min=0), positions(text)))
    own = bool((text >= 0).all())
    return torch.cat([gpt(piece, None if own else place, cache) for piece, place in zip(ids, at, strict=True)], dim=1)
