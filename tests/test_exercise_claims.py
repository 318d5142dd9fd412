"""Where the right answer to an exercise says what a cache or a model does, it does so."""

import pytest
import torch
from helpers import random_gpt

from minigpt import GPT, make_cache
from minigpt.attention import attend
from minigpt.exercises import e05_windowing, e12_real_models
from minigpt.llama import Llama, frequencies
from minigpt.llama_config import LlamaConfig
from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.memory import EXACT, held
from minigpt.recall.questions import questions


@pytest.mark.parametrize(("order", "length"), e05_windowing.right_tokens.cases)
@torch.no_grad()
def test_a_shuffled_ring_first_misses_a_token_when_a_changed_slot_is_written_over(order, length):
    model = random_gpt().with_window(len(order))
    ids = torch.randint(model.config.vocab_size, (1, length + len(order)))
    cache = make_cache("sliding_window", model.config, chunk=1, dtype=model.dtype)
    for token in ids[:, :length].split(1, dim=1):
        model(token, cache=cache)
    cache.kv = [tuple(kept[:, order] for kept in layer) for layer in cache.kv]
    rest = torch.cat([model(token, cache=cache) for token in ids[:, length:].split(1, dim=1)], dim=1)
    right = ((rest - model(ids)[:, length:]).abs().amax((0, 2)) < 1e-10).tolist()
    assert right.index(False) == e05_windowing.right_tokens.reference(order, length)


@pytest.mark.parametrize("sinks", [0, 4])
@torch.no_grad()
def test_a_fact_is_remembered_just_where_its_value_is_still_seen(sinks):
    length, window = 120, 64
    asked = questions(0, (51, 80), count=8, length=length)
    model = GPT.from_pretrained("recall").with_window(window, sinks)
    remembered = e05_windowing.remembered_starts.reference(length, window, sinks)
    edges = [*range(sinks), *range(length - window - 5, length - window + 2)]
    for start in edges:
        prompts = torch.stack([moved(*each, start) for each in zip(asked.prompts, asked.distances, strict=True)])
        right = int((model(prompts)[:, -1].argmax(-1) == asked.answers).sum())
        assert right >= 7 if start in remembered else right <= 1


def moved(prompt, distance, start):
    at = len(prompt) - int(distance) - 2
    rest = torch.cat([prompt[:at], prompt[at + 4 :]])
    return torch.cat([rest[:start], prompt[at : at + 4], rest[start:]])


@torch.no_grad()
def test_keys_that_closed_ranks_are_those_of_a_llama_that_reads_them_there():
    """In its first layer, where a key depends on its token and its position alone."""
    model = Llama(LlamaConfig(vocab_size=50, context=64, n_layer=1, n_head=2, n_embd=32, n_inner=8)).double().eval()
    ids, positions = torch.arange(5)[None], torch.tensor([[0, 1, 7, 8, 40]])
    kept, fresh = (make_cache("concat", model.config, dtype=model.dtype) for _ in range(2))
    model(ids, positions, kept)
    model(ids, cache=fresh)
    for keys, wanted in zip(kept.kv[0][0].unbind(2), fresh.kv[0][0].unbind(2), strict=True):  # of a head
        got = e12_real_models.close_ranks.reference(keys[0], positions[0], frequencies(model.config).double())
        assert (got - wanted[0]).abs().max() < 1e-5, "angles in float32"
        assert (keys - wanted).abs().max() > 1e-2


@pytest.mark.parametrize(("query_heads", "kv_heads", "cards"), e12_real_models.heads_on_cards.cases)
def test_a_card_needs_the_heads_that_attention_reads_for_its_queries(query_heads, kv_heads, cards):
    q, k, v = (torch.randn(1, 3, heads, 4) for heads in (query_heads, kv_heads, kv_heads))
    k.requires_grad_()
    out, needed = attend(q, k, v, None), []
    for share in out.chunk(cards, dim=2):
        (gradient,) = torch.autograd.grad(share.sum(), k, retain_graph=True)
        needed.append(int((gradient != 0).any(3).any(1).sum()))
    assert needed == e12_real_models.heads_on_cards.reference(query_heads, kv_heads, cards)


@pytest.mark.parametrize("sizes", e12_real_models.outweighs.cases, ids=str)
def test_caches_outweigh_the_weights_from_where_counting_says(sizes):
    weights, batch, token, full, windowed, window = sizes
    model = Architecture({"keys": (1, 1)}, (None,) * full + (window,) * windowed, None)
    nbytes = [held("sliding_window" if windowed else "static", model, tokens).nbytes for tokens in range(1, 1500)]
    more = [tokens for tokens, each in enumerate(nbytes, 1) if batch * token * each > EXACT * weights]
    assert e12_real_models.outweighs.reference(*sizes) == (more[0] if more else None)
