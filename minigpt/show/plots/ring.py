"""A ring turns: which position each slot of a sliding window holds, step by step."""

import torch
from jaxtyping import Int
from matplotlib.patches import Rectangle
from torch import Tensor

from minigpt.attention import NEVER
from minigpt.cache import make_cache
from minigpt.config import GPTConfig
from minigpt.show.plots.style import Picture, Theme, drawn

WINDOW, SINKS, STEPS = 5, 2, 14


def turns(window: int = WINDOW, sinks: int = SINKS, steps: int = STEPS) -> tuple[Int[Tensor, "steps slots"], int, int]:
    """What a ring reports when it is fed token by token, with its window and its sinks."""
    config = GPTConfig(
        vocab_size=1, context=steps, n_layer=1, n_head=1, n_embd=1, window=window, sinks=sinks
    )  # of the model only the window matters
    cache, row, held = make_cache("sliding_window", config, chunk=1), torch.zeros(1, 1, 1, 1), []
    for step in range(steps):
        held.append(cache.admit(torch.tensor([[step]]))[0])
        cache.update(row, row, 0)
    return torch.stack(held), window, sinks


@drawn
def ring(held: Int[Tensor, "steps slots"], window: int, sinks: int, theme: Theme) -> Picture:
    """A column for each step, a row for each slot: the position that it holds, the newest purple."""
    steps, slots = held.shape
    forgotten = int((held[:-1] != held[1:])[held[:-1] != NEVER].sum())
    picture = Picture(
        f"A ring of {slots - sinks} slots serves a window of {window}: each new token takes the place\n"
        f"of one that no query will see again ({forgotten} of {steps} are gone, the {sinks} sinks stay)",
        f"A grid of {slots} slots by {steps} steps with the position that each slot holds: the newest token goes down the "
        f"slots and begins again at the top, over the oldest, while the first {sinks} keep slots of their own.",
        theme,
    )
    (panel,) = picture.panels()
    for step, slot in (held != NEVER).nonzero().tolist():
        position = int(held[step, slot])
        fill, ink = theme.mix("purple", 0.3), theme.ink
        if position == step:
            fill, ink = theme.purple, "black"
        elif slot < sinks:
            fill, ink = theme.mix("green", 0.35), theme.ink
        panel.add_patch(Rectangle((step + 0.53, slot + 0.53), 0.94, 0.94, facecolor=fill, linewidth=0))
        panel.text(step + 1, slot + 1, str(position), color=ink, ha="center", va="center_baseline")
    for step, slot in (held == NEVER).nonzero().tolist():
        panel.add_patch(Rectangle((step + 0.53, slot + 0.53), 0.94, 0.94, facecolor=theme.empty, linewidth=0))
    names = [f"sink {slot + 1}" for slot in range(sinks)] + [f"slot {slot + 1}" for slot in range(slots - sinks)]
    panel.set(xlim=(0.5, steps + 0.5), ylim=(slots + 0.5, 0.5), xlabel="step: the token fed, by its position")
    panel.set_xticks(range(1, steps + 1), map(str, range(steps)))
    panel.set_yticks(range(1, slots + 1), names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return picture
