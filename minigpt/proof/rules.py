"""Attention itself, on which the oracle stands too: against the sentences that define it."""

import itertools

import torch

from minigpt.attention import NEVER, attend, attend_as_matrices, attend_by_hand, attend_by_rows, sees
from minigpt.proof.sameness import hold
from minigpt.proof.situations import HEADS, RULES, text

__tracebackhide__ = True  # a traceback shows the cache's lines, not those of its check


def versions_of_attention_agree(heads, rule):
    """By hand, by rows, as matrices, fused: the same numbers, for fresh and for cached queries."""
    generator = torch.Generator().manual_seed(3)
    B, T, S, H, K, D = 2, 4, 11, 4, HEADS[heads], 5
    q = torch.randn(B, T, H, D, dtype=torch.float64, generator=generator)
    k = torch.randn(B, S, K, D, dtype=torch.float64, generator=generator)
    v = torch.randn(B, S, K, D, dtype=torch.float64, generator=generator)
    _, k_pos = text([0, 3], S)
    mask = sees(k_pos[:, -T:], k_pos, **RULES[rule])
    by_hand = attend_by_hand(q, k, v, mask)
    for attention in (attend_by_rows, attend_as_matrices, attend):
        difference = (attention(q, k, v, mask) - by_hand).abs().max()
        hold(bool(difference < 1e-12), f"{attention.__name__} differs by {difference:.3g}")


def rule_is_what_it_says(rule):
    """`sees`, entry by entry, against the sentence: itself and before, in the window or a sink, never a pad."""
    window, sinks = RULES[rule].get("window"), RULES[rule].get("sinks", 0)
    _, k_pos = text([0, 3], 12)
    mask = sees(k_pos[:, 5:], k_pos, window, sinks)
    for b, t, s in itertools.product(range(2), range(7), range(12)):
        query, key = k_pos[b, 5 + t].item(), k_pos[b, s].item()
        near = window is None or query - key < window or key < sinks
        seen = key != NEVER and key <= query and near
        hold(mask[b, 0, t, s].item() == seen, f"query {query} must {'' if seen else 'not '}see key {key}")
