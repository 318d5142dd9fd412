"""By positions: each process keeps the keys and values of some of the tokens, and attends to these alone."""

import copy
from typing import TypeVar

import torch

from minigpt.language_model import LanguageModel
from minigpt.parallel.joining import attend_to_part, joined
from minigpt.parallel.processes import Processes

Model = TypeVar("Model", bound=LanguageModel)


def by_positions(model: Model, processes: Processes) -> Model:
    """This model, whose attention reads what its own process's cache keeps, and joins it with what the others read: one
    small tensor a layer goes from each process to each other. It shares the weights.

    Serve it with a `ShardedCache`. Without a cache each process reads the whole text, and the mean of equals is exact
    as well. Raises ValueError for a model that streams.
    """
    if model.config.streaming:
        raise ValueError("a streaming model attends to its sinks apart, and can't be cut by positions")

    def attend_with_all(q, k, v, mask):
        part = torch.cat(attend_to_part(q, k, v, mask), dim=-1)
        parts = torch.stack(processes.gathered(part))
        return joined(parts[..., :-1], parts[..., -1:])

    whole = copy.deepcopy(model, {id(weights): weights for weights in model.parameters()})
    whole.part_of = processes.part, processes.count
    for attention in whole.attentions:
        attention.attend = attend_with_all
    return whole
