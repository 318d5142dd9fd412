"""Numbers with a unit, as --context and --fits take them."""

import argparse
import re
from fractions import Fraction

UNITS = {"B": 1} | {
    f"{letter}{binary}B": base**power
    for power, letter in enumerate("KMGT", 1)
    for binary, base in (("i", 1024), ("", 1000))
}
MOST = 2**80  # bytes, more than any memory has
THOUSANDS = {"": 1, "k": 1024, "m": 1024**2}  # of tokens


def tokens(text: str) -> int:
    """Tokens, also in thousands of 1,024, as the makers of models write a context."""
    match = re.fullmatch(r"([0-9]+)([kKmM]?)", text)
    if not match or int(match[1]) < 1:
        raise argparse.ArgumentTypeError(f"must be tokens, 1 or more, as 4096 or 128k (131,072), got {text}")
    return int(match[1]) * THOUSANDS[match[2].lower()]


def size(text: str) -> int:
    """The bytes of a size like 24GiB, rounded down."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    if not match or match[2] not in UNITS or not (nbytes := int(Fraction(match[1]) * UNITS[match[2]])):
        raise argparse.ArgumentTypeError(
            f"must be a size with its unit, as 24GiB (24 x 2^30 bytes) or 24GB (24 x 10^9), got {text}"
        )
    if nbytes > MOST:
        raise argparse.ArgumentTypeError(f"must be {MOST // 2**40:,} TiB at most, got {text}")
    return nbytes
