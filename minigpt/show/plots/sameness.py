"""What is computed again is the same."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from torch import Tensor

from minigpt.cache import make_cache
from minigpt.measure.counted.recomputed import differences
from minigpt.model import GPT
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.redundancy import step_map
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import bound, power_of_ten

LEAST = 1e-18  # where the colours begin: stands for 0, which has no logarithm


@dataclass(frozen=True)
class Repeats:
    """differences: for each dtype, how far each recomputed row lies from the step before, over all layers, heads and
    channels (NaN: not recomputed). largest: the largest of the numbers themselves."""

    differences: dict[str, Float[Tensor, "steps positions"]]
    largest: float


def repeats() -> Repeats:
    """What the bundled model computes again when it generates without a cache."""
    found, largest = {}, 0.0
    for dtype in (torch.float32, torch.float64):
        model = GPT.from_pretrained("recall", dtype=dtype)
        steps = differences(model, prompt(), NEW, "none")  # (steps, layers, positions), NaN in all layers alike
        found[str(dtype).removeprefix("torch.")] = steps.amax(1)
        cache = make_cache("concat", model.config, dtype=dtype)
        model.generate(prompt(), max_new_tokens=NEW, cache=cache)
        largest = max(largest, *(float(kept.abs().max()) for layer in cache.kv for kept in layer))
    return Repeats(found, largest)


@drawn
def sameness(repeats: Repeats, theme: Theme) -> Picture:
    """By how much a recomputed K/V row differs from the one computed in the step before."""
    worst = {dtype: float(rows.nan_to_num().max()) for dtype, rows in repeats.differences.items()}
    said = ", ".join(f"{bound(most)} in {dtype}" for dtype, most in worst.items())
    picture = Picture(
        f"What is computed again is the same but for rounding:\nit differs by less than {said}",
        f"Maps of steps by tokens, coloured by how far each recomputed key/value row lies from the step before: "
        f"less than {said}, where the numbers themselves reach {repeats.largest:.1f}.",
        theme,
    )
    panels = picture.panels(1, len(repeats.differences), sharey=True)
    tones = (0, theme.mix("green", 0.4)), (0.1, theme.green), (0.63, theme.blue), (1, theme.vermillion)
    colours = LinearSegmentedColormap.from_list("differences", tones).with_extremes(bad=theme.empty)
    for panel, (dtype, rows) in zip(panels, repeats.differences.items(), strict=True):
        shades = step_map(panel, rows.clamp(min=LEAST), cmap=colours, norm=LogNorm(LEAST, 10))
        panel.set_title(f"{dtype}: less than {bound(worst[dtype])}")
        panel.set_xlabel("token whose row is computed again")
    panels[0].set_ylabel("step")
    panels[0].text(rows.shape[1], 2, f"numbers reach {repeats.largest:.1f}", ha="right", va="center")
    bar = picture.colorbar(shades, ax=panels, label="largest difference to the step before")
    ticks = range(-16, 1, 4)
    bar.set_ticks([LEAST, *(10.0**tick for tick in ticks)], labels=["0", *map(power_of_ten, ticks)])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    return picture
