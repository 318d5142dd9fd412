"""What a text was too short to show: rounding, and a ring that is full."""

from dataclasses import dataclass

from minigpt.cache.quantized import Rounding
from minigpt.cache_arguments import new_cache
from minigpt.measure.counted.run import served_by
from minigpt.measure.quality.oracle import rounded_by


@dataclass(frozen=True)
class ShortText:
    """fed: tokens of the text. exact: of each cache that has rounded none of them, how many of the newest it keeps
    exact. slots: of each ring that had more from the start than tokens came, how many."""

    fed: int
    exact: dict[str, int]
    slots: dict[str, int]


def short_text(model, names: list[str], prompt: int, new_tokens: int) -> ShortText:
    """Of a prompt of so many tokens that is continued through each of the named caches."""
    chunks = [prompt] + [1] * (new_tokens - 1)  # the last new token is never fed
    found = ShortText(sum(chunks), {}, {})
    for name in names:
        cache = new_cache(served_by(name, model), 1, found.fed, name, {})
        codecs = cache.codecs if isinstance(cache, Rounding) else ()
        if codecs and not any(rounded_by(codec, chunks, cache.residual_length)[-1] for codec in codecs):
            found.exact[name] = cache.residual_length
        if cache.needs_window and cache.room > found.fed:
            found.slots[name] = cache.room
    return found
