"""The mask of several new tokens behind old ones: its triangle in the right corner, and in the wrong one."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from matplotlib.colors import ListedColormap
from torch import Tensor

from minigpt.attention import sees
from minigpt.show.plots.style import Picture, Theme, drawn


def masks(held: int, new: int) -> tuple[Bool[Tensor, "T S"], Bool[Tensor, "T S"]]:
    """What `new` tokens fed at once behind `held` ones may see, and what PyTorch's is_causal lets them see."""
    right = sees(torch.arange(held, held + new)[None], torch.arange(held + new)[None])[0, 0]
    q, k = torch.zeros(1, new, 1), torch.zeros(1, held + new, 1)
    # Each value is 1 in a channel of its own, so that attention returns its weights.
    weights = F.scaled_dot_product_attention(q, k, torch.eye(held + new)[None], is_causal=True)[0]
    return right, weights > 0


@drawn
def triangles(right: Bool[Tensor, "T S"], wrong: Bool[Tensor, "T S"], theme: Theme) -> Picture:
    """Queries by keys: seen, rightly hidden, and hidden though it should be seen."""
    (new, slots), lost = right.shape, right & ~wrong
    held = slots - new
    picture = Picture(
        f"{new} new token{'s' * (new > 1)} behind {held} old: the triangle belongs in the lower right",
        f"Two masks of {new} queries by {slots} keys: that of sees hides a triangle in the upper right; that of "
        f"is_causal=True lets query {held} see key 0 only, and hides {int(lost.sum())} keys that should be seen.",
        theme,
        size=(10.0, 2.1 + 0.45 * new),
    )
    shades = ListedColormap([theme.empty, theme.mix("blue", 0.5), theme.mix("vermillion", 0.6)])
    titles = "sees: lower right", "is_causal=True: upper left"
    for panel, mask, title in zip(picture.panels(1, 2, sharey=True), (right, wrong), titles, strict=True):
        cells = mask.int() + 2 * (right & ~mask).int()
        panel.imshow(cells.numpy(), cmap=shades, vmin=0, vmax=2, aspect="auto")
        panel.vlines([key + 0.5 for key in range(slots)], -0.5, new - 0.5, colors=theme.paper, linewidth=3)
        panel.hlines([query + 0.5 for query in range(new)], -0.5, slots - 0.5, colors=theme.paper, linewidth=3)
        for query, key in cells.nonzero().tolist():
            word = "sees" if mask[query, key] else "lost"
            panel.text(key, query, word, ha="center", va="center")
        panel.set_title(title, loc="left")
        panel.set_xticks(range(slots), range(slots))
        panel.set_yticks(range(new), [f"query {held + query}" for query in range(new)])
        panel.set_xlabel("key")
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return picture
