"""What `generate` is asked for, checked before any work, and turned into what its loop needs."""

import torch
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheFull, cache_options, make_cache
from minigpt.cache.book import UNKNOWN


def plan(model, input_ids, attention_mask, max_new_tokens):
    """The prompt with room for what comes (B, T + new), and the position of each, NEVER at left padding."""
    if (
        not isinstance(input_ids, Tensor)
        or input_ids.ndim != 2
        or input_ids.dtype != torch.int64
        or not input_ids.numel()
    ):
        raise ValueError(
            "input_ids must be an int64 tensor of shape (B, T) with at least one token, got "
            + (f"{input_ids.dtype} {tuple(input_ids.shape)}" if isinstance(input_ids, Tensor) else repr(input_ids))
        )
    if input_ids.device != model.device:
        raise ValueError(f"input_ids are on {input_ids.device}, the model is on {model.device}: move one of them")
    low, high = input_ids.aminmax()
    if low < 0 or high >= model.config.vocab_size:
        raise ValueError(f"input_ids must lie in 0 ... {model.config.vocab_size - 1}, got {int(low)} ... {int(high)}")
    if not is_count(max_new_tokens):
        raise ValueError(f"max_new_tokens must be a whole number, 1 or more, got {max_new_tokens!r}")
    mask = torch.ones_like(input_ids) if attention_mask is None else torch.as_tensor(attention_mask)
    if mask.shape != input_ids.shape or ((mask != 0) & (mask != 1)).any():
        raise ValueError(
            f"attention_mask must be 0 or 1, of the shape of input_ids {tuple(input_ids.shape)}, "
            f"got shape {tuple(mask.shape)}"
        )
    mask = mask.to(input_ids)
    if (mask.diff(dim=1) < 0).any() or not mask[:, -1].all():
        raise ValueError("attention_mask has padding on the right, or an empty row: pad on the left")

    counts = torch.cat([mask, mask.new_ones(len(mask), max_new_tokens)], dim=1).cumsum(1)
    longest = int(counts[:, -1].max()) - 1  # the last token is never fed
    if longest > model.config.context:
        raise ValueError(
            f"{longest + 1 - max_new_tokens} prompt tokens and {max_new_tokens} new ones end at position {longest}, "
            f"but the context is {model.config.context}: max_new_tokens can be "
            f"{max(0, max_new_tokens + model.config.context - longest)} at most"
        )
    positions = (counts - 1).masked_fill(counts == 0, NEVER)
    text = torch.cat([input_ids, input_ids.new_zeros(len(input_ids), max_new_tokens)], dim=1)
    return text, positions


def new_cache(model, batch_size, slots, use_cache, name, options):
    if not use_cache:
        if name != "dynamic" or options:
            raise ValueError("use_cache=False leaves no cache for cache_implementation and its options")
        name = "none"
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


def stop_tokens(model, eos_token_id, pad_token_id):
    """The ids that end a row, as a tensor or None, and the id that fills it afterwards."""
    eos = eos_token_id if isinstance(eos_token_id, list) else [] if eos_token_id is None else [eos_token_id]
    for token in eos + ([] if pad_token_id is None else [pad_token_id]):
        if not isinstance(token, int) or not 0 <= token < model.config.vocab_size:
            raise ValueError(f"eos_token_id and pad_token_id must be ids of the vocabulary, got {token!r}")
    pad = pad_token_id if pad_token_id is not None else eos[0] if eos else None
    return (torch.tensor(eos, device=model.device) if eos else None), pad


def is_count(number) -> bool:
    return isinstance(number, int) and number >= 1
