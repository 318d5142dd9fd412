"""Attention, written four times: by hand, row by row, as matrices, fused. Each gives the numbers of the one before.

Axes: B rows of a batch, T queries, S keys, H query heads, K key/value heads, D channels of a head.
Query head h reads key head h // (H / K). With K < H this is grouped-query attention, and no version
copies a key or a value to get there. All four want a mask in which every query sees at least one key.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

# The position of a token that is not there: padding, an empty or a forgotten slot.
# It lies in the future of every real query, so causality alone hides it.
NEVER = 2**31 - 1

Queries = Float[Tensor, "B T H D"]  # and what attention gives for them
Keys = Float[Tensor, "B S K D"]  # and values
Mask = Bool[Tensor, "#B 1 T S"]


def sees(
    q_pos: Int[Tensor, "B T"], k_pos: Int[Tensor, "B *T S"], window: int | None = None, sinks: int = 0
) -> Bool[Tensor, "B 1 T S"]:
    """The one rule of who sees whom: True where the query at q_pos may look at the key at k_pos.

    A token sees itself and all before it; with a window only the last `window` of these, and with
    sinks also those whose position is below `sinks`. A padded query stands at NEVER, so it sees at
    least itself: no row of the mask is empty. Its result is not used. k_pos may also be (B, T, S), with a
    row of slots for each query.
    """
    q, k = q_pos.unsqueeze(1).unsqueeze(3), k_pos.unsqueeze(1)  # (B, 1, T, 1), (B, 1, *T, S)
    k = k if k_pos.ndim == 3 else k.unsqueeze(1)
    mask = k <= q
    if window is not None:
        near = k > q - window
        mask &= (near | (k < sinks)) if sinks else near
    return mask


def attend_by_hand(q: Queries, k: Keys, v: Keys, mask: Mask) -> Queries:
    """Attention with Python numbers and loops only: one query, one key, one channel at a time.

    For query 3 that sees keys 1, 2, 3 this is `s1 v1 + s2 v2 + s3 v3`, with `s` the softmax of
    `q3 k1, q3 k2, q3 k3` over sqrt(D). (Vaswani et al., arXiv 1706.03762, section 3.2.1.)
    """
    B, T, H, D = q.shape
    S, K = k.shape[1:3]
    queries, keys, values = q.tolist(), k.tolist(), v.tolist()
    seen = mask.expand(B, 1, T, S).tolist()
    out = [[[[0.0] * D for _ in range(H)] for _ in range(T)] for _ in range(B)]
    for b in range(B):
        for t in range(T):
            for h in range(H):
                g = h * K // H  # the key head that this query head reads
                visible = [s for s in range(S) if seen[b][0][t][s]]
                scores = []
                for s in visible:
                    dot = 0.0
                    for d in range(D):
                        dot += queries[b][t][h][d] * keys[b][s][g][d]
                    scores.append(dot / math.sqrt(D))
                highest = max(scores)  # taken off before exp, which would overflow otherwise
                weights = [math.exp(score - highest) for score in scores]
                total = sum(weights)
                for s, weight in zip(visible, weights, strict=True):
                    for d in range(D):
                        out[b][t][h][d] += weight / total * values[b][s][g][d]
    return torch.tensor(out, dtype=q.dtype, device=q.device)


def attend_by_rows(q: Queries, k: Keys, v: Keys, mask: Mask) -> Queries:
    """One query at a time, all keys and channels at once. Row t needs no other row's query."""
    B, T, H, D = q.shape
    K = k.shape[2]
    rows = []
    for t in range(T):
        row = q[:, t].reshape(B, K, H // K, D)
        scores = torch.einsum("bkgd,bskd->bkgs", row, k) / math.sqrt(D)
        scores = scores.masked_fill(~mask[:, :, t, None], -math.inf)
        row = torch.einsum("bkgs,bskd->bkgd", scores.softmax(-1), v)
        rows.append(row.reshape(B, H, D))
    return torch.stack(rows, dim=1)  # (B, T, H, D)


def attend_as_matrices(q: Queries, k: Keys, v: Keys, mask: Mask) -> Queries:
    """All queries at once: softmax(Q K^T / sqrt(D) + mask) V, one T x S matrix for each head."""
    B, T, H, D = q.shape
    K = k.shape[2]
    q = q.reshape(B, T, K, H // K, D)
    scores = torch.einsum("btkgd,bskd->bkgts", q, k) / math.sqrt(D)
    scores = scores.masked_fill(~mask[:, :, None], -math.inf)
    out = torch.einsum("bkgts,bskd->btkgd", scores.softmax(-1), v)
    return out.reshape(B, T, H, D)


def attend(q: Queries, k: Keys, v: Keys, mask: Mask | None) -> Queries:
    """Fused: one call of PyTorch's kernel, which never stores the T x S matrix. What the model uses.

    mask: None hides nothing. The G = H / K query heads that share a key head become T x G rows over one set of keys.
    """
    B, T, H, D = q.shape
    K = k.shape[2]
    G = H // K
    if G > 1:
        q = q.reshape(B, T, K, G, D).transpose(2, 3).reshape(B, T * G, K, D)
        mask = None if mask is None else mask.repeat_interleave(G, dim=2)  # (B, 1, T G, S)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask)
    out = out.transpose(1, 2)  # (B, T G, K, D)
    return out if G == 1 else out.reshape(B, T, G, K, D).transpose(2, 3).reshape(B, T, H, D)
