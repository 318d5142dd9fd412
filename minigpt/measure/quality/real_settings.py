"""Caches and settings whose quality is measured on a real model, in passages of 4,000 tokens.

Rounded numbers share a scale in groups of 32, and but for two settings nothing but the newest chunk stays exact (as in
`settings`). The four ways to group 2 bits hold equal bytes; the window of 746 holds as many at the end.
"""

from minigpt.cache.quantized.codec import NAMES
from minigpt.measure.forms.quantized import BITS, RESIDUAL
from minigpt.measure.quality.settings import exact, rounding, sliding

SIZE = 32  # KIVI's
BOTH = "channel", "token"

REAL_SETTINGS = (
    exact("dynamic"),
    *(rounding("quanto", bits, key, value, SIZE) for bits in BITS for key in BOTH for value in BOTH),
    *(rounding("quanto", 2, key, "token", SIZE, RESIDUAL) for key in BOTH),
    *(rounding("hqq", bits, "token", "token", SIZE) for bits in BITS),
    *(rounding("fp8", 8, name, name, SIZE) for name in NAMES),
    *(sliding(window, sinks) for window in (746, 250) for sinks in (4, 0)),
    *(sliding(window, 4, streaming=True) for window in (746, 250)),
)
