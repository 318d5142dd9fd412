"""What is computed again is the same: to the bit in a product of the same shape, and but for rounding in any other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.cache import make_cache
from minigpt.measure.counted.recomputed import differences
from minigpt.model import GPT
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.redundancy import step_map
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import bound

ROUNDING = {"float32": 1e-4, "float64": 1e-12}  # far above what rounding adds up to, where numbers are about 1
OTHER = 0  # the token that stands where later ones will


@dataclass(frozen=True)
class Repeats:
    """How far each recomputed row lies from the step before, over all layers, heads and channels (NaN: not recomputed).

    growing: for each dtype, when each step reads the text so far. one_shape: in float32, when each step reads as many
    tokens as the last one. largest: the largest of the numbers themselves.
    """

    growing: dict[str, Float[Tensor, "steps positions"]]
    one_shape: Float[Tensor, "steps positions"]
    largest: float


def repeats() -> Repeats:
    """What the bundled model computes again when it generates without a cache."""
    growing = {}
    for dtype in ROUNDING:
        model = GPT.from_pretrained("recall", dtype=getattr(torch, dtype))
        growing[dtype] = differences(model, prompt(), NEW, "none").amax(1)  # over layers
    model = GPT.from_pretrained("recall")
    rows = rows_in_one_shape(model, model.generate(prompt(), max_new_tokens=NEW)[:, :-1])
    one_shape = torch.full_like(growing["float32"], torch.nan)
    for step in range(1, NEW):
        known = prompt().shape[1] + step - 1
        one_shape[step, :known] = (rows[step] - rows[step - 1])[:, :known].abs().amax((0, 2, 3))
    return Repeats(growing, one_shape, float(rows[-1].abs().max()))


@torch.no_grad()
def rows_in_one_shape(model: GPT, ids: Int[Tensor, "1 T"]) -> Float[Tensor, "steps layers_kv T K D"]:
    """All keys and values at each step, when other tokens stand where this step's later ones will."""
    steps = []
    for length in range(prompt().shape[1], ids.shape[1] + 1):
        cache = make_cache("concat", model.config)
        model(ids.index_fill(1, torch.arange(length, ids.shape[1]), OTHER), cache=cache)
        steps.append(torch.cat([kept for layer in cache.kv for kept in layer]))
    return torch.stack(steps)


@drawn
def sameness(repeats: Repeats, theme: Theme) -> Picture:
    """Whether a recomputed K/V row is the one computed in the step before."""
    again = float(repeats.one_shape.nan_to_num().max())
    exactly = f"to less than {bound(again)}" if again else "to the bit"
    worst = {dtype: float(rows.nan_to_num().max()) for dtype, rows in repeats.growing.items()}
    single, double = (bound(max(worst[dtype], most / 2)) for dtype, most in ROUNDING.items())
    picture = Picture(
        f"Recomputed, a row is the same: {exactly} in products of one shape,\n"
        f"to less than {single} in float32 ({double} in float64) in others",
        "Maps of steps by tokens, coloured by how far each recomputed key/value row lies from the step before: "
        f"{exactly} the same where matrix products keep their shape, and, where they grow with the text and may add "
        f"in another order, to less than {single} in float32 and {double} in float64, where the numbers "
        f"themselves reach {repeats.largest:.1f}.",
        theme,
    )
    colours = {
        "the same to the bit": theme.green,
        "the same up to rounding": theme.blue,
        "further off": theme.vermillion,
        "not computed again": theme.empty,
    }
    picture.key(colours)
    shades = ListedColormap([*colours.values()][:3]).with_extremes(bad=theme.empty)
    maps = {f"float32, one shape: {exactly}": kinds(repeats.one_shape, "float32", least=0)}
    for (dtype, rows), most in zip(repeats.growing.items(), (single, double), strict=True):
        maps[f"{dtype}, growing: < {most}"] = kinds(rows, dtype, least=1)
    panels = picture.panels(1, len(maps), sharey=True)
    for panel, (name, cells) in zip(panels, maps.items(), strict=True):
        step_map(panel, cells, cmap=shades, vmin=0, vmax=2)
        panel.set_title(name)
        panel.set_xlabel("token computed again")
    panels[0].set_ylabel("step")
    return picture


def kinds(rows: Float[Tensor, "steps positions"], dtype: str, least: int) -> Float[Tensor, "steps positions"]:
    """Of each difference: 0 for none, 1 for rounding, 2 for more, and no less than `least`; NaN stays NaN.

    In products that grow, which rows come out the same to the bit depends on the machine: least 1 counts none as such.
    """
    return 0 * rows + ((rows > 0).int() + (rows >= ROUNDING[dtype]).int()).clamp(min=least)
