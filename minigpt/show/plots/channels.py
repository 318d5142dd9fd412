"""How many times larger than the others the largest channels of keys and values are, layer by layer."""

from statistics import median, quantiles

import torch

from minigpt.measure.quality.channels import ChannelSizes, channel_sizes
from minigpt.model import GPT
from minigpt.recall.corpus import held_out
from minigpt.show.plots.recorded_real import recorded_real
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import listed

ROWS, TOKENS = 2, 512  # of the play, for the bundled model
PARTS = "keys", "values"
TICKS = 1, 2, 4, 8


def sizes_by_model() -> dict[str, ChannelSizes]:
    """As recorded of the real model; and of the bundled one."""
    recording, ids = recorded_real(), torch.from_numpy(held_out().ids[: ROWS * TOKENS].astype("int64"))
    bundled = channel_sizes(GPT.from_pretrained("recall"), ids.view(ROWS, TOKENS))
    return {recording.model: recording.channels, "recall": bundled}


@drawn
def largest_channels(sizes: dict[str, ChannelSizes], theme: Theme) -> Picture:
    """A line for each layer, from its median channel to its largest, with a mark that one in twenty is above."""
    real, small = sizes
    of = {(name, part): median(sizes[name].largest(part)) for name in sizes for part in PARTS}
    picture = Picture(
        f"{real}'s largest key channel is {of[real, 'keys']:.1f} times the median channel,\n"
        f"its largest value channel {of[real, 'values']:.1f} times",
        listed(
            "Lines for each layer from its median channel to its largest, by root mean square; medians over the layers "
            "of the largest, in times the median channel:",
            (f"{name} {part} {times:.1f}" for (name, part), times in of.items()),
        ),
        theme,
    )
    picture.note(
        f"title: medians over the layers; ▬: one channel in twenty is larger; on prose of {sizes[real].tokens:,} tokens"
    )
    looks = {real: theme.blue, small: theme.vermillion}
    panels = picture.panels(1, 2, sharey=True)
    for panel, part in zip(panels, PARTS, strict=True):
        first, ticks = 1, {}
        for name, its in sizes.items():
            layers = range(first, first + len(getattr(its, part)))
            largest, look = its.largest(part), {"color": looks[name]}
            upper = [quantiles(each, n=20)[-1] / median(each) for each in getattr(its, part)]
            panel.vlines(layers, 1, largest, linewidth=2.5, **look)
            panel.plot(layers, largest, marker="o", markersize=6, linestyle="none", **look)
            panel.plot(layers, upper, marker="_", markersize=8, markeredgewidth=2.5, linestyle="none", **look)
            ticks[(layers[0] + layers[-1]) / 2] = f"{name}\n{len(layers)} layers"
            first = layers[-1] + 3
        panel.set_title(part, loc="left")
        panel.set(yscale="log", ylim=(0.9, None), xlim=(-1, first))
        panel.set_yticks(TICKS, TICKS)
        panel.minorticks_off()
        panel.set_xticks([*ticks], [*ticks.values()])
        panel.tick_params(axis="x", length=0)
        panel.grid(axis="y")
    panels[0].set(ylabel="times the median channel (log scale)")
    return picture
