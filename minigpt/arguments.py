"""Checks what a model is given, before any work, and turns a prompt into what the loop of `generate` needs."""

from typing import TypeVar

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import KVCache
from minigpt.cache.errors import described

Value = TypeVar("Value")


def known(given: Value | None, default: Value) -> Value:
    """None, given for an argument, stands for its default, as in transformers."""
    return default if given is None else given


def plan(model, input_ids, attention_mask, max_new_tokens):
    """The prompt with room for new tokens (B, T + new); and the position of each token, NEVER for left padding, or None
    if nothing is padded: then they are 0, 1, 2, ..."""
    if isinstance(input_ids, Tensor) and input_ids.device != model.device:
        raise ValueError(f"input_ids are on {input_ids.device}, the model is on {model.device}: move one of them")
    check_numbers("input_ids", input_ids, model.config.vocab_size, "the vocabulary")
    max_new_tokens = known(max_new_tokens, 20)
    if not is_count(max_new_tokens):
        raise ValueError(f"max_new_tokens must be a whole number, 1 or more, got {max_new_tokens!r}")
    try:
        mask = torch.ones_like(input_ids) if attention_mask is None else torch.as_tensor(attention_mask)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"attention_mask must be a tensor of 0 and 1, got {attention_mask!r}") from error
    if mask.shape != input_ids.shape or ((mask != 0) & (mask != 1)).any():
        raise ValueError(
            f"attention_mask must be 0 or 1, of the shape of input_ids {tuple(input_ids.shape)}, "
            f"got shape {tuple(mask.shape)}"
        )
    mask = mask.to(input_ids)
    if (mask.diff(dim=1) < 0).any() or not mask[:, -1].all():
        raise ValueError("attention_mask has padding on the right, or an empty row: pad on the left")

    prompt = int(mask.sum(1).max())
    room = model.config.longest - prompt  # for tokens that are fed; the last is never fed
    if max_new_tokens - 1 > room:
        raise ValueError(
            f"{prompt} prompt tokens and {max_new_tokens} new ones end at position {prompt + max_new_tokens - 1}, but "
            f"the context is {model.config.longest}: max_new_tokens can be {max(0, room + 1)} at most"
        )
    text = torch.cat([input_ids, input_ids.new_zeros(len(input_ids), max_new_tokens)], dim=1)
    if mask.all():
        return text, None
    counts = torch.cat([mask, mask.new_ones(len(mask), max_new_tokens)], dim=1).cumsum(1)
    return text, (counts - 1).masked_fill(counts == 0, NEVER)


def check_numbers(name: str, given, end: int, limit: str) -> None:
    """Ids or positions: int64, (B, T), at least one token, in 0 ... end - 1. limit: what sets the end."""
    if not isinstance(given, Tensor) or given.ndim != 2 or given.dtype != torch.int64 or not given.numel():
        raise ValueError(f"{name} must be int64 of shape (B, T), with at least one token, got {described(given)}")
    low, high = (bound.item() for bound in given.aminmax())
    if low < 0 or high >= end:
        raise ValueError(f"{name} must lie in 0 ... {end - 1} ({limit}), got {low} ... {high}")


def check_positions(positions, ids: Tensor, context: int) -> None:
    """As the context says, and of the shape of ids; padding stands at NEVER."""
    real = positions.masked_fill(positions == NEVER, 0) if isinstance(positions, Tensor) else positions
    check_numbers("positions", real, context, "the context")
    if positions.shape != ids.shape:
        raise ValueError(f"positions must have the shape of ids, {tuple(ids.shape)}, got {tuple(positions.shape)}")


def known_cache(cache):
    if not isinstance(cache, KVCache):
        raise ValueError(f"cache must be one that make_cache gives, got {cache!r}")
    return cache


def repeated(count: int, text, positions, cache):
    """The text and its positions, each row `count` times, side by side; and so in the cache."""
    if count == 1:
        return text, positions
    rows = torch.arange(len(text)).repeat_interleave(count)
    cache.select(rows)
    return text[rows], None if positions is None else positions[rows]


def is_count(number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
