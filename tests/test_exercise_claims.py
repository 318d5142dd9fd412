"""Where the right answer to an exercise says what a cache or a model does, it does so."""

import pytest
import torch
from helpers import random_gpt

from minigpt import GPT, make_cache
from minigpt.exercises import e05_windowing
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
