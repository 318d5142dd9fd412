"""Closed forms of what the quantized caches hold and move in one forward pass."""

from math import gcd, lcm

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.forward_pass import ForwardPass, KVCost

BITS = 8, 4, 2, 1
GROUP = 64  # numbers, or tokens, that share a scale, unless told otherwise
RESIDUAL = 128  # the newest tokens, which stay exact
CHUNK = 128  # the most tokens that a static one is fed at once, unless told otherwise

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
    held = written = copied = 0
    for exact, tokens, nbytes in kinds(at, backend, nbits, q_group_size, group_key, group_value):
        old, now = (max(0, past - residual_length) // tokens for past in (at.before, at.past))  # blocks: before, now
        held += now * nbytes + (at.end - now * tokens) * exact
        written += at.new * exact + (now - old) * nbytes
        copied += (at.past - now * tokens) * exact + (old * nbytes if now > old else 0)
    return at.kept(at.end, nbytes=held, resident=held, written=written, copied=copied)


def quantized_static(
    at: ForwardPass,
    max_cache_len: int | None = None,
    chunk: int = CHUNK,
    backend: str = "quanto",
    nbits: int | None = None,
    q_group_size: int | None = GROUP,
    residual_length: int = RESIDUAL,
    group_key: str | None = None,
    group_value: str | None = None,
) -> KVCost:
    """From the start there are codes, scales and zero-points of all slots, in steps that both groups divide, and a ring
    for residual, an unfinished group and a chunk. Attention is given full-width numbers, of the slots in use."""
    both = kinds(at, backend, nbits, q_group_size, group_key, group_value)
    most = capacity(at.model, max_cache_len)
    step, waiting = (way(*(tokens for _, tokens, _ in both)) for way in (lcm, max))
    slots = -(-most // step) * step
    ring = min(most, residual_length + waiting - 1 + chunk)
    held = written = 0
    for exact, tokens, nbytes in both:
        old, now = (max(0, past - residual_length) // tokens for past in (at.before, at.past))
        held += slots // tokens * nbytes + ring * exact
        written += at.new * exact + (now - old) * nbytes
    return at.kept(slots, nbytes=held, resident=held, written=written)


def kinds(
    at: ForwardPass,
    backend: str,
    nbits: int | None,
    q_group_size: int | None,
    group_key: str | None,
    group_value: str | None,
) -> list[tuple[int, int, int]]:
    """Of keys and of values, over all layers and rows of the batch: bytes of one exact token, tokens of a block, and
    bytes of a rounded block."""
    bits, parameters, *groups = BACKENDS[backend]
    names, found = (group_key or groups[0], group_value or groups[1]), []
    for group, (heads, size) in zip(names, at.model.kept.values(), strict=True):
        exact = at.model.layers * at.batch * heads * size * at.itemsize
        tokens, sharing = block(group, q_group_size or share_of_group(size), heads, size)
        codes = code_nbytes(tokens * heads * size, nbits or bits)
        scales = tokens * heads * size // sharing * parameters * at.itemsize
        found.append((exact, tokens, at.model.layers * at.batch * (codes + scales)))
    return found


def capacity(model: Architecture, max_cache_len: int | None) -> int:
    slots = model.context if max_cache_len is None else max_cache_len
    if slots is None:
        raise ValueError("this config doesn't say for how many tokens its model was made: give max_cache_len")
    return slots


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
