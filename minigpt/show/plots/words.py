"""Numbers in words, as titles and labels write them."""

import math

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def mb(nbytes: int) -> str:
    """37.7, for 37,748,736 bytes"""
    return f"{nbytes / 1e6:.1f}"


def bound(number: float) -> str:
    """The power of ten above a small number: 10⁻⁶ for 4.7e-7."""
    return power_of_ten(math.floor(math.log10(number)) + 1)


def power_of_ten(exponent: int) -> str:
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def subscript(index: int) -> str:
    """The first is 1, as in q₁."""
    return str(index + 1).translate(SUBSCRIPTS)
