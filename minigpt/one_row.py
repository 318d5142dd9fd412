"""How a compiled step multiplies few rows: as multiply-and-sum, which the compiler makes a loop at the memory's speed.

The library's product of one row reads its weight at less than half of that on a CPU. Nobody but this file knows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo import lookup_backend

ROWS = 1  # up to so many, multiply-and-sum is faster


def backend(graph: torch.fx.GraphModule, inputs: list):
    """A backend of `torch.compile`: its own, after the products of few rows are written otherwise."""
    for node in graph.graph.nodes:
        if node.op == "call_function":
            node.target = INSTEAD.get(node.target, node.target)
    graph.recompile()
    return lookup_backend("inductor")(graph, inputs)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear"""
    *rows, width = x.shape
    if x.device.type != "cpu" or torch.Size(rows).numel() > ROWS:
        return F.linear(x, weight, bias)
    y = (weight * x.reshape(-1, 1, width)).sum(-1)
    return (y if bias is None else y + bias).view(*rows, -1)


def attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
    """F.scaled_dot_product_attention, of (B, K, T, D) and (B, K, S, D)"""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
    scores = (q[:, :, :, None] * k[:, :, None]).sum(-1) / q.shape[-1] ** 0.5  # (B, K, T, S)
    weights = scores.masked_fill(~attn_mask, -torch.inf).softmax(-1)
    return (weights[..., None] * v[:, :, None]).sum(-2)


INSTEAD = {F.linear: linear, F.scaled_dot_product_attention: attention}
