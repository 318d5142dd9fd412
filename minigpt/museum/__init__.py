"""Bugs that were seen in public code, or are a character away from right, planted one at a time: the proof must notice
each. BUGS has them by what goes wrong."""

from minigpt.museum import of_dynamic, of_forgetting, of_quantized, of_quantized_static, of_sliding, of_static
from minigpt.museum.bugs import BUGS

__all__ = ["BUGS", "of_dynamic", "of_forgetting", "of_quantized", "of_quantized_static", "of_sliding", "of_static"]
