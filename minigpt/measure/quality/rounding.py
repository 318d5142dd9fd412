"""What rounding does to keys, values, attention scores, weights and outputs, each by itself, in a real model."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.attention import sees
from minigpt.cache import NoCache
from minigpt.cache.quantized.codec import NAMES, Codec, group_shape
from minigpt.cache.quantized.formats import Float8, MinMax
from minigpt.measure.quality.settings import BITS, GROUP

FORMS = [MinMax(bits) for bits in BITS]


@dataclass(frozen=True)
class RoundingError:
    """The errors in one layer when keys and values are rounded to `bits`; `group` says which numbers share a scale.

    All but scores are relative: |rounded - exact| / |exact|, in Frobenius norms. scores: the root mean square error of
    q k / sqrt(D), before the softmax. weights: after the softmax (what KIVI's Table 2 calls attention score).
    output_of_keys: of attention's output when only its keys are rounded; output_of_values: when only its values are.
    """

    layer: int
    bits: int
    group: str
    keys: float
    values: float
    scores: float
    weights: float
    output_of_keys: float
    output_of_values: float


@torch.no_grad()
def heads(model, ids: Int[Tensor, "B T"]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Queries (B, T, H, D), keys and values (B, T, K, D) of each layer, as the model computes them for that text."""
    watched: list[tuple[Tensor, Tensor, Tensor]] = []
    sizes = model.config
    model = model.with_window([*sizes.windows], sizes.sinks, sizes.streaming)  # a copy, which is spoilt here
    for attention in model.attentions:
        attention.qkv = Watched(attention.qkv, watched)
    model.hidden(ids, None, NoCache())
    return watched


@dataclass(frozen=True)
class Watched:
    """A function of which all results are kept."""

    function: Callable
    results: list

    def __call__(self, *given):
        self.results.append(self.function(*given))
        return self.results[-1]


@torch.no_grad()
def errors(
    model, ids: Int[Tensor, "B T"], forms: Iterable[MinMax | Float8] = FORMS, groups: Iterable[str] = NAMES
) -> list[RoundingError]:
    """The rounding errors of each layer, number format and grouping, when all its keys and values are rounded.

    Raises ValueError if the T tokens don't fill whole groups of 64.
    """
    config = model.config
    shape = config.n_kv_head, config.head_size
    codecs = [
        (name, Codec(form, group_shape(name, GROUP, *shape), shape, model.dtype)) for form in forms for name in groups
    ]
    if ids.shape[1] % GROUP:
        raise ValueError(f"{ids.shape[1]} tokens don't fill whole groups of {GROUP}")
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    found = []
    for layer, (q, k, v) in enumerate(heads(model, ids)):
        mask = sees(positions, positions, config.windows[layer], config.sinks)[:, 0]  # (1, T, T)
        exact = scores(q, k)
        weights = exact.masked_fill(~mask, -math.inf).softmax(-1)
        output = mix(weights, v)
        for name, codec in codecs:
            k2, v2 = (codec.read(codec.write(each)) for each in (k, v))
            coarse = scores(q, k2)
            weights2 = coarse.masked_fill(~mask, -math.inf).softmax(-1)
            found.append(
                RoundingError(
                    layer,
                    codec.format.bits,
                    name,
                    keys=relative(k2, k),
                    values=relative(v2, v),
                    scores=(coarse - exact)[mask.expand_as(exact)].square().mean().sqrt().item(),
                    weights=relative(weights2, weights),
                    output_of_keys=relative(mix(weights2, v), output),
                    output_of_values=relative(mix(weights, v2), output),
                )
            )
    return found


def scores(q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S K D"]) -> Float[Tensor, "B H T S"]:
    k = k.repeat_interleave(q.shape[2] // k.shape[2], dim=2)
    return torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(q.shape[-1])


def mix(weights: Float[Tensor, "B H T S"], v: Float[Tensor, "B S K D"]) -> Float[Tensor, "B T H D"]:
    v = v.repeat_interleave(weights.shape[1] // v.shape[2], dim=2)
    return torch.einsum("bhts,bshd->bthd", weights, v)


def relative(rounded: Tensor, exact: Tensor) -> float:
    return ((rounded - exact).norm() / exact.norm()).item()
