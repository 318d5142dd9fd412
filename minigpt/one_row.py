"""How a compiled step multiplies a row or two by a weight: as multiply-and-sum, of which the compiler makes a loop that
reads the weight at the memory's speed. The library's product reaches less than half of that on a CPU.

Nobody but this file knows.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo import lookup_backend

from minigpt.shortcut import noted


def backend(graph: torch.fx.GraphModule, inputs: list):
    """A backend of `torch.compile`: its own, after such products have been written otherwise."""
    for node in graph.graph.nodes:
        if node.op == "call_function":
            node.target = INSTEAD.get(node.target, node.target)
    graph.recompile()
    inductor: Any = lookup_backend("inductor")
    return noted(inductor(graph, inputs, config_patches=SETTINGS), graph)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear"""
    if x.device.type != "cpu" or x.shape[:-1].numel() > FEW:
        return F.linear(x, weight, bias)
    y = torch.stack([(weight * row).sum(-1) for row in in_memory(x.reshape(-1, x.shape[-1])).unbind()])
    return (y if bias is None else y + bias).view(*x.shape[:-1], -1)


def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """F.scaled_dot_product_attention, of (B, K, T, D) and (B, K, S, D)"""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
    rows = in_memory(q).split(1, dim=2)  # so that no view is taken of keys and values
    scores = torch.stack([(row * k).sum(-1) for row in rows], dim=2) / q.shape[-1] ** 0.5  # (B, K, T, S)
    weights = scores.masked_fill(~attn_mask, -torch.inf).softmax(-1)
    return torch.stack([(row[..., None] * v).sum(-2) for row in weights.unbind(2)], dim=2)


def in_memory(x: Tensor) -> Tensor:
    """The same. To the compiler it says: write these numbers down. Else it would fuse what x comes from, a LayerNorm
    say, into the loop over the weight, and compute it anew for each of the weight's rows."""
    x = x.contiguous()
    return x.as_strided(x.shape, x.stride())


FEW = 2  # rows: with more, the library's product is quicker
SETTINGS = {
    "size_asserts": False,  # sizes are compared before the graph is entered
    "alignment_asserts": False,
    "cpp.min_chunk_size": 2**16,  # numbers of a loop that are worth another thread, which must be woken
    "fx_graph_cache": False,  # a graph from the disk comes with guards that held by chance: that all slots are in use
}
INSTEAD = {F.linear: linear, F.scaled_dot_product_attention: attention}
