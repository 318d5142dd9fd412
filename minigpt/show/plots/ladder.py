"""Which layers an offloaded cache has here, and what it moves, update by update."""

from dataclasses import dataclass, field

import torch
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MultipleLocator

from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.measure.forms.real_models import GPT2
from minigpt.show.plots.labels import label_ends
from minigpt.show.plots.style import Picture, Theme, drawn
from minigpt.show.words import mb


@dataclass
class Moves:
    """at_work: the layer of each update. here: the layers in fast memory after it; resident: their bytes. up, down:
    bytes that have come from slower memory so far, and gone to it.

    chunks: tokens of each step. total: bytes held in the end, in any memory.
    """

    layers: int
    chunks: list[int]
    at_work: list[int] = field(default_factory=list)
    here: list[set[int]] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    total: int = 0


def moves(prompt: int = 500, new: int = 2) -> Moves:
    """What an offloaded cache for GPT-2 124M in bfloat16 does in a prefill and a few decode steps, fed zeros."""
    config = GPTConfig(**GPT2)
    seen = Moves(config.n_layer, [prompt] + [1] * new)
    cache = make_cache("offloaded", config, dtype=torch.bfloat16)
    for chunk in seen.chunks:
        cache.admit(torch.arange(cache.length, cache.length + chunk)[None])
        rows = torch.zeros(1, chunk, config.n_kv_head, config.head_size, dtype=torch.bfloat16)
        for layer in range(config.n_layer):
            cache.update(rows, rows, layer)
            seen.at_work.append(layer)
            seen.here.append({each for each in range(config.n_layer) if cache.here(each)})
            seen.resident.append(cache.resident_nbytes)
            for so_far, nbytes in zip((seen.up, seen.down), cache.moved, strict=True):
                so_far.append(nbytes)
    seen.total = cache.nbytes
    return seen


@drawn
def ladder(moves: Moves, theme: Theme) -> Picture:
    """Above, layers by updates: at work, here, away; below, bytes here and moved."""
    most, L = max(map(len, moves.here)), moves.layers
    read, wrote = (so_far[-1] - so_far[-1 - L] for so_far in (moves.up, moves.down))
    text, room = sum(moves.chunks), moves.total * moves.chunks[-1] // wrote  # tokens held, and that there is room for
    here = mb(max(moves.resident))
    picture = Picture(
        f"Offloaded, {most} of {L} layers, {here} of {mb(moves.total)} MB, are in fast memory ({text:,}\n"
        f"tokens, room for {room:,}); a token brings {mb(read)} MB up, {wrote / 1e3:.1f} kB down",
        f"A map of layers by updates, of GPT-2 in bfloat16, in which {most} of {L} layers are here at a time and the "
        f"others away, above lines of the bytes here, at most {here} of {mb(moves.total)} MB, which doubled to be room "
        f"for {room} tokens when there were {text}, and moved, {mb(read)} MB up for each token.",
        theme,
    )
    above, below = picture.panels(2, 1, sharex=True, height_ratios=(3, 2))
    cells = torch.zeros(L, len(moves.here), dtype=torch.int64)
    for column, (layer, near) in enumerate(zip(moves.at_work, moves.here, strict=True)):
        cells[list(near), column] = 1
        cells[layer, column] = 2
    colours = {"at work": theme.blue, "here, prefetched": theme.mix("blue", 0.4), "away": theme.empty}
    picture.key(colours)
    shades = ListedColormap([*reversed(colours.values())])
    extent = (0.5, cells.shape[1] + 0.5, L + 0.5, 0.5)
    above.imshow(cells.numpy(), cmap=shades, vmin=0, vmax=2, aspect="auto", interpolation="nearest", extent=extent)
    above.set(ylabel="layer", yticks=(1, L))
    above.spines[:].set_visible(False)
    for number, chunk in enumerate(moves.chunks):
        edge = number * L + 0.5
        words = f"prefill, {chunk} tokens" if not number else f"token {sum(moves.chunks[: number + 1])}"
        above.text(edge + L / 2, 0.2, words, ha="center", va="bottom", color=theme.muted)
        for panel in (above, below):
            panel.axvline(edge, color=theme.muted, linewidth=1)
    updates = range(1, len(moves.here) + 1)
    look = theme.look("offloaded")
    below.plot(updates, [each / 1e6 for each in moves.resident], markevery=3, drawstyle="steps-mid", **look)
    below.plot(updates, [each / 1e6 for each in moves.up], color=theme.ink)
    below.plot(updates, [each / 1e6 for each in moves.down], color=theme.muted)
    below.set(xlabel="update, one for each layer of a step (GPT-2 in bfloat16)", ylabel="megabytes", ylim=(0, None))
    below.set_xlim(0.5, updates[-1] + 0.5)
    below.xaxis.set_major_locator(MultipleLocator(L))
    ends = [("here", moves.resident, look["color"]), ("up, in all", moves.up, theme.ink)]
    ends += [("down, in all", moves.down, theme.muted)]
    label_ends(below, [(updates[-1], line[-1] / 1e6, f"{words} {mb(line[-1])}", ink) for words, line, ink in ends])
    return picture
