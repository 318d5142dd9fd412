"""Closed form of what a quantized cache holds and moves in one forward pass."""

from math import gcd

from minigpt.measure.forms.forward_pass import ForwardPass, KVCost

BITS = 8, 4, 2, 1
GROUP = 64  # numbers, or tokens, that share a scale, unless told otherwise
RESIDUAL = 128  # the newest tokens, which stay exact

# backend: (bits, numbers that a group keeps beside its codes, how keys are grouped, how values are)
BACKENDS = {
    "quanto": (4, 2, "token", "token"),
    "hqq": (4, 2, "token", "token"),
    "fp8": (8, 1, "tensor", "tensor"),
    "kivi": (2, 2, "channel", "token"),
}


def quantized(
    at: ForwardPass,
    backend: str = "quanto",
    nbits: int | None = None,
    q_group_size: int | None = GROUP,
    residual_length: int = RESIDUAL,
    group_key: str | None = None,
    group_value: str | None = None,
) -> KVCost:
    """Old tokens are kept as codes, scales and zero-points, the newest exactly. Attention is given full-width numbers.

    Options are those of make_cache("quantized"); and q_group_size None: the most that divides both GROUP and a head.
    """
    bits, parameters, *groups = BACKENDS[backend]
    bits = nbits or bits
    held = written = copied = 0
    for group, (heads, size) in zip(
        (group_key or groups[0], group_value or groups[1]), at.model.kept.values(), strict=True
    ):
        exact = at.model.layers * at.batch * heads * size * at.itemsize  # bytes of one token's keys, or values
        tokens, sharing = block(group, q_group_size or share_of_group(size), heads, size)
        codes = code_nbytes(tokens * heads * size, bits)
        scales = tokens * heads * size // sharing * parameters * at.itemsize
        nbytes = at.model.layers * at.batch * (codes + scales)  # bytes of one block
        old, now = (max(0, past - residual_length) // tokens for past in (at.before, at.past))  # blocks: before, now
        held += now * nbytes + (at.end - now * tokens) * exact
        written += at.new * exact + (now - old) * nbytes
        copied += (at.past - now * tokens) * exact + (old * nbytes if now > old else 0)
    return at.kept(at.end, nbytes=held, resident=held, written=written, copied=copied)


def block(group: str, size: int, heads: int, head_size: int) -> tuple[int, int]:
    """Tokens that are rounded together, and numbers that share a scale."""
    if group == "token":
        return max(1, size // head_size), size
    return size, size * {"channel": 1, "head": head_size, "tensor": head_size * heads}[group]


def code_nbytes(numbers: int, bits: int) -> int:
    if bits not in BITS:
        raise ValueError(f"bits must be 8, 4, 2 or 1, got {bits!r}")
    if numbers * bits % 8:
        raise ValueError(f"{numbers} codes of {bits} bits don't fill whole bytes")
    return numbers * bits // 8


def share_of_group(size: int) -> int:
    """How many numbers share a scale in a head of that size: the most that divides both GROUP and the head."""
    return gcd(GROUP, size)
