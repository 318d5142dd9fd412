"""Attention to a part of the text, and parts joined to the whole by the log of each one's sum of exponentials.

Softmax weights are exp(score) / sum. A part knows its own sum only. Its share of the whole is that sum over the sum of
all parts' sums, and the whole is what the parts read, weighted by their shares: exactly what one attention would read.
(Milakov and Gimelshein, arXiv 1805.02867, section 3; over parts of the keys: Flash-Decoding, Dao et al., 2023.)
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def attend_to_part(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S K D"], v: Float[Tensor, "B S K D"], mask: Bool[Tensor, "B 1 T S"]
) -> tuple[Float[Tensor, "B T H D"], Float[Tensor, "B T H 1"]]:
    """What the queries read in these keys and values, and the log of their sum of exponentials: -inf, and zeros read,
    for a query that sees none of them. S may be 0."""
    B, T, H, D = q.shape
    K = k.shape[2]
    q = q.reshape(B, T, K, H // K, D)
    scores = torch.einsum("btkgd,bskd->btkgs", q, k) / math.sqrt(D)
    scores = scores.masked_fill(~mask[:, 0, :, None, None], -math.inf)
    lse = scores.logsumexp(-1, keepdim=True)
    weights = (scores - lse.clamp(min=torch.finfo(lse.dtype).min)).exp()
    return torch.einsum("btkgs,bskd->btkgd", weights, v).reshape(B, T, H, D), lse.reshape(B, T, H, 1)


def joined(read: Float[Tensor, "n B T H D"], lse: Float[Tensor, "n B T H 1"]) -> Float[Tensor, "B T H D"]:
    """What n parts read, as one attention to all their keys and values would have read it."""
    return (lse.softmax(0) * read).sum(0)
