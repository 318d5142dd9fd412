"""Which numbers share a scale: found by marking every number and looking where it goes, not by what the options say."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.cache.quantized.codec import Codec


@dataclass(frozen=True)
class Explanation:
    """groups: the number of each element's group, -1 where it waits, exact, for its group to fill. text: in words."""

    groups: Int[Tensor, "B T K D"]
    text: str


def explain(codec: Codec, shape: tuple[int, int, int, int]) -> Explanation:
    """Of keys or values of that shape, (B, T, K, D), all of which have left the residual."""
    if shape[2:] != codec.token_shape:
        raise ValueError(
            f"this model's keys and values are (B, T, {codec.token_shape[0]}, {codec.token_shape[1]}), got {shape}"
        )
    places = torch.arange(torch.Size(shape).numel()).view(shape)
    members = codec.split(places[:, : codec.leaving(shape[1], 0)]).flatten(0, 2)  # (groups, numbers of a group)
    groups = torch.full_like(places, -1)
    groups.view(-1)[members] = torch.arange(len(members))[:, None]
    if not len(members):
        return Explanation(groups, f"{shape[1]} tokens don't fill a group of {codec.tokens}: all are exact")
    marked = [which.unique().tolist() for which in torch.unravel_index(members[0], shape)]
    what = zip(("row", "token", "head", "channel"), marked, strict=True)
    spans = " x ".join(f"{len(span)} {name}{'s' * (len(span) > 1)} ({some(span)})" for name, span in what)
    bits = codec.format.bits + 8 * codec.format.parameters * codec.dtype.itemsize / members.shape[1]
    return Explanation(
        groups,
        f"{members.shape[1]} numbers share a scale, {len(members)} groups in all, {bits:.4g} bits a number with their "
        f"scales. The first group lies in {spans}",
    )


def some(span: list[int]) -> str:
    """0, or 0-7, or 0, 4, 8, ..., 60"""
    if span == list(range(span[0], span[-1] + 1)):
        return f"{span[0]}" if len(span) == 1 else f"{span[0]}-{span[-1]}"
    return ", ".join(map(str, span)) if len(span) < 5 else f"{', '.join(map(str, span[:3]))}, ..., {span[-1]}"
