"""What becomes of the gradient when a text is read in two halves through a cache whose door is open."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from helpers import random_gpt

from minigpt.cache import ConcatCache, DynamicCache, StaticCache
from minigpt.exercises import e10_training


class Appending(ConcatCache):
    def serve(self, model, batch_size):
        pass


class Detached(Appending):
    def store(self, k, v, layer):
        stored = super().store(k, v, layer)
        self.kv[layer] = tuple(kept.detach() for kept in self.kv[layer])
        return stored


class InPlace(StaticCache):
    serve = Appending.serve


class Doubling(DynamicCache):
    serve = Appending.serve


def gradients(model, ids, cache=None, pieces=(5, 5)):
    """Of every weight, by its name. The loss is that of the last 4 tokens."""
    read = (
        [model(piece, cache=cache) for piece in ids[:, :-1].split(list(pieces), dim=1)]
        if cache
        else [model(ids[:, :-1])]
    )
    loss = F.cross_entropy(torch.cat(read, dim=1)[0, -4:], ids[0, -4:])
    names, weights = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, weights), strict=True))


@pytest.fixture
def read():
    model = random_gpt()
    ids = torch.randint(model.config.vocab_size, (1, 11), generator=torch.Generator().manual_seed(1))
    return model, ids, gradients(model, ids)


def exact(found, right):
    return [name for name in right if torch.allclose(found[name], right[name], rtol=0, atol=1e-12)]


def test_a_cache_that_appends_gives_the_exact_gradient(read):
    model, ids, right = read
    assert exact(gradients(model, ids, Appending(model.config, dtype=model.dtype)), right) == [*right]


def test_detached_rows_leave_exact_what_acts_behind_the_last_layers_keys_and_values(read):
    model, ids, right = read
    found = exact(gradients(model, ids, Detached(model.config, dtype=model.dtype)), right)
    assert found == e10_training.exact_names.reference([*right])


@pytest.mark.parametrize("kind", [InPlace, Doubling])
def test_writing_in_place_raises(read, kind):
    model, ids, _ = read
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradients(model, ids, kind(model.config, dtype=model.dtype), pieces=(6, 1, 1, 1, 1))


def test_transformers_appends_too():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=17, n_positions=16, n_layer=2, n_head=2, n_embd=8, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0
    )
    model = transformers.GPT2LMHeadModel(config).double().train()
    ids, cache = torch.randint(17, (1, 11)), transformers.DynamicCache()
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    losses = [
        F.cross_entropy(logits[0, -4:], ids[0, -4:])
        for logits in (
            model(ids[:, :-1]).logits,
            [model(piece, **{name: cache}).logits for piece in ids[:, :-1].split(5, dim=1)][-1],
        )
    ]
    right, found = (torch.autograd.grad(loss, [*model.parameters()]) for loss in losses)
    assert all(torch.allclose(one, other, rtol=0, atol=1e-12) for one, other in zip(right, found, strict=True))
