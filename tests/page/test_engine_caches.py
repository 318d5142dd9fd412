"""The page's caches against torch's: what they give, the rows that are computed, and the bytes that they hold."""

import pytest
import torch
from engine_asked import CACHES, CLOSE, FED, NEEDS_NODE, TEXT, asked, followed, generated, is_noticed, mutant, served_by

from minigpt.cache import make_cache
from minigpt.generate import next_logits
from minigpt.measure.counted.trace import trace

pytestmark = NEEDS_NODE

# A number that lies in the middle between two codes may get the one here and the other there. Of sixty codes flipped at
# random, the worst moved a logit by 4e-5 (8 bits), 7e-4 (4 bits), 4e-3 (2 bits): five of these are allowed.

FLIPPED = {8: 2e-4, 4: 4e-3, 2: 2e-2}

REQUESTS = {
    **{f"followed {name}": followed(name, TEXT, FED) for name in CACHES},
    **{f"counted {name}": {"kind": "generated", "requests": [generated(name, TEXT[:40], 20)]} for name in CACHES},
}


@pytest.fixture(scope="module")
def answers():
    return asked(REQUESTS)


@pytest.mark.parametrize("name", [name for name in CACHES if "ring" in name])
def test_a_ring_gives_what_the_windowed_model_gives_without_a_cache(model, answers, name):
    ours = torch.tensor(answers[f"followed {name}"])
    windowed, _ = served_by(model, CACHES[name][1])
    with torch.inference_mode():
        theirs = windowed(TEXT[None])[0, FED - 1 :]
    assert (ours - theirs).abs().max() < CLOSE
    if CACHES[name][1].get("window") == 16 and CACHES[name][1].get("sinks") == 2:
        assert (ours - torch.tensor(answers["followed none, windowed"])).abs().max() < CLOSE


@pytest.mark.parametrize("name", CACHES)
def test_each_cache_gives_what_it_gives_in_torch(model, answers, name):
    cache, options = CACHES[name]
    served, rest = served_by(model, options)
    theirs = make_cache(cache, served.config, **rest)
    with torch.inference_mode():
        expected = torch.cat([next_logits(served, TEXT[None, :end], None, theirs) for end in range(FED, len(TEXT) + 1)])
    close = FLIPPED[options.get("nbits", 4)] if cache == "quantized" else CLOSE
    assert (torch.tensor(answers[f"followed {name}"]) - expected).abs().max() < close


@pytest.mark.parametrize("name", CACHES)
def test_rows_computed_and_bytes_held_are_those_that_python_counts(model, answers, name):
    cache, options = CACHES[name]
    served, rest = served_by(model, options)
    (steps,) = answers[f"counted {name}"]
    passes = trace(served, TEXT[None, :40], len(steps), cache, **rest).passes
    ends = range(len(passes) - len(steps) + 1, len(passes) + 1)  # a prompt may take several passes
    rows = [sum(each.rows for each in passes[:end]) for end in ends]  # (L, P) after each step
    assert [step["rows"] for step in steps] == [int(each.sum()) for each in rows]
    assert [step["needed"] for step in steps] == [int((each > 0).sum()) for each in rows]
    assert [step["nbytes"] for step in steps] == [passes[end - 1].nbytes for end in ends]
    held = range(40, 40 + len(steps))
    assert [step["length"] for step in steps] == [n if cache != "none" else 0 for n in held]
    assert [step["step"] for step in steps] == [*range(len(steps))]
    assert all(step["ms"] > 0 for step in steps)


def ring(name):
    return lambda *given: test_a_ring_gives_what_the_windowed_model_gives_without_a_cache(*given, name)


def counted(name):
    return lambda *given: test_rows_computed_and_bytes_held_are_those_that_python_counts(*given, name)


def in_torch(name):
    return lambda *given: test_each_cache_gives_what_it_gives_in_torch(*given, name)


MUTANTS = {  # file, before, after; what is asked, and who notices
    "a window one too wide": (
        *("attention", "key > query - window", "key >= query - window"),
        *("followed ring", ring("ring")),
    ),
    "a sink in the ring": (
        *("sliding", "position < sinks ?", "position < sinks - 1 ?"),
        *("followed tight ring", ring("tight ring")),
    ),
    "room that triples": (
        *("cache", "2 * buffer.length", "3 * buffer.length"),
        *("counted dynamic", counted("dynamic")),
    ),
    "rows that count twice": (
        *("meter", "[position]++ === 0", "[position]++ <= 1"),
        *("counted none", counted("none")),
    ),
    "a residual one too short": (
        *("codec", "exact - residual)", "exact - residual + 1)"),
        *("followed int2 by token", in_torch("int2 by token")),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_a_cache_is_noticed(model, name, tmp_path):
    *change, what, notices = MUTANTS[name]
    is_noticed(lambda answers: notices(model, answers), {what: REQUESTS[what]}, mutant(tmp_path, *change))
