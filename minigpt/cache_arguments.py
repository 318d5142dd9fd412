"""Checks the arguments of `generate` that say which cache serves, and turns them into it."""

from collections.abc import Callable

import torch

from minigpt.arguments import is_count, known, known_cache
from minigpt.attention import NEVER
from minigpt.cache import CacheError, CacheFull, KVCache, cache_options, make_cache
from minigpt.cache.text import UNKNOWN


def with_its_window(model, cache_config) -> tuple:
    """The model, with the window that cache_config may set for this call; and what else is there (None: as given)."""
    if cache_config is None:
        return model, None
    if not isinstance(cache_config, dict) or not all(isinstance(name, str) for name in cache_config):
        raise ValueError(f"cache_config must be a dict of a cache's options, got {cache_config!r}")
    if "window" not in cache_config:
        return model, cache_config
    window = {name: cache_config[name] for name in ("window", "sinks", "streaming") if name in cache_config}
    return model.with_window(**window), {name: each for name, each in cache_config.items() if name not in window}


def cache_for(model, cache, rows: int, slots: int, use_cache, name: str | None, options: dict | None, max_cache_len):
    """The given cache, or an empty one."""
    use_cache = known(use_cache, True)
    if not isinstance(use_cache, bool):
        raise ValueError(f"use_cache must be True or False, got {use_cache!r}")
    if cache is not None:
        options_given = options is not None or max_cache_len is not None
        if not use_cache or name not in (None, "dynamic") or options_given:
            raise ValueError("cache= is used as it is: leave out use_cache and the options of a new cache")
        return known_cache(cache)
    options = (options or {}) | ({} if max_cache_len is None else {"max_cache_len": max_cache_len})
    return new_cache(model, rows, slots, implementation(use_cache, name, options), options)


def implementation(use_cache: bool, name: str | None, options: dict) -> str:
    """The name of the cache that is asked for."""
    name = known(name, "dynamic")
    if use_cache:
        return name
    if name != "dynamic" or options:
        raise ValueError("use_cache=False leaves no cache for cache_implementation and its options")
    return "none"


def new_cache(model, batch_size: int, slots: int, name: str, options: dict):
    """An empty cache for the model. slots: how many this text needs, for a cache that takes a max_cache_len."""
    sizes = {"batch_size": batch_size, "dtype": model.dtype, "device": model.device, "max_cache_len": slots}
    taken = {option: size for option, size in sizes.items() if option in cache_options(name)}
    return make_cache(name, model.config, **(taken | options))


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


def compiled_step(model, cache: KVCache) -> Callable:
    """Imported only here: it brings the compiler with it."""
    from minigpt.compiled import CompiledStep

    return CompiledStep(model, cache)
