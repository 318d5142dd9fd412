"""Numbers in words, as titles, labels and tables write them."""

import math
import sys
from collections.abc import Iterable

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def listed(beginning: str, parts: Iterable[str]) -> str:
    """A sentence: its beginning, and after it the parts with commas between."""
    return f"{beginning} {', '.join(parts)}."


def in_view(window: int | list | tuple | None, sinks: int) -> str:
    """What a token sees, by a config's window and sinks: the last 64 tokens and the first 4."""
    layers = window if isinstance(window, list | tuple) else [window]
    widths = sorted({each for each in layers if each})
    if not widths:
        return "all tokens"
    last = f"the last {' or '.join(f'{each:,}' for each in widths)} token{'s' * (widths != [1])}"
    some = f", in {sum(map(bool, layers))} of {len(layers)} layers" if None in layers else ""
    return last + (f" and the first {sinks}" if sinks else "") + some


def mb(nbytes: int) -> str:
    """37.7, for 37,748,736 bytes"""
    return f"{nbytes / 1e6:.1f}"


def bound(number: float) -> str:
    """The power of ten above a small number: 10⁻⁶ for 4.7e-7."""
    return power_of_ten(math.floor(math.log10(max(number, sys.float_info.min))) + 1)


def power_of_ten(exponent: int) -> str:
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def subscript(index: int) -> str:
    """The first is 1, as in q₁."""
    return str(index + 1).translate(SUBSCRIPTS)


def words(nbytes: int) -> str:
    """24.0 GiB, for 25,769,803,776 bytes"""
    power = min(4, max(0, nbytes.bit_length() - 1) // 10)
    return f"{nbytes / 1024**power:,.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}" if power else f"{nbytes} bytes"
