"""Every cache of the registry, with the options that let it show what it does in short texts."""

from typing import Any

from minigpt.cache import make_cache
from minigpt.proof.oracles import OPTIONS
from minigpt.proof.ours import Ours
from minigpt.proof.situations import NAMES


def our_caches() -> dict[str, Ours]:
    """By name."""
    return {name: house(name) for name in NAMES}


def house(name: str) -> Ours:
    options: dict[str, Any] = dict(OPTIONS.get(name, {}))
    given = ", ".join([f"{name!r}", "{}", *(f"{option}={value!r}" for option, value in options.items())])

    def make(config, **sizes):
        return make_cache(name, config, **sizes, **options)

    return Ours(make, "from minigpt import make_cache", f"make_cache({given})", name)
