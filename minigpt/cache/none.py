"""Keep nothing: the uncached reference of all other caches."""

import threading

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.cache import checks
from minigpt.cache.base import KVCache
from minigpt.config import Config
from minigpt.places import Device, Dtype


class NoCache(KVCache):
    """Each step is fed the whole text, and computes all of it anew."""

    length = next_position = 0
    nbytes = room = 0
    keeps = False
    moves = "keeps nothing, so that each step is fed all of a text that grows"

    def __init__(self, config: Config | None = None, batch_size: int = 1, dtype: Dtype = None, device: Device = None):
        """Takes the arguments of every cache, so that it can replace any; it needs none of them."""
        self.fed: dict[int, Tensor] = {}  # by thread: the positions of the pass under way

    @property
    def positions(self) -> Tensor:  # type: ignore[override]  # here they can't be set
        """Those of the pass under way; no others are known."""
        return self.fed[threading.get_ident()]

    def serve(self, model, batch_size):
        pass

    def admit(self, positions, ids=None):
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        else:
            checks.rising(self, positions)
        self.fed[threading.get_ident()] = positions

    def update(self, k, v, layer):
        return k, v, self.positions

    def crop(self, count: int) -> None:
        checks.crop(self, count)

    def select(self, rows: Int[Tensor, " N"] | list[int]) -> None:
        pass

    def reset(self):
        pass

    def here(self, layer):
        return []
