"""Which numbers share a scale, found from outside: what an outlier in the place of each number spoils."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DRAWS = 8  # other numbers each time: one that comes back right by chance is wrong in another draw
SPOILT = 0.15  # numbers of -1 ... 1 in 4 bits are usually off by half of 2 / 15 at most


def shared(read_back: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Int[Tensor, "..."]:
    """The number of each element's group, counted in the order of their first elements.

    read_back: takes a tensor of that shape, and returns what is read back after rounding to 4 bits or more.
    Raises ValueError if what outliers spoil does not fall into groups.
    """
    x = 2 * torch.rand(DRAWS, *shape, generator=torch.Generator().manual_seed(0)) - 1
    spoilt = torch.stack([spoilt_by(place, x, read_back).flatten() for place in range(x[0].numel())])
    _, groups = spoilt.int().argmax(1).unique(return_inverse=True)  # by the first element that is spoilt
    if not torch.equal(spoilt, groups == groups[:, None]):
        raise ValueError("what an outlier spoils does not fall into groups")
    return groups.view(shape)


def spoilt_by(
    place: int,
    x: Float[Tensor, "N ..."],
    read_back: Callable[[Tensor], Tensor],
) -> Bool[Tensor, "..."]:
    """Which numbers are read back wrong, in some of the N draws, once an outlier stands in that place."""
    wrong = torch.zeros_like(x[0], dtype=torch.bool)
    for outlier in (1000, -1000):
        touched = x.clone()
        touched.flatten(1)[:, place] = outlier
        for before, after in zip(x, touched, strict=True):
            wrong |= (read_back(after) - before).abs() > SPOILT
    return wrong
