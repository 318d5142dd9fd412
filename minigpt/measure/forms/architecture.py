"""What a model keeps for each token: the few sizes on which the bytes of every cache depend."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from minigpt.config import Config


@dataclass(frozen=True)
class Architecture:
    """What a model keeps for each token in each layer. Made from a Config (`architecture_of`) or from a real model's
    config.json (`real_models.load`).

    kept: for each thing that is kept, its number of heads and their size. Keys and values; in multi-head latent
        attention (DeepSeek-V2, arXiv 2405.04434, section 2.1) the latent that all heads share, and the rotary key.
    windows: how many tokens each layer sees (None: all).
    context: the most tokens that the model was made for (None: the config doesn't say).
    sinks: the first few tokens, which layers with a window keep seeing beside it.
    """

    kept: dict[str, tuple[int, int]]
    windows: tuple[int | None, ...]
    context: int | None
    sinks: int = 0

    @property
    def layers(self) -> int:
        return len(self.windows)

    @property
    def numbers(self) -> int:
        """How many numbers are kept for one token in one layer: 2 K D for keys and values."""
        return sum(map(prod, self.kept.values()))

    def over_layers(self, of: Callable[[int | None], int]) -> int:
        """The sum over all layers of a cost that depends only on a layer's window."""
        return sum(layers * of(window) for window, layers in Counter(self.windows).items())


def architecture_of(config: Config) -> Architecture:
    kept = dict.fromkeys(("keys", "values"), (config.n_kv_head, config.head_size))
    return Architecture(kept, config.windows, config.context, config.sinks)
