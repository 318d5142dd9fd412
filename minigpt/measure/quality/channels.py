"""How large each channel of a model's keys and values is, layer by layer, in prose: what a shared scale must span."""

from dataclasses import dataclass
from statistics import median

from jaxtyping import Int
from torch import Tensor

from minigpt.measure.quality.rounding import heads

DIGITS = 4  # that are recorded


@dataclass(frozen=True)
class ChannelSizes:
    """keys, values: of each layer, the root mean square of each channel over the tokens, head after head."""

    tokens: int
    keys: list[list[float]]
    values: list[list[float]]

    def largest(self, name: str) -> list[float]:
        """Of each layer, how many times as large as the median channel the largest is. name: keys or values."""
        return [max(sizes) / median(sizes) for sizes in getattr(self, name)]


def channel_sizes(model, ids: Int[Tensor, "B T"]) -> ChannelSizes:
    """Those of the model as it reads that text."""
    _, *both = zip(*heads(model, ids.to(model.device)), strict=True)
    return ChannelSizes(ids.numel(), *([rms(x) for x in layers] for layers in both))


def rms(x: Tensor) -> list[float]:
    sizes: Tensor = x.flatten(2).double().square().mean((0, 1)).sqrt()  # of K D channels
    return [float(f"{size:.{DIGITS}g}") for size in sizes.tolist()]
