"""The layer at work and the next are here; the others wait in slower memory, where room is cheap."""

from minigpt.cache.offloaded.cache import Offloaded, OffloadedCache, OffloadedStaticCache

__all__ = ["Offloaded", "OffloadedCache", "OffloadedStaticCache"]
