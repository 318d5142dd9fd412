"""Which of several machines keeps which keys and values: cut by heads, and by positions."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.cache import DynamicCache
from minigpt.cache.sharded import ShardedCache
from minigpt.config import GPTConfig
from minigpt.show.plots.style import Picture, Theme, drawn

BLOCK = 4


@dataclass(frozen=True)
class Keepers:
    """The number of the machine that keeps a head's key and value of a token, one grid for each way to cut."""

    machines: int
    heads: Int[Tensor, "K tokens"]
    positions: Int[Tensor, "K tokens"]


def keepers(machines: int = 2, heads: int = 4, tokens: int = 22) -> Keepers:
    """By heads each machine has a cache of its heads; by positions each has a sharded cache, which is fed all."""
    config = GPTConfig(vocab_size=1, context=tokens, n_layer=1, n_head=heads, n_embd=heads)
    grids = torch.full((2, heads, tokens), -1)
    row = torch.zeros(1, tokens, heads, 1)
    for machine in range(machines):
        grids[0].chunk(machines)[machine][:] = machine
        cache = ShardedCache(DynamicCache, config, part=machine, parts=machines, block=BLOCK)
        cache.admit(torch.arange(tokens)[None])
        cache.update(row, row, 0)
        grids[1][:, cache.kept.positions[0]] = machine
    return Keepers(machines, *grids)


@drawn
def who_keeps_what(keepers: Keepers, theme: Theme) -> Picture:
    """A row for each head, a column for each token, coloured by the machine that keeps the two."""
    heads, tokens = keepers.heads.shape
    held = [int((keepers.positions[0] == machine).sum()) for machine in range(keepers.machines)]
    each = heads // keepers.machines
    picture = Picture(
        f"Two ways to cut one cache: each machine keeps {each} of {heads} heads of all\n"
        f"{tokens} tokens, or all {heads} heads of {' or '.join(map(str, held))} of the {tokens} tokens",
        f"Two grids of {heads} heads by {tokens} tokens, coloured by the machine that keeps them: cut by heads, each "
        f"of {keepers.machines} machines has {each} whole rows; cut by positions, blocks of {BLOCK} columns in turn, "
        f"{' and '.join(map(str, held))} in all.",
        theme,
    )
    inks = theme.blue, theme.purple, theme.green, theme.vermillion
    colours = {f"machine {number}": inks[number] for number in range(keepers.machines)}
    picture.key(colours)
    above, below = picture.panels(2, 1, sharex=True)
    sides = {"by heads": (above, keepers.heads), "by positions": (below, keepers.positions)}
    for words, (panel, grid) in sides.items():
        shades = ListedColormap([*colours.values()])
        panel.imshow(grid.numpy(), cmap=shades, vmin=0, vmax=keepers.machines - 1, aspect="auto")
        panel.hlines([head + 0.5 for head in range(heads)], -0.5, tokens - 0.5, colors=theme.paper, linewidth=2)
        panel.vlines([token + 0.5 for token in range(tokens)], -0.5, heads - 0.5, colors=theme.paper, linewidth=2)
        panel.set_title(words, loc="left")
        panel.set_yticks(range(heads), [f"head {head}" for head in range(heads)])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    below.set(xlabel="token, by its position")
    below.set_xticks(range(0, tokens, BLOCK))
    return picture
