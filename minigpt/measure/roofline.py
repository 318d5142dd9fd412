"""The least time that work can take: a machine multiplies and reads at once, and the slower of the two decides.

(Williams et al., "Roofline", Communications of the ACM 52(4), 2009.) Counted are the bytes that nothing can spare: each
weight once a forward pass, new keys and values written, and those that a query sees read. What passes from layer to
layer is left out: it can stay on the chip.
"""

from minigpt.config import GPTConfig
from minigpt.measure.cost import decode_flops, prefill_flops, weights


def prefill_nbytes(config: GPTConfig, prompt: int, *, itemsize: int, batch: int = 1) -> int:
    """The weights, and the prompt's keys and values, written once and read once."""
    return weights(config) * itemsize + batch * 2 * prompt * kv_nbytes(config, itemsize)


def decode_nbytes(config: GPTConfig, tokens: int, *, itemsize: int, batch: int = 1) -> int:
    """The weights, the new token's keys and values written, and those that it sees read; it is the last of `tokens`."""
    seen = tokens if config.window is None else min(tokens, config.window + config.sinks)
    return weights(config) * itemsize + batch * (1 + seen) * kv_nbytes(config, itemsize)


def kv_nbytes(config: GPTConfig, itemsize: int) -> int:
    """Of one token: 2 L K D b."""
    return 2 * config.n_layer * config.n_kv_head * config.head_size * itemsize


def prefill_intensity(config: GPTConfig, prompt: int, *, itemsize: int, batch: int = 1) -> float:
    """FLOP a byte. Each weight that is read serves every token of the prompt."""
    work = prefill_flops(config, prompt, attention="causal", logits="last", batch=batch)
    return work.total / prefill_nbytes(config, prompt, itemsize=itemsize, batch=batch)


def decode_intensity(config: GPTConfig, tokens: int, *, itemsize: int, batch: int = 1) -> float:
    """FLOP a byte. Each weight serves one token of each row, and each key and value one token of its own row."""
    work = decode_flops(config, tokens, attention="causal", batch=batch)
    return work.total / decode_nbytes(config, tokens, itemsize=itemsize, batch=batch)


def decode_attention_intensity(config: GPTConfig, itemsize: int) -> float:
    """FLOP a byte of attention alone: 4 L H D for the 2 L K D b bytes of each token seen, so 2 (H / K) / b. Neither
    the batch nor the length changes it."""
    return 2 * config.n_head / config.n_kv_head / itemsize


def least_seconds(flops: float, nbytes: float, *, flops_per_second: float, bytes_per_second: float) -> float:
    """By the roofline. Raises ValueError for a machine that does nothing."""
    if not (flops_per_second > 0 and bytes_per_second > 0):
        raise ValueError(
            f"a machine's speeds must be above 0, got {flops_per_second!r} FLOP/s and {bytes_per_second!r} bytes/s"
        )
    return max(flops / flops_per_second, nbytes / bytes_per_second)
