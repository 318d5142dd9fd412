"""Where a cache of ours enters a model of transformers: what can't be served is refused here."""

from typing import Any

import torch
from transformers import PreTrainedModel

from minigpt.cache import CACHES, Cache, CacheError, KVCache, make_cache
from minigpt.config import Config
from minigpt.interop.announce import announcing
from minigpt.interop.ours_there import CacheOfOurs, as_ours
from minigpt.interop.sizes import config_of


def to_transformers(cache: KVCache, model: PreTrainedModel) -> CacheOfOurs:
    """A cache of ours, made for `config_of(model)`, as `model.generate(..., cache=...)` takes it.

    While it is empty it takes as many rows as come. The model gets a hook that announces each pass to such a cache:
    which tokens come, and which are padding. What can't be served raises ValueError or CacheError, with the
    reason.
    """
    return served(cache, model, config_of(model))


def cache_for(model: PreTrainedModel, name: str, **options: Any) -> CacheOfOurs:
    """The cache of that name (see `make_cache`, also for its options), empty, for a model of transformers."""
    config = config_of(model)
    if name in CACHES and CACHES[name].needs_window and config.window is None:
        raise ValueError(
            f"this model sees all tokens before, and a {name} cache would forget some: it serves a model of "
            "transformers whose own config has a window (`sliding_window`, as Mistral's)"
        )
    return served(make_cache(name, config, **{"dtype": model.dtype, "device": model.device, **options}), model, config)


def served(cache: KVCache, model: PreTrainedModel, config: Config) -> CacheOfOurs:
    if not isinstance(cache, Cache):
        raise ValueError(f"a model of transformers is served by a cache that keeps something, not by {cache!r}")
    wanted, got = sizes(config), sizes(cache.config)
    if wanted != got:
        differ = ", ".join(f"{name} {got[name]} for {wanted[name]}" for name in wanted if wanted[name] != got[name])
        raise CacheError(
            f"the cache was made for another model than this {type(model).__name__} ({differ}): make it for "
            "config_of(model). Windows are the model's own, and sinks no mask of transformers knows"
        )
    decoder = model.get_decoder()  # the part that any way of calling the model comes through
    with torch.no_grad():
        cache.serve(as_ours(decoder, cache.config), cache.batch_size)
    return CacheOfOurs(cache, announcing(decoder))


def sizes(config: Config) -> dict:
    return {name: getattr(config, name) for name in ("n_layer", "n_kv_head", "head_size", "windows", "sinks")}
