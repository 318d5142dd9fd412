"""Attention of a text that goes on for ever (StreamingLLM; Xiao et al., arXiv 2309.17453, section 3.2)."""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from minigpt.attention import Keys, Mask, Queries, attend
from minigpt.config import Config


def places_back(positions: Int[Tensor, "B T"], config: Config) -> Int[Tensor, "B T"]:
    """How far each query has gone past its place behind all sinks and a full window: 0, or a negative number."""
    most = config.windows[0] + config.sinks  # that a query sees; all layers have one window
    return (most - 1 - positions).clamp(max=0)


def attend_apart(
    near: Queries, far: Queries, k: Keys, v: Keys, mask: Mask | None, k_pos: Int[Tensor, "B *T S"], sinks: int
) -> Queries:
    """One attention in which the sinks are met by the queries `far`, and all other keys by `near`.

    Positions are counted among the tokens that a query sees: the sinks stand right before the window, wherever that is
    by now. A rotary score depends on the distance alone. So neither the sinks nor the tokens of the window are turned
    anew: `near` is the query as turned in the text, `far` as turned to the place where it is counted.

    Each of the two has channels of its own, and a key has zeros in those of the other.
    """
    D, slots = v.shape[-1], k_pos.view(len(k_pos), -1, k_pos.shape[-1]).amin(1)  # NEVER where a query may not look
    sink = slots < sinks
    halves = torch.stack([~sink, sink], dim=-1)[:, :, None, :, None]  # (B, S, 1, 2, 1)
    q = torch.cat([near, far], dim=-1) * 2**0.5  # since attention divides by the root of twice the channels
    k, v = (k[:, :, :, None] * halves).flatten(3), F.pad(v, (0, D))  # values as wide as keys, for a fused kernel
    return attend(q, k, v, mask)[..., :D]
