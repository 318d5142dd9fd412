"""Old tokens in few bits: `cache` says when a token is rounded, `codec` which numbers share a scale and how a block of
them becomes bytes, `formats` how a number is rounded, `options` what the user may choose, `explain` what was chosen."""

from minigpt.cache.quantized.cache import QuantizedCache

__all__ = ["QuantizedCache"]
