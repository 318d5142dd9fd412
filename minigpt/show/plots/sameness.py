"""What is computed again is the same."""

import math

import torch
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from torch import Tensor

from minigpt.cache import NoCache
from minigpt.model import GPT
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.redundancy import step_map
from minigpt.show.plots.style import Picture, Theme, drawn


class Repeats(NoCache):
    """Compares each K/V row with what it was when it was first computed."""

    def __init__(self, layers: int):
        self.first = [torch.empty(0)] * layers
        self.differences: list[list[Tensor]] = [[] for _ in range(layers)]
        self.largest = 0.0

    def update(self, k, v, layer):
        new, old = torch.cat([k, v], dim=2)[0], self.first[layer]
        known = len(old)
        self.differences[layer].append((new[:known] - old).abs().flatten(1).amax(1) if known else new[:0, 0, 0])
        self.first[layer] = torch.cat([old, new[known:]]) if known else new
        self.largest = max(self.largest, float(new.abs().max()))
        return k, v


def repeats() -> tuple[dict[str, Float[Tensor, "steps positions"]], float]:
    """For each dtype how far each recomputed row lies from its first (NaN: not recomputed), and the largest number."""
    differences, largest = {}, 0.0
    for dtype in (torch.float32, torch.float64):
        model = GPT.from_pretrained("recall", dtype=dtype)
        cache = Repeats(model.config.n_layer)
        model.generate(prompt(), max_new_tokens=NEW, cache=cache)
        steps = [torch.stack(layers).amax(0) for layers in zip(*cache.differences, strict=True)]
        rows = torch.full((NEW, len(cache.first[0])), math.nan, dtype=torch.float64)
        for row, step in zip(rows, steps, strict=True):
            row[: len(step)] = step
        differences[str(dtype).removeprefix("torch.")], largest = rows, max(largest, cache.largest)
    return differences, largest


@drawn
def sameness(differences: dict[str, Float[Tensor, "steps positions"]], largest: float, theme: Theme) -> Picture:
    """By how much a recomputed K/V row differs from its first computation, over all layers, heads and channels."""
    worst = {dtype: float(rows.nan_to_num().max()) for dtype, rows in differences.items()}
    said = ", ".join(f"{most:.0e} in {dtype}" for dtype, most in worst.items())
    picture = Picture(
        f"What is computed again is the same, to rounding:\nnumbers up to {largest:.1f} differ by {said} at most",
        f"Maps of steps by tokens, coloured by how far each recomputed key/value row lies from its first computation: "
        f"{said} at most, where the numbers themselves reach {largest:.1f}.",
        theme,
    )
    panels = picture.panels(1, len(differences), sharey=True)
    colours = LinearSegmentedColormap.from_list("differences", [theme.mix("blue", 0.15), theme.blue, theme.vermillion])
    colours.set_bad(theme.empty)
    for panel, (dtype, rows) in zip(panels, differences.items(), strict=True):
        shades = step_map(panel, rows.clamp(min=1e-17), cmap=colours, norm=LogNorm(1e-17, 10))
        panel.set_title(f"{dtype}: {worst[dtype]:.0e} at most")
        panel.set_xlabel("token whose row is computed again")
    panels[0].set_ylabel("step")
    bar = picture.colorbar(shades, ax=panels, label="largest difference to the first time")
    bar.set_ticks([1e-16, 1e-12, 1e-8, 1e-4, 1])
    bar.outline.set_visible(False)
    return picture
