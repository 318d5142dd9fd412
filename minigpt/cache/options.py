"""The options of all caches: as a type, which editors and type checkers read, and in words, which `help` prints."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import TypedDict

from minigpt.cache.base import KVCache
from minigpt.places import Device, Dtype


class CacheOptions(TypedDict, total=False):
    """Every option that some cache takes."""

    batch_size: int
    dtype: Dtype
    device: Device
    max_cache_len: int | None
    chunk: int | None
    folder: str | Path | None
    backend: str
    nbits: int | None
    q_group_size: int
    residual_length: int
    axis_key: int | None
    axis_value: int | None
    group_key: str | None
    group_value: str | None


def options_of(kind: type[KVCache]) -> list[inspect.Parameter]:
    """What its constructor takes beside the config."""
    return [each for each in inspect.signature(kind).parameters.values() if each.name != "config"]


def listing(caches: dict[str, type[KVCache]]) -> str:
    """Each cache, what it is by the first sentence of its docstring, and its options with their defaults."""
    return "\n".join(
        f"{folded(f'{name}: {said(kind)}')}\n{folded(defaults(kind), ' ' * 4)}" for name, kind in caches.items()
    )


def said(kind: type[KVCache]) -> str:
    words = " ".join((inspect.getdoc(kind) or "").split())
    return re.split(r"(?<=\.) ", words)[0]


def defaults(kind: type[KVCache]) -> str:
    return ", ".join(f"{each.name}={each.default!r}" for each in options_of(kind))


def folded(words: str, margin: str = "") -> str:
    return textwrap.fill(words, 100, initial_indent=margin, subsequent_indent=" " * 4)
