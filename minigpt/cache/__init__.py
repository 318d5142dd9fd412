"""The caches by name. A new one is a file beside this and a line in the registry."""

from typing import TYPE_CHECKING, Any

from minigpt.cache.base import Cache, KVCache
from minigpt.cache.dynamic import ConcatCache, DynamicCache
from minigpt.cache.errors import CacheError, CacheFull
from minigpt.cache.none import NoCache
from minigpt.cache.offloaded import OffloadedCache, OffloadedStaticCache
from minigpt.cache.options import CacheOptions, listing, options_of
from minigpt.cache.quantized import QuantizedCache, QuantizedStaticCache
from minigpt.cache.sliding import SlidingWindowCache
from minigpt.cache.static import StaticCache
from minigpt.config import Config
from minigpt.from_transformers import INSTEAD

if TYPE_CHECKING:
    from typing_extensions import Unpack

CACHES: dict[str, type[KVCache]] = {
    "none": NoCache,
    "concat": ConcatCache,
    "dynamic": DynamicCache,
    "static": StaticCache,
    "sliding_window": SlidingWindowCache,
    "quantized": QuantizedCache,
    "quantized_static": QuantizedStaticCache,
    "offloaded": OffloadedCache,
    "offloaded_static": OffloadedStaticCache,
}


def make_cache(name: str, config: Config, **options: "Unpack[CacheOptions]") -> KVCache:
    """An empty cache of that name, for the model of that config (`model.config`). Raises ValueError."""
    known = cache_options(name)
    if not isinstance(config, Config):
        raise ValueError(
            f"make_cache wants the config of the model to be served, as model.config, got a {type(config).__name__}"
        )
    unknown = sorted(set(options) - set(known))
    if unknown:
        models = "; window, sinks and streaming are the model's: with_window, or cache_config"
        theirs = [f"; {each}: {advice}" for each, advice in INSTEAD["make_cache"].items() if each in unknown]
        refusal = f"the {name} cache has no option {', '.join(unknown)}; it has {', '.join(known)}"
        raise ValueError("".join([refusal, *theirs, models if CACHES[name].needs_window else ""]))
    kind: Any = CACHES[name]
    return kind(config, **options)


make_cache.__doc__ = f"{make_cache.__doc__}\n\nThe caches, and the options of each:\n\n{listing(CACHES)}"


def cache_options(name: str) -> list[str]:
    """The options that the cache of that name knows."""
    if name not in [*CACHES]:
        raise ValueError(f"no cache is named {name!r}; there are {', '.join(CACHES)}")
    return [option.name for option in options_of(CACHES[name])]


__all__ = [
    "CACHES",
    "Cache",
    "CacheError",
    "CacheFull",
    "CacheOptions",
    "ConcatCache",
    "DynamicCache",
    "KVCache",
    "NoCache",
    "OffloadedCache",
    "OffloadedStaticCache",
    "QuantizedCache",
    "QuantizedStaticCache",
    "SlidingWindowCache",
    "StaticCache",
    "cache_options",
    "make_cache",
]
