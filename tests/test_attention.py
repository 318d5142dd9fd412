"""The sums that the fused kernel stands for, and that grouped heads copy nothing.

That the four versions of attention agree is a check of the conformance suite.
"""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from minigpt.attention import NEVER, attend, attend_as_matrices, attend_by_hand, attend_by_rows, sees

VERSIONS = [attend_by_hand, attend_by_rows, attend_as_matrices, attend]


@pytest.mark.parametrize("attention", VERSIONS)
def test_tokens_1_2_and_3_are_these_sums(attention):
    """Row 3 is s1 v1 + s2 v2 + s3 v3, with s the softmax of q3 k1, q3 k2, q3 k3; rows 1 and 2 stay as they were."""
    q, k, v = torch.randn(3, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for tokens in (1, 2, 3):
        positions = torch.arange(tokens)[None]
        shelf = [x[None, :tokens, None] for x in (q, k, v)]
        got = attention(*shelf, sees(positions, positions))[0, :, 0]
        for t in range(tokens):
            powers = [math.exp((q[t] @ k[s]).item() / math.sqrt(2)) for s in range(t + 1)]
            want = sum(power / sum(powers) * v[s] for s, power in enumerate(powers))
            assert torch.allclose(got[t], want, atol=1e-12)


@pytest.mark.parametrize("attention", [attend_by_rows, attend_as_matrices, attend])
def test_grouped_heads_copy_no_key_and_no_value(attention):
    """No operation makes a tensor as large as the keys would be if they were repeated for each query head."""

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out._base is None:
                self.elements = max(self.elements, out.numel())
            return out

    B, T, S, H, K, D = 1, 1, 64, 8, 2, 16
    q, k, v = torch.randn(B, T, H, D), torch.randn(B, S, K, D), torch.randn(B, S, K, D)
    mask = torch.ones(B, 1, T, S, dtype=torch.bool)
    with Largest() as largest:
        attention(q, k, v, mask)
    assert largest.elements < S * H * D
    with Largest() as largest:
        attention(q, k.repeat_interleave(H // K, dim=2), v.repeat_interleave(H // K, dim=2), mask)
    assert largest.elements >= S * H * D, "the observer sees a copy where there is one"


def test_a_padded_query_sees_something_so_that_no_row_is_empty():
    positions = torch.tensor([[NEVER, NEVER, 0, 1]])
    for window, sinks in [(None, 0), (1, 0), (2, 1)]:
        assert sees(positions, positions, window, sinks).any(-1).all()


def test_a_key_at_never_is_hidden_from_every_real_query():
    assert not sees(torch.tensor([[0, 5, 10**6]]), torch.tensor([[NEVER]])).any()


@pytest.mark.parametrize("attention", VERSIONS)
def test_large_scores_do_not_overflow(attention):
    q = torch.full((1, 2, 1, 4), 1e4, dtype=torch.float64)
    positions = torch.arange(2)[None]
    assert attention(q, q, q, sees(positions, positions)).isfinite().all()


@pytest.mark.parametrize(("window", "sinks"), [(None, 0), (3, 0), (3, 1)])
def test_slots_may_be_shown_to_each_query_by_itself(window, sinks):
    """(B, T, S) positions: a slot that stands at NEVER for one query is hidden from it, and from no other."""
    q_pos, k_pos = torch.arange(3, 6).expand(2, 3), torch.arange(6).expand(2, 6)
    shown = torch.rand(2, 3, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    by_query = k_pos[:, None].expand(2, 3, 6).masked_fill(~shown, NEVER)
    want = sees(q_pos, k_pos, window, sinks)[:, 0] & shown
    assert torch.equal(sees(q_pos, by_query, window, sinks)[:, 0], want)
    assert 0 < want.sum() < sees(q_pos, k_pos, window, sinks).sum()
