"""The caches by name. A new one is a file beside this and a line in the registry."""

import inspect

from minigpt.cache.base import Cache, KVCache
from minigpt.cache.dynamic import ConcatCache, DynamicCache
from minigpt.cache.errors import CacheError, CacheFull
from minigpt.cache.none import NoCache
from minigpt.cache.offloaded import OffloadedCache, OffloadedStaticCache
from minigpt.cache.quantized import QuantizedCache
from minigpt.cache.sliding import SlidingWindowCache
from minigpt.cache.static import StaticCache
from minigpt.config import GPTConfig
from minigpt.from_transformers import INSTEAD

CACHES = {
    "none": NoCache,
    "concat": ConcatCache,
    "dynamic": DynamicCache,
    "static": StaticCache,
    "sliding_window": SlidingWindowCache,
    "quantized": QuantizedCache,
    "offloaded": OffloadedCache,
    "offloaded_static": OffloadedStaticCache,
}


def make_cache(name: str, config: GPTConfig, **options) -> KVCache:
    """An empty cache of that name. Options: batch_size=1, dtype=None, device=None, and those of its kind."""
    known = cache_options(name)
    if not isinstance(config, GPTConfig):
        raise ValueError(f"make_cache wants the config of the model to be served, as model.config, got {config!r}")
    unknown = sorted(set(options) - set(known))
    if unknown:
        windows = (
            "; window and sinks are the model's: with_window, or cache_config" if CACHES[name].needs_window else ""
        )
        theirs = [f"; {each}: {advice}" for each, advice in INSTEAD["make_cache"].items() if each in unknown]
        refusal = f"the {name} cache has no option {', '.join(unknown)}; it has {', '.join(known)}"
        raise ValueError("".join([refusal, *theirs, windows]))
    return CACHES[name](config, **options)


def cache_options(name: str) -> list[str]:
    """The options that the cache of that name knows."""
    if name not in [*CACHES]:
        raise ValueError(f"no cache is named {name!r}; there are {', '.join(CACHES)}")
    return [option for option in inspect.signature(CACHES[name]).parameters if option != "config"]


__all__ = [
    "CACHES",
    "Cache",
    "CacheError",
    "CacheFull",
    "ConcatCache",
    "DynamicCache",
    "KVCache",
    "NoCache",
    "OffloadedCache",
    "OffloadedStaticCache",
    "QuantizedCache",
    "SlidingWindowCache",
    "StaticCache",
    "cache_options",
    "make_cache",
]
