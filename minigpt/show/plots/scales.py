"""Which numbers of a quantized cache share a scale."""

import numpy as np
import torch
from jaxtyping import Int
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.cache import make_cache
from minigpt.cache.quantized.codec import NAMES
from minigpt.config import GPTConfig
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

TOKENS, HEADS, CHANNELS, SIZE, BITS = 8, 2, 8, 8, 4


def groups_by_name() -> dict[str, tuple[Int[Tensor, "T K D"], float]]:
    """By the way to group, in a small cache: each number's group, and its bits, with its share of scale and offset."""
    config = GPTConfig(vocab_size=1, context=TOKENS, n_layer=1, n_head=HEADS, n_embd=HEADS * CHANNELS)
    found = {}
    for name in NAMES:
        how = {"nbits": BITS, "q_group_size": SIZE, "group_key": name, "dtype": torch.float16}
        cache = make_cache("quantized", config, **how)
        codec = cache.codecs[0]
        bits = 8 * sum(codec.widths) / codec.numbers
        found[name] = cache.explain((1, TOKENS, HEADS, CHANNELS))["keys"].groups[0], bits
    return found


@drawn
def scales(found: dict[str, tuple[Int[Tensor, "T K D"], float]], theme: Theme) -> Picture:
    """A grid of tokens by channels for each way to group, neighbouring groups in different colours."""
    sizes = {name: int((groups == groups.flatten()[0]).sum()) for name, (groups, _) in found.items()}
    least, most = min(found, key=lambda name: found[name][1]), max(found, key=lambda name: found[name][1])
    picture = Picture(
        f"The more numbers share a scale, the fewer bits a number takes:\n"
        f"{found[most][1]:g} where {sizes[most]} share one, {found[least][1]:g} where {sizes[least]} do",
        listed(
            "Grids of tokens by channels of two heads, coloured by which numbers share a scale:",
            (f"by {name} {sizes[name]} numbers at {bits:g} bits" for name, (_, bits) in found.items()),
        ),
        theme,
    )
    tones = ListedColormap([theme.mix(colour, 0.8) for colour in ("blue", "vermillion", "green", "purple")])
    panels = picture.panels(2, 2, sharex=True, sharey=True)
    for panel, (name, (groups, bits)) in zip(panels, found.items(), strict=True):
        T, K, D = groups.shape
        panel.imshow(groups.flatten(1).numpy() % tones.N, cmap=tones, vmin=0, vmax=tones.N - 1, aspect="auto")
        panel.set_title(f"{name}: {sizes[name]} numbers share, {bits:g} bits each", loc="left")
        panel.vlines(np.arange(1, K * D) - 0.5, -0.5, T - 0.5, colors=theme.paper, linewidth=1)
        panel.hlines(np.arange(1, T) - 0.5, -0.5, K * D - 0.5, colors=theme.paper, linewidth=1)
        panel.vlines(np.arange(1, K) * D - 0.5, -0.5, T - 0.5, colors=theme.paper, linewidth=6)
        panel.set_xticks([D * (head + 0.5) - 0.5 for head in range(K)], [f"channels of head {h + 1}" for h in range(K)])
        panel.set_yticks([0, T - 1], ["token 1", f"token {T}"])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return picture
