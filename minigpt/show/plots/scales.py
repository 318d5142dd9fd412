"""Which numbers of a quantized cache share a scale."""

import numpy as np
import torch
from jaxtyping import Int
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.cache import QuantizedCache
from minigpt.cache.quantized.codec import NAMES
from minigpt.config import GPTConfig
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

TOKENS, HEADS, CHANNELS, SIZE, BITS = 8, 2, 8, 8, 4
SHADES = 0.7, 0.34, 0.52, 0.2  # of each colour, so that no two of 16 groups look alike


def groups_by_name() -> dict[str, tuple[Int[Tensor, "T K D"], float]]:
    """By the way to group, in a small cache: each number's group, and its bits, with its share of scale and offset."""
    config = GPTConfig(vocab_size=1, context=TOKENS, n_layer=1, n_head=HEADS, n_embd=HEADS * CHANNELS)
    found = {}
    for name in NAMES:
        cache = QuantizedCache(config, nbits=BITS, q_group_size=SIZE, group_key=name, dtype=torch.float16)
        codec = cache.codecs[0]
        bits = 8 * sum(codec.widths) / codec.numbers
        found[name] = cache.explain((1, TOKENS, HEADS, CHANNELS))["keys"].groups[0], bits
    return found


@drawn
def scales(found: dict[str, tuple[Int[Tensor, "T K D"], float]], theme: Theme) -> Picture:
    """A grid of tokens by channels for each way to group; a group has its number, its colour, and a line around it."""
    sizes = {name: int((groups == groups.flatten()[0]).sum()) for name, (groups, _) in found.items()}
    least, most = min(found, key=lambda name: found[name][1]), max(found, key=lambda name: found[name][1])
    picture = Picture(
        f"{BITS}-bit codes + a 16-bit scale and offset for each group: {found[most][1]:g} bits a\n"
        f"number where {sizes[most]} numbers share them, {found[least][1]:g} where {sizes[least]} do",
        listed(
            "Grids of tokens by channels of two heads, coloured by which numbers share a scale and an offset of 16 "
            f"bits each, beside codes of {BITS} bits:",
            (f"by {name} {sizes[name]} numbers at {bits:g} bits in all" for name, (_, bits) in found.items()),
        ),
        theme,
    )
    inks = "blue", "vermillion", "green", "purple"
    tones = ListedColormap([theme.mix(ink, share) for share in SHADES for ink in inks])
    panels = picture.panels(2, 2, sharex=True, sharey=True)
    for panel, (name, (groups, bits)) in zip(panels, found.items(), strict=True):
        T, K, D = groups.shape
        cells = groups.flatten(1).numpy()
        panel.imshow(cells, cmap=tones, vmin=0, vmax=tones.N - 1, aspect="auto")
        panel.set_title(f"{name}: {sizes[name]} numbers share, {bits:g} bits each", loc="left")
        panel.vlines(np.arange(1, K * D) - 0.5, -0.5, T - 0.5, colors=theme.paper, linewidth=0.5)
        panel.hlines(np.arange(1, T) - 0.5, -0.5, K * D - 0.5, colors=theme.paper, linewidth=0.5)
        tokens, channels = (cells[:, 1:] != cells[:, :-1]).nonzero()
        panel.vlines(channels + 0.5, tokens - 0.5, tokens + 0.5, colors=theme.paper, linewidth=4)
        tokens, channels = (cells[1:] != cells[:-1]).nonzero()
        panel.hlines(tokens + 0.5, channels - 0.5, channels + 0.5, colors=theme.paper, linewidth=4)
        numbers, firsts = np.unique(cells, return_index=True)
        for number, first in zip(numbers, firsts, strict=True):
            token, channel = divmod(first, K * D)
            panel.text(channel, token, str(number + 1), ha="center", va="center_baseline")
        panel.set_xticks([D * (head + 0.5) - 0.5 for head in range(K)], [f"channels of head {h + 1}" for h in range(K)])
        panel.set_yticks([0, T - 1], ["token 1", f"token {T}"])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return picture
