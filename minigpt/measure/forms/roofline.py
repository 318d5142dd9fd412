"""The least time that work can take: a machine multiplies and reads at once, and the slower of the two decides.

(Williams et al., "Roofline", Communications of the ACM 52(4), 2009.) Only unavoidable bytes count: each weight is read
once a forward pass, new keys and values are written, and those that a query sees are read. What passes from layer to
layer is left out: it can stay on the chip.
"""

from minigpt.config import Config
from minigpt.measure.forms.architecture import architecture_of
from minigpt.measure.forms.flops import decode_flops, prefill_flops
from minigpt.measure.forms.weights import weights


def prefill_nbytes(config: Config, prompt: int, *, itemsize: int, batch: int = 1) -> int:
    """Bytes of the weights, and of the prompt's keys and values, written once and read once."""
    return weights(config) * itemsize + batch * 2 * prompt * kv_nbytes(config, itemsize)


def decode_nbytes(config: Config, tokens: int, *, itemsize: int, batch: int = 1) -> int:
    """Bytes of decoding the last of `tokens`: the weights, its own keys and values written, and those it sees read."""
    model = architecture_of(config)
    seen = model.over_layers(lambda window: tokens if window is None else min(tokens, window + model.sinks))
    return weights(config) * itemsize + batch * (model.layers + seen) * model.numbers * itemsize


def kv_nbytes(config: Config, itemsize: int) -> int:
    """Bytes of one token's keys and values: 2 L K D b, b being the itemsize."""
    model = architecture_of(config)
    return model.layers * model.numbers * itemsize


def prefill_intensity(config: Config, prompt: int, *, itemsize: int, batch: int = 1) -> float:
    """FLOPs a byte in a prefill. Each weight that is read serves every token of the prompt."""
    work = prefill_flops(config, prompt, attention="causal", logits="last", batch=batch)
    return work.total / prefill_nbytes(config, prompt, itemsize=itemsize, batch=batch)


def decode_intensity(config: Config, tokens: int, *, itemsize: int, batch: int = 1) -> float:
    """FLOPs a byte in a decode step. A weight serves one token of each row, a key or value that of its own row."""
    work = decode_flops(config, tokens, attention="causal", batch=batch)
    return work.total / decode_nbytes(config, tokens, itemsize=itemsize, batch=batch)


def decode_attention_intensity(config: Config, itemsize: int) -> float:
    """FLOPs a byte of attention alone: 4 L H D for the 2 L K D b bytes of each token seen, that is 2 (H / K) / b,
    whatever the batch and the length."""
    return 2 * config.n_head / config.n_kv_head / itemsize


def least_seconds(flops: int, nbytes: int, *, flops_per_second: float | int, bytes_per_second: float | int) -> float:
    """The longer of computing and reading. Raises ValueError for a speed that is not above 0."""
    if not (flops_per_second > 0 and bytes_per_second > 0):
        raise ValueError(
            f"a machine's speeds must be above 0, got {flops_per_second!r} FLOP/s and {bytes_per_second!r} bytes/s"
        )
    return max(flops / flops_per_second, nbytes / bytes_per_second)
