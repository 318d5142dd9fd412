"""The sizes of a Llama, checked once."""

from dataclasses import dataclass
from typing import NamedTuple

from minigpt.config import Config, positive


class Llama3Scaling(NamedTuple):
    """How Llama 3.1 turns slower than it was trained to, to read more: planes that turn less than `low` times within
    the context that was trained are slowed by the factor, those that turn more than `high` times are left, and those
    between are slowed in part."""

    factor: float
    low: float
    high: float
    context: int


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(Config):
    """The sizes of a Llama, Mistral, Qwen2 or Qwen3: those of every `Config` (head_size an even number), and

    rms_norm_eps: as in transformers.
    rope_theta: the base of the rotary frequencies. rope_scaling: None, or how they are slowed.
    qkv_bias, o_bias, mlp_bias: whether the projections to queries, keys and values, the one back, and the MLP's have
        biases. qk_norm: whether queries and keys are normed (before they are turned).
    tied_head: whether the output head is the token embedding.

    Raises ValueError when the sizes don't fit together.
    """

    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: Llama3Scaling | None = None
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    tied_head: bool = False
    mlp_products = 3

    def __post_init__(self):
        super().__post_init__()
        if self.head_size % 2:
            raise ValueError(f"head_size must be even, since channels are turned in pairs, got {self.head_size}")
        positive("rms_norm_eps", self.rms_norm_eps)
        positive("rope_theta", self.rope_theta)
        for name in ("qkv_bias", "o_bias", "mlp_bias", "qk_norm", "tied_head"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.rope_scaling is not None:
            for name, value in self.rope_scaling._asdict().items():
                positive(f"{name} of rope_scaling", value)
            if self.rope_scaling.low >= self.rope_scaling.high:
                raise ValueError(f"rope_scaling must have low below high, got {self.rope_scaling}")
