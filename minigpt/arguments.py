"""Checks every argument of `generate` before any work, and turns it into what its loop needs."""

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheFull, KVCache, cache_options, make_cache
from minigpt.cache.errors import described
from minigpt.cache.text import UNKNOWN


def plan(model, input_ids, attention_mask, max_new_tokens):
    """The prompt with room for new tokens (B, T + new); and the position of each token, NEVER for left padding, or None
    if nothing is padded: then they are 0, 1, 2, ..."""
    if isinstance(input_ids, Tensor) and input_ids.device != model.device:
        raise ValueError(f"input_ids are on {input_ids.device}, the model is on {model.device}: move one of them")
    check_numbers("input_ids", input_ids, model.config.vocab_size, "the vocabulary")
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

    room = model.config.context - int(mask.sum(1).max())  # for tokens that are fed; the last is never fed
    if max_new_tokens - 1 > room:
        raise ValueError(
            f"{model.config.context - room} prompt tokens and {max_new_tokens} new ones end at position "
            f"{model.config.context - room + max_new_tokens - 1}, but the context is {model.config.context}: "
            f"max_new_tokens can be {max(0, room + 1)} at most"
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
    check_numbers("positions", real, context, "the context, whose positions were learned")
    if positions.shape != ids.shape:
        raise ValueError(f"positions must have the shape of ids, {tuple(ids.shape)}, got {tuple(positions.shape)}")


def model_and_cache(model, cache, rows, slots, use_cache, name: str | None, cache_config, max_cache_len):
    """The model, with the window that cache_config may set for this call; and the given cache, or an empty one."""
    if cache is not None:
        if (
            use_cache is not True
            or name not in (None, "dynamic")
            or cache_config is not None
            or max_cache_len is not None
        ):
            raise ValueError("cache= is used as it is: leave out use_cache and the options of a new cache")
        return model, known_cache(cache)
    options = {} if cache_config is None else cache_config
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise ValueError(f"cache_config must be a dict of a cache's options, got {cache_config!r}")
    options = options | ({} if max_cache_len is None else {"max_cache_len": max_cache_len})
    if "window" in options:
        model = model.with_window(options.pop("window"), options.pop("sinks", 0))
    return model, new_cache(model, rows, slots, implementation(use_cache, name, options), options)


def implementation(use_cache: bool, name: str | None, options: dict) -> str:
    """The name of the cache that is asked for. None is transformers' default, its dynamic cache."""
    name = "dynamic" if name is None else name
    if use_cache:
        return name
    if name != "dynamic" or options:
        raise ValueError("use_cache=False leaves no cache for cache_implementation and its options")
    return "none"


def known_cache(cache):
    if not isinstance(cache, KVCache):
        raise ValueError(f"cache must be one that make_cache gives, got {cache!r}")
    return cache


def new_cache(model, batch_size: int, slots: int, name: str, options: dict):
    """An empty cache for the model. slots: how many this text needs, for a cache that takes a max_cache_len."""
    sizes = {"batch_size": batch_size, "dtype": model.dtype, "device": model.device, "max_cache_len": slots}
    known = {option: size for option, size in sizes.items() if option in cache_options(name)}
    return make_cache(name, model.config, **(known | options))


def check_cache(model, cache, input_ids, positions, slots):
    """The cache must serve this model, have room, and hold a proper prefix of the text, or nothing."""
    cache.serve(model, len(input_ids))
    if cache.capacity is not None and slots > cache.capacity:
        raise CacheFull(f"needs {slots} slots (the last token takes none), has {cache.capacity}: raise max_cache_len")
    if not cache.length:
        return
    held = cache.length
    if held >= input_ids.shape[1]:
        raise CacheError(
            f"the cache holds {held} tokens, input_ids only {input_ids.shape[1]}: give the whole text so far, "
            "with at least one token that the cache has not seen, or take tokens back with crop(-n)"
        )
    if positions is None:
        positions = torch.arange(held, device=model.device).expand(len(input_ids), held)
    if not torch.equal(cache.positions, positions[:, :held]):
        raise CacheError("the cache was filled with other left padding than attention_mask says")
    if (cache.ids == UNKNOWN).any():
        raise CacheError("the cache was filled by admit without ids, so its text can't be checked against input_ids")
    differs = (cache.ids != input_ids[:, :held]) & (cache.positions != NEVER)
    if differs.any():
        row, column = differs.nonzero()[0].tolist()
        raise CacheError(
            f"the cache holds another text: row {row}, token {column} is {int(cache.ids[row, column])} in the cache "
            f"and {int(input_ids[row, column])} in input_ids; reset() it, or crop(-n) to what they share"
        )


def check_chunk_size(size, cache) -> None:
    if size is not None and (not is_count(size) or not cache.keeps):
        raise ValueError(f"prefill_chunk_size {size!r} must be 1 or more, with a cache that keeps the pieces")


def is_count(number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
