"""What a step of the page's engine shows of each layer, against what torch's caches give attention."""

import pytest
import torch
from engine_asked import CACHES, CLOSE, NEEDS_NODE, TEXT, asked, generated, served_by

from minigpt.attention import NEVER, sees
from minigpt.cache import make_cache
from minigpt.generate import next_logits

pytestmark = NEEDS_NODE

REQUESTS = {f"watched {name}": {"kind": "watched", "request": generated(name, TEXT[:40], 4)} for name in CACHES}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


class Reading:
    """What a cache in torch gives attention in a pass: of each layer, keys and values (S, C), and positions."""

    def __init__(self, cache):
        self.layers, self.update = [], cache.update
        cache.update = self.noted

    def noted(self, k, v, layer):
        k, v, positions = self.update(k, v, layer)
        at = torch.arange(k.shape[1]) if positions is None else positions[0].clone()
        self.layers.append((k[0].flatten(1).clone(), v[0].flatten(1).clone(), at))
        return k, v, positions


@pytest.fixture(scope="module")
def watched(model, answers):
    """By cache: for each step and layer, what the page shows, and what torch's cache gave attention."""

    def pairs(name):
        cache, options = CACHES[name]
        served, rest = served_by(model, options)
        theirs, steps = make_cache(cache, served.config, **rest), answers[f"watched {name}"]
        text = torch.tensor([*TEXT[:40].tolist(), *(step["id"] for step in steps)])
        reading = Reading(theirs)
        for step, end in zip(steps, range(40, len(text)), strict=True):
            with torch.inference_mode():
                next_logits(served, text[None, :end], None, theirs)
            yield step["step"], step["layers"], reading.layers[-len(step["layers"]) :], theirs

    return pairs


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_the_keys_and_values_that_attention_reads(watched, name):
    flips = CACHES[name][0] == "quantized"
    for _, layers, expected, _ in watched(name):
        for shown, (keys, values, positions) in zip(layers, expected, strict=True):
            assert shown["positions"] == positions.tolist()
            for ours, theirs in ((shown["keys"], keys), (shown["values"], values)):
                apart = (torch.tensor(ours).view(theirs.shape) - theirs).abs()
                assert (apart > CLOSE).float().mean() <= flips * 1e-3  # of a flipped code, the rest of its layer's too


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_what_is_empty_exact_or_rounded_and_when_it_was_computed(watched, name):
    kind = CACHES[name][0]
    for step, layers, expected, cache in watched(name):
        for layer, (shown, (_, _, at)) in enumerate(zip(layers, expected, strict=True)):
            empty, prefill = at == NEVER, at < 40
            blocks = cache.kv[layer][2:] if kind == "quantized" else ()
            rounded = (
                [codec.tokens_in(each) for codec, each in zip(cache.codecs, blocks, strict=True)] if blocks else [0, 0]
            )
            for what, count in zip(("state", "valueState"), rounded, strict=True):
                assert shown[what] == torch.where(empty, 0, 1 + (at < count).int()).tolist()
            first = torch.where(prefill, 0, at - 39)  # token 40 is the first that is fed by itself
            last = torch.full_like(at, step) if kind == "none" else first
            assert shown["computed"] == last.masked_fill(empty, -1).tolist()
            assert (
                shown["times"]
                == (last - first + 1 if kind != "none" else step - first + 1).masked_fill(empty, 0).tolist()
            )


@pytest.mark.parametrize("name", CACHES)
def test_a_step_shows_the_newest_tokens_attention(model, watched, name):
    served, _ = served_by(model, CACHES[name][1])
    for step, layers, expected, _ in watched(name):
        newest = torch.tensor([[39 + step]])
        for shown, (_, _, at) in zip(layers, expected, strict=True):
            weights = torch.tensor(shown["attention"]).view(2, -1)
            assert torch.allclose(weights.sum(1), torch.ones(2), atol=1e-5)
            assert ((weights > 0) == sees(newest, at[None], served.config.window, served.config.sinks)[0, 0]).all()
