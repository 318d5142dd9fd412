"""Which K/V rows each step computes, without and with a cache."""

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.measure.counted.run import Run, run
from minigpt.model import GPT
from minigpt.show.plots.prompt import NEW, prompt
from minigpt.show.plots.style import Picture, Theme, drawn


def runs() -> tuple[Run, Run]:
    """The same generation by the bundled model, without a cache and with one."""
    model = GPT.from_pretrained("recall")
    return run(model, prompt(), NEW, "none"), run(model, prompt(), NEW, "dynamic")


@drawn
def redundancy(none: Run, cached: Run, theme: Theme) -> Picture:
    """Which tokens' keys and values each step computes: new ones blue, known ones again."""
    maps = [computed_and_again(each) for each in (none, cached)]
    (all_rows, again_rows), (kept_rows, _) = ((int(computed.sum()), int(again.sum())) for computed, again in maps)
    steps = len(maps[0][0])
    picture = Picture(
        f"Without a cache, {again_rows} of {all_rows} key/value rows are computed again;\n"
        f"with one, each of the {kept_rows} is computed once",
        f"Two maps of steps by tokens: without a cache each of {steps} steps computes the key/value rows of all tokens "
        f"so far, {all_rows} a layer, {again_rows} of them known, and with a cache only the {kept_rows} new ones.",
        theme,
    )
    colours = {"not computed": theme.empty, "for the first time": theme.blue, "again": theme.vermillion}
    picture.key(colours)
    panels = picture.panels(1, 2, sharey=True)
    for panel, (computed, again), name in zip(panels, maps, ("Without a cache", "With a cache"), strict=True):
        step_map(panel, computed.int() + again.int(), cmap=ListedColormap([*colours.values()]), vmin=0, vmax=2)
        panel.set_title(f"{name}: {int(computed.sum())} rows a layer")
        panel.set_xlabel("token whose row is computed")
    panels[0].set_ylabel("step")
    return picture


def step_map(panel: Axes, cells: Tensor, **how):
    """Steps down, tokens across, a colour for each cell."""
    steps, positions = cells.shape
    panel.spines[:].set_visible(False)
    return panel.imshow(
        cells.numpy(), aspect="auto", interpolation="nearest", extent=(0.5, positions + 0.5, steps + 0.5, 0.5), **how
    )


def computed_and_again(one: Run) -> tuple[Tensor, Tensor]:
    """Whether each step computed each position's row, and whether for a second time: (steps, positions) both."""
    times = one.times[:, 0]  # in the first layer; every layer is alike
    before = times.roll(1, dims=0)
    before[0] = 0
    computed = times > before
    return computed, computed & (before > 0)
