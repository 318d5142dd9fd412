"""Every figure, drawn from a run. The same run draws the same bytes."""

from pathlib import Path

import matplotlib
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from minigpt.measure.run import Run, run
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer

PROMPT, NEW = "To be, or not to be", 24
BLUE, VERMILLION, PALE = "#0072B2", "#D55E00", "#F4F4F4"  # Okabe and Ito's, which the colour-blind can tell apart

# Fixed, so that a redrawn figure is the same to the byte; and letters stay letters.
STYLE = {"svg.hashsalt": "minigpt", "svg.fonttype": "none", "font.size": 11, "axes.titlesize": 12}


def draw_all(folder: Path) -> list[Path]:
    """Draw every figure into the folder, as SVG and PNG. Returns the files."""
    import torch

    model = GPT.from_pretrained("recall")
    ids = load_tokenizer("recall").encode(PROMPT).ids
    runs = {name: run(model, torch.tensor([ids]), NEW, name) for name in ("none", "dynamic")}
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        return save(redundancy(runs["none"], runs["dynamic"]), folder / "redundancy")


def redundancy(none: Run, cached: Run) -> Figure:
    """Which tokens' keys and values each step computes, without and with a cache: new ones blue, known ones again."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, each, name in zip(panels, (none, cached), ("Without a cache", "With a cache"), strict=True):
        times = each.times[:, 0]  # (steps, positions), in the first layer; every layer is alike
        before = times.roll(1, dims=0)
        before[0] = 0
        computed, again = times > before, before > 0
        steps, positions = times.shape
        panel.imshow(
            (computed.int() + (computed & again).int()).numpy(),
            cmap=ListedColormap([PALE, BLUE, VERMILLION]),
            vmin=0,
            vmax=2,
            aspect="auto",
            interpolation="nearest",
            extent=(0.5, positions + 0.5, steps + 0.5, 0.5),
        )
        again_total = int((computed & again).sum())
        panel.set_title(
            f"{name}: {int(computed.sum())} K/V rows computed\nin each layer, {again_total or 'none'} of them again"
        )
        panel.set_xlabel("token whose K/V row is computed")
        panel.spines[:].set_visible(False)
    panels[0].set_ylabel("step")
    panels[0].text(positions * 0.45, 2.5, "blue: for the first time", color=BLUE, va="center")
    panels[0].text(2, steps - 3, "orange: again", color="white", va="center")
    return figure


def save(figure: Figure, path: Path) -> list[Path]:
    files = [path.with_suffix(".svg"), path.with_suffix(".png")]
    figure.savefig(files[0], metadata={"Date": None})
    figure.savefig(files[1], dpi=150, metadata={"Software": None})
    return files
