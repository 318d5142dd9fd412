"""Whether a key or value that is computed again is what it was before."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.arguments import plan
from minigpt.attention import NEVER
from minigpt.cache import KVCache
from minigpt.cache_arguments import new_cache
from minigpt.config import Config
from minigpt.generate import steps
from minigpt.measure.counted.observer import Observer
from minigpt.sampling import greedy


class Recomputed(Observer):
    """Compares the keys and values computed at each position with those computed there before; keeps a copy of them.

    difference: by layer and position, the largest in the last forward pass, over keys and values, heads, channels and
    rows of the batch. NaN where the position was not computed in that pass, or for the first time.
    """

    def __init__(self, cache: KVCache, config: Config, tokens: int = 0):
        super().__init__(cache)
        places = max(config.context, tokens)  # a text that streams may be longer
        self.difference: Float[Tensor, "L P"] = torch.full((config.n_layer, places), torch.nan)
        self.last: list[Float[Tensor, "B P two K D"] | None] = [None] * config.n_layer

    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        self.rows, self.columns = (self.newest != NEVER).nonzero().unbind(1)
        self.places = self.newest[self.rows, self.columns]
        self.difference = torch.full_like(self.difference, torch.nan)

    def update(self, k, v, layer):
        new = torch.stack([k, v], dim=2)  # (B, T, 2, K, D)
        if self.last[layer] is None:
            self.last[layer] = new.new_full((len(new), self.difference.shape[1], *new.shape[2:]), torch.nan)
        new = new[self.rows, self.columns]
        differs = (new - self.last[layer][self.rows, self.places]).abs().amax((1, 2, 3))  # NaN if there was none
        self.last[layer][self.rows, self.places] = new
        for place in self.places.unique().tolist():
            self.difference[layer, place] = differs[self.places == place].max()
        return super().update(k, v, layer)


@torch.no_grad()
def differences(model, ids: Int[Tensor, "B T"], new_tokens: int, name: str) -> Float[Tensor, "new L fed"]:
    """By how much each recomputed key and value of a greedy generation differs from the one before, by step, layer and
    position; NaN where nothing was recomputed."""
    text, positions = plan(model, ids, None, new_tokens)
    T, fed = ids.shape[1], text.shape[1] - 1  # the last token is never fed
    observer = Recomputed(new_cache(model, len(ids), fed, name, {}), model.config, fed)
    each = [observer.difference[:, :fed] for _ in steps(model, text, positions, T, observer, greedy)]
    return torch.stack(each)
