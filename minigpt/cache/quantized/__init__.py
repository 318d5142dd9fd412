"""Old tokens in few bits: `cache` grows, `static` has all its memory from the start, and `rounding` is what they share.
`ring_and_codes` is where `static` keeps its tokens (codes in `planes`); `codec` says which numbers share a scale and
how a block of them becomes bytes, `formats` how a number is rounded, `options` what the user may choose, `explain` what
was chosen."""

from minigpt.cache.quantized.cache import QuantizedCache
from minigpt.cache.quantized.rounding import Rounding
from minigpt.cache.quantized.static import QuantizedStaticCache

__all__ = ["QuantizedCache", "QuantizedStaticCache", "Rounding"]
