"""Three tokens, two slots: what each slot holds after each token, in numbers that one can follow with a pencil.

One layer with one head of two channels. Token 0 has the key (1, 0) and the value (10, 1), token 1 (0, 1) and (20, 2),
token 2 (2, 3) and (60, 3).
"""

import pytest
import torch

from minigpt.attention import NEVER, attend, sees
from minigpt.cache import DynamicCache, SlidingWindowCache
from minigpt.config import GPTConfig

KEYS = [[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]]
VALUES = [[10.0, 1.0], [20.0, 2.0], [60.0, 3.0]]
EMPTY = [0.0, 0.0]
EQUAL = [0.0, 0.0]  # a query that scores 0 with every key: all that it sees weigh the same


def config(window=None):
    return GPTConfig(vocab_size=3, context=8, n_layer=1, n_head=1, n_embd=2, window=window)


def feed(cache, *tokens):
    """Token n stands at position n. Returns what attention is given: keys, values, positions of the slots."""
    cache.admit(None, torch.tensor([tokens]))
    keys, values = (torch.tensor([[of[n] for n in tokens]]).unsqueeze(2) for of in (KEYS, VALUES))  # (1, T, 1, 2)
    return cache.update(keys, values, layer=0)


def slots(cache):
    """Keys and values of the layer's slots, used or not."""
    keys, values = cache.here(0)
    return keys[0, :, 0].tolist(), values[0, :, 0].tolist()


def what_is_seen(query, position, keys, values, k_pos, window=None):
    """What attention gives to a query at that position."""
    mask = None if k_pos is None else sees(torch.tensor([[position]]), k_pos, window)
    return attend(torch.tensor([[[query]]]), keys, values, mask)[0, 0, 0].tolist()


def test_a_dynamic_cache_with_two_slots_doubles_them_at_the_third_token():
    cache = DynamicCache(config())
    assert slots(cache) == ([], [])

    keys, values, k_pos = feed(cache, 0, 1)
    assert slots(cache) == ([[1, 0], [0, 1]], [[10, 1], [20, 2]])
    assert k_pos.tolist() == [[0, 1]]
    # Token 1 sees 0 and 1; both score 0, softmax(0, 0) = (1/2, 1/2): half of (10, 1) and half of (20, 2).
    assert what_is_seen(EQUAL, 1, keys, values, k_pos) == pytest.approx([15, 1.5])

    keys, values, k_pos = feed(cache, 2)
    assert slots(cache) == ([[1, 0], [0, 1], [2, 3], EMPTY], [[10, 1], [20, 2], [60, 3], EMPTY])
    assert keys.shape[1] == 3  # the fourth slot is there, and is not handed out
    assert k_pos is None  # the one new token sees all three: no mask is wanted
    # Token 2 sees all three; softmax(0, 0, 0) = (1/3, 1/3, 1/3): a third of (90, 6).
    assert what_is_seen(EQUAL, 2, keys, values, k_pos) == pytest.approx([30, 2])


def test_a_ring_of_two_slots_puts_the_third_token_in_the_place_of_the_first():
    cache = SlidingWindowCache(config(window=2), chunk=1)
    assert slots(cache) == ([EMPTY, EMPTY], [EMPTY, EMPTY])

    keys, values, k_pos = feed(cache, 0)
    assert slots(cache) == ([[1, 0], EMPTY], [[10, 1], EMPTY])
    assert k_pos.tolist() == [[0, NEVER]]
    # Token 0 sees itself: what is in the empty slot stands at NEVER, after every query.
    assert what_is_seen(EQUAL, 0, keys, values, k_pos, window=2) == pytest.approx([10, 1])

    keys, values, k_pos = feed(cache, 1)
    assert slots(cache) == ([[1, 0], [0, 1]], [[10, 1], [20, 2]])
    assert cache.kv[0][2].tolist() == [[0, 1]]
    assert k_pos is None  # both slots are full, and both in the window of the one new token
    assert what_is_seen(EQUAL, 1, keys, values, k_pos, window=2) == pytest.approx([15, 1.5])

    keys, values, k_pos = feed(cache, 2)  # 2 % 2 = 0: the first slot
    assert slots(cache) == ([[2, 3], [0, 1]], [[60, 3], [20, 2]])
    assert k_pos.tolist() == [[2, 1]]  # out of order: positions say who sees whom, not the order of the slots
    # Token 2 sees 1 and 2: half of (60, 3) and half of (20, 2).
    assert what_is_seen(EQUAL, 2, keys, values, k_pos, window=2) == pytest.approx([40, 2.5])


def test_unequal_scores_weigh_the_values_as_the_softmax_by_hand_says():
    cache = SlidingWindowCache(config(window=2), chunk=1)
    for token in range(3):
        kept = feed(cache, token)
    # q = (-sqrt(2) ln 3, 0). q k2 / sqrt(2) = -2 ln 3 and q k1 / sqrt(2) = 0: weights 1/9 : 1, that is 0.1 and 0.9.
    # 0.1 (60, 3) + 0.9 (20, 2) = (24, 2.1)
    query = [-(2**0.5) * torch.log(torch.tensor(3.0)).item(), 0.0]
    assert what_is_seen(query, 2, *kept, window=2) == pytest.approx([24, 2.1])


def test_a_token_taken_back_is_wiped_from_its_slot_and_no_one_sees_it():
    cache = SlidingWindowCache(config(window=2), chunk=1)
    feed(cache, 0)
    feed(cache, 1)
    cache.crop(-1)
    keys, values, k_pos = cache.kv[0]
    assert slots(cache) == ([[1, 0], EMPTY], [[10, 1], EMPTY])
    assert k_pos.tolist() == [[0, NEVER]]
    assert what_is_seen(EQUAL, 0, keys, values, k_pos, window=2) == pytest.approx([10, 1])
