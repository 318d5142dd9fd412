"""Caches and settings whose quality is measured on a real model, in passages of 4,000 tokens.

Rounded numbers share a scale in groups of 32, nothing but the newest chunk stays exact (as in `settings`), and the
four ways to group 2 bits hold equal bytes. The first window holds as many bytes at the end.
"""

from minigpt.measure.quality.settings import exact, rounding, sliding

SIZE = 32  # KIVI's

REAL_SETTINGS = (
    exact("dynamic"),
    *(rounding("quanto", 2, key, value, SIZE) for key in ("channel", "token") for value in ("token", "channel")),
    sliding(746, 4),
    rounding("quanto", 4, "channel", "token", SIZE),
    sliding(250, 4),
    sliding(250, 0),
    rounding("quanto", 4, "token", "token", SIZE),
)
