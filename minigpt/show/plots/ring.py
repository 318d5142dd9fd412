"""A ring turns: which position each slot of a sliding window holds, step by step."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from matplotlib.patches import Rectangle
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import SlidingWindowCache
from minigpt.config import GPTConfig
from minigpt.show.plots.style import Picture, Theme, drawn


@dataclass(frozen=True)
class Turns:
    """held: the position of each slot after each step, NEVER if it is empty. window, sinks: the model's."""

    held: Int[Tensor, "steps slots"]
    window: int
    sinks: int


def turns(window: int = 5, sinks: int = 2, steps: int = 14) -> Turns:
    """The positions that a ring reports when it is fed token by token."""
    config = GPTConfig(
        vocab_size=1, context=steps, n_layer=1, n_head=1, n_embd=1, window=window, sinks=sinks
    )  # of the model only the window matters
    cache, row, held = SlidingWindowCache(config, chunk=1), torch.zeros(1, 1, 1, 1), []
    for step in range(steps):
        cache.admit(torch.tensor([[step]]))
        cache.update(row, row, 0)
        _, _, positions = cache.kv[0]
        held.append(positions[0].clone())
    return Turns(torch.stack(held), window, sinks)


@drawn
def ring(turns: Turns, theme: Theme) -> Picture:
    """A column for each step, a row for each slot: the position that it holds, the newest purple."""
    held, window, sinks = turns.held, turns.window, turns.sinks
    steps, slots = held.shape
    forgotten = int((held[:-1] != held[1:])[held[:-1] != NEVER].sum())
    seen = [{*range(min(sinks, step + 1)), *range(max(0, step - window + 1), step + 1)} for step in range(steps)]
    missed = sum(len(positions - set(there.tolist())) for positions, there in zip(seen, held, strict=True))
    picture = Picture(
        f"A ring of {slots - sinks} slots serves a window of {window}: it forgets {forgotten}\n"
        f"of {steps} tokens, and {missed or 'none'} that a query should see",
        f"A grid of {slots} slots by {steps} steps with the position that each slot holds: the newest token goes down "
        "the slots and begins again at the top, over the oldest"
        + (f", while the first {sinks} keep slots of their own." if sinks else "."),
        theme,
    )
    colours = {
        "the newest token": theme.purple,
        "in the window": theme.mix("purple", 0.3),
        "a sink": theme.mix("ink", 0.2),
        "empty": theme.empty,
    }
    picture.key({words: colour for words, colour in colours.items() if sinks or words != "a sink"})
    newest, kept, sink, empty = colours.values()
    (panel,) = picture.panels()
    for step, slot in (held != NEVER).nonzero().tolist():
        position = int(held[step, slot])
        fill, ink = (newest, "black") if position == step else (sink if slot < sinks else kept, theme.ink)
        panel.add_patch(Rectangle((step + 0.53, slot + 0.53), 0.94, 0.94, facecolor=fill, linewidth=0))
        panel.text(step + 1, slot + 1, str(position), color=ink, ha="center", va="center_baseline", fontsize=16)
    for step, slot in (held == NEVER).nonzero().tolist():
        panel.add_patch(Rectangle((step + 0.53, slot + 0.53), 0.94, 0.94, facecolor=empty, linewidth=0))
    names = [f"sink {slot}" for slot in range(sinks)] + [f"slot {slot}" for slot in range(slots - sinks)]
    panel.set(xlim=(0.5, steps + 0.5), ylim=(slots + 0.5, 0.5), xlabel="step: the token fed, by its position")
    panel.set_xticks(range(1, steps + 1), map(str, range(steps)))
    panel.set_yticks(range(1, slots + 1), names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return picture
