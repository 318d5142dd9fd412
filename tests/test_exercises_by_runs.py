"""What the exercises of notebooks 01 to 03 call right is what attention, the model and its caches do."""

import math

import pytest
import torch
from test_exercises import EXERCISES

from minigpt import GPT, make_cache
from minigpt.arguments import plan
from minigpt.cache import DynamicCache
from minigpt.check import WrongAnswer
from minigpt.exercises.e01_attention import half, numbers
from minigpt.measure.counted.meter import Meter
from minigpt.measure.counted.trace import trace

MODEL = GPT.from_pretrained("recall", dtype=torch.float64)


def reference(name):
    return EXERCISES[name].reference


def text(length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(MODEL.config.vocab_size, (1, length), generator=generator)


def keys(model, ids):
    """(L, T): a number for each key that changes when it does."""
    cache = make_cache("concat", model.config, batch_size=len(ids), dtype=model.dtype)
    with torch.no_grad():
        model(ids, cache=cache)
    return torch.stack([k.flatten(2) for k, _ in cache.kv])  # (L, B, T, C)


def test_a_token_read_twice_takes_the_weight_that_attention_gives_it():
    q, k = numbers(1, 4), numbers(6, 4)
    weights = (q @ k.T / 2).softmax(-1)[0].tolist()
    twice = (q @ k[[0, 1, 2, 2, 3, 4, 5]].T / 2).softmax(-1)[0].tolist()
    assert reference("e01_attention doubled")(weights, 2) == pytest.approx(twice, rel=1e-12)


def test_branches_of_a_tree_give_what_each_gives_alone():
    """Three tokens, then two continuations of the first."""
    q, k, v = numbers(3, 5, 4)
    mask = reference("e01_attention tree")([-1, 0, 1, 0, 3])
    weights = (q @ k.T / 2).masked_fill(~mask, -math.inf).softmax(-1)
    for branch in ([0, 1, 2], [0, 3, 4]):
        alone = (q[branch] @ k[branch].T / 2).masked_fill(~torch.ones(3, 3).tril().bool(), -math.inf).softmax(-1)
        torch.testing.assert_close((weights @ v)[branch], alone @ v[branch], atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [1, 1000])
def test_two_halves_join_to_attention_over_all_keys(size):
    q, k, v = size * numbers(3, 4), numbers(7, 4), numbers(4, 7).T
    joined = reference("e01_attention joined")(*half(q, k[:2], v[:2]), *half(q, k[2:], v[2:]))
    torch.testing.assert_close(joined, half(q, k, v)[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize(("prompt", "new"), [(1, 1), (7, 8), (3, 5)])
def test_pairs_are_those_that_a_run_counts(prompt, new):
    counted = [
        sum(each.pairs for each in trace(MODEL, text(prompt), new, name).passes) // MODEL.config.n_layer
        for name in ("none", "dynamic")
    ]
    assert list(reference("e02_recomputing pairs")(prompt, new)) == counted


@pytest.mark.parametrize(("token", "window"), [(3, 4), (0, 2), (10, 5), (4, 1)])
def test_a_change_reaches_the_keys_that_it_reaches_in_a_model_with_a_window(token, window):
    model, ids = MODEL.with_window(window), text(14)
    changed = ids.clone()
    changed[0, token] = (changed[0, token] + 1) % MODEL.config.vocab_size
    moved = (keys(model, ids) - keys(model, changed)).abs().amax((1, 3)) > 0
    for layer, tokens in enumerate(moved):
        assert reference("e02_recomputing reach")(token, layer, window, 14) == tokens.nonzero().flatten().tolist()


def test_rows_that_can_stay_have_the_keys_that_a_model_computes_anew():
    for old, new in EXERCISES["e02_recomputing reusable"].cases:
        most = min(old.shape[1], new.shape[1])
        same = (keys(MODEL, old)[..., :most, :] - keys(MODEL, new)[..., :most, :]).abs().amax((0, 1, 3)) < 1e-12
        kept = int(same.cumprod(0).sum())
        assert reference("e02_recomputing reusable")(old, new) == min(kept, new.shape[1] - 1)


class Growing(DynamicCache):
    """Its room grows by `step` slots each time."""

    step: int
    copied = 0

    def place(self, layer):
        old, (k, v) = self.length - self.text.new, self.kv[layer]
        if self.length > k.shape[1]:
            self.copied += old if layer == 0 else 0
            room = k.new_zeros(len(k), self.step, *k.shape[2:])
            self.kv[layer] = torch.cat([k, room], dim=1), torch.cat([v, room], dim=1)
        return slice(None), slice(old, self.length)


@pytest.mark.parametrize(("tokens", "step"), [(33, 16), (32, 16), (5, 16), (20, 1), (20, 3)])
def test_a_cache_that_grows_by_a_few_slots_copies_what_the_exercise_says(tokens, step):
    cache = Growing(MODEL.config, dtype=MODEL.dtype)
    cache.step = step
    with torch.no_grad():
        for token in text(tokens).split(1, dim=1):
            logits = MODEL(token, cache=cache)[:, -1]
        torch.testing.assert_close(logits, MODEL(text(tokens))[:, -1], atol=1e-12, rtol=0)
    assert reference("e03_caching copied")(tokens, step) == cache.copied


def test_the_next_positions_are_those_that_generate_gives():
    for mask, new in EXERCISES["e03_caching next_positions"].cases:
        if not mask.all():  # no padding, no positions to give
            planned = plan(MODEL, torch.ones_like(mask), mask, new)[1]
            assert torch.equal(reference("e03_caching next_positions")(mask, new), planned[:, mask.shape[1] :])


def test_a_chat_computes_the_rows_that_a_run_counts():
    for (turns,) in EXERCISES["e03_caching chat"].cases:
        counted = []
        for policy in ("none", "new", "kept"):
            ids, rows, cache = text(1)[:, :0], 0, make_cache("dynamic", MODEL.config, dtype=MODEL.dtype)
            for turn, (asked, answered) in enumerate(turns):
                ids = torch.cat([ids, text(asked, seed=turn)], dim=1)
                if policy != "kept":
                    cache = make_cache("dynamic" if policy == "new" else "none", MODEL.config, dtype=MODEL.dtype)
                meter = Meter(cache, MODEL.config)
                ids = MODEL.generate(ids, max_new_tokens=answered, cache=meter)
                rows += int(meter.times[0].sum())
            counted.append(rows)
        assert list(reference("e03_caching chat")(turns)) == counted


def test_a_prompt_fed_one_token_at_a_time_is_no_answer_though_its_logits_are_right():
    def by_tokens(model, ids, size):
        with torch.no_grad():
            cache = make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)
            return torch.cat([model(token, cache=cache) for token in ids.split(1, dim=1)], dim=1)

    with pytest.raises(WrongAnswer, match="Likely: one token at a time gives the right logits, but the prompt was"):
        EXERCISES["e03_caching prefill"].check(by_tokens)
