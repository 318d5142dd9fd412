"""Who may race: with the uncached model's tokens, the same weights, and what can be had."""

import argparse
import json
import sys

import pytest
import torch
from helpers import clock

from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache, StaticCache
from minigpt.commands.arguments import counts
from minigpt.measure.timed import peers
from minigpt.measure.timed.bench import bench, prompts
from minigpt.measure.timed.contestants import Contestant, as_uncached, going_on, ours
from minigpt.measure.timed.machine import Speeds
from minigpt.measure.timed.shapes import in_dtype, random_model
from minigpt.measure.timed.stopwatch import Stopwatch
from minigpt.model import GPT


@pytest.mark.parametrize("shape", ["recall", "small"])
def test_tokens_of_random_weights_depend_on_all_of_the_text(shape):
    """Else a race of wrong caches would pass."""
    model = random_model(shape, 200)
    ids = prompts(model.config.vocab_size, 8, 150)
    new = ours(model, "dynamic").generate(ids, 32, None)[:, 150:]
    assert len(new.unique()) > 16
    for place in 0, 75, 148:
        other = ids.clone()
        other[:, place] = (ids[:, place] + 1) % model.config.vocab_size
        assert (ours(model, "dynamic").generate(other, 32, None)[:, 150:] != new).any(dim=1).sum() > 1


class Forgets(DynamicCache):
    """Attention isn't given the first token."""

    def update(self, k, v, layer):
        keys, values, _ = super().update(k, v, layer)
        return keys[:, 1:], values[:, 1:], self.positions[:, 1:]


def test_a_contestant_with_other_tokens_is_refused_before_the_race():
    model = random_model("small", 200)
    right = ours(model, "dynamic")
    wrong = Contestant("wrong", model, "dynamic", True, lambda *args: right.generate(*args, Forgets(model.config)))
    ids = prompts(1024, 1, 100)
    assert as_uncached(right, right.generate(ids, 16, None), 100) == 16
    speeds = Speeds(model.device, [torch.float32], side=8, read=8)
    with pytest.raises(ValueError, match="wrong generates other tokens than its uncached model"):
        bench([right, wrong], ids, 16, 1, speeds, versus=["wrong"])


@pytest.mark.parametrize("name", CACHES)
def test_every_cache_starts_with_the_uncached_models_tokens_and_goes_on_with_them(name):
    model = random_model("recall", 100)
    contestant, ids = ours(model, name), prompts(1024, 2, 80)
    text = contestant.generate(ids, 6, None)
    assert as_uncached(contestant, text, 80) == 12
    if contestant.keeps:
        again = going_on(contestant, ids, 6)
        for _ in range(3):
            assert torch.equal(again(ids, 6, None), text)


def test_in_half_precision_tokens_are_counted_and_not_refused():
    model = in_dtype(random_model("recall", 100), torch.bfloat16)
    contestant, ids = ours(model, "dynamic"), prompts(1024, 1, 80)
    text = contestant.generate(ids, 4, None)
    text[0, -1] = (text[0, -1] + 1) % 1024
    assert as_uncached(contestant, text, 80) < 4


def test_contexts_and_batches_are_numbers_or_doublings():
    assert counts("1,4,16") == [1, 4, 16]
    assert counts("64..8192") == [64, 128, 256, 512, 1024, 2048, 4096, 8192]
    assert counts("8,16..64,16") == [8, 16, 32, 64]
    for text in ("", "0", "4,", "64..8", "64..8,16", "a", "1..", "..4", "2..4..8", "-1"):
        with pytest.raises(argparse.ArgumentTypeError):
            counts(text)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shape", "huge"], "no shape is named 'huge'; there are recall, small, gpt2"),
        (["--shape", "small", "--model", "gpt2"], "--shape small has random weights, --model gpt2 its own"),
        (["--peer", "vllm"], "no peer is named 'vllm'; there are transformers"),
        (["--peer", "transformers", "--growth"], "no peer does: leave out --peer, or --growth"),
        (["--context", "500"], "500 tokens of --context and 32 new ones need a model that reads 531"),
        (["--versus", "static"], "--versus static: nobody of that name takes part; there are dynamic"),
        (["--new-tokens", "1"], "--new-tokens must be 2 or more, got 1"),
        (
            ["--model", "a-folder-that-is-not-there", "--sinks", "4"],
            "--sinks 4 are kept beside a window: add --window N",
        ),
        (["--peer", "ctranslate2", "--window", "8"], "GPT-2's format has no window"),
    ],
)
def test_what_cannot_be_raced_is_refused_at_the_door(arguments, says, capsys):
    assert main(["bench", "--cache", "dynamic", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_caches_of_fixed_shapes_are_raced_with_a_compiled_step_too(monkeypatch, capsys):
    """Whose speed and sameness have tests of their own; here it stands for itself."""
    eager, asked = GPT.generate, []

    def generate(self, ids, *, cache, compile=False, **how):
        asked.append((type(cache), compile))
        return eager(self, ids, cache=cache, **how)

    monkeypatch.setattr(GPT, "generate", generate)
    arguments = ["--cache", "dynamic", "static", "--compile", "--dtype", "float32,bfloat16", "--rounds", "1"]
    assert main(["bench", "--shape", "recall", *arguments, "--json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    names = "dynamic", "static", "static compiled"
    assert [line["name"] for line in cell["lines"]] == [
        f"{name} {dtype}" for dtype in ("float32", "bfloat16") for name in names
    ]
    assert set(cell["flops_per_second"]) == {"float32", "bfloat16"}
    assert set(asked) == {(DynamicCache, False), (StaticCache, False), (StaticCache, True)}
    predicted = {line["name"]: line["times"][1]["predicted_seconds"] for line in cell["lines"]}
    assert predicted["static float32"] is not None is predicted["static compiled float32"]


@pytest.mark.parametrize("library", ["transformers", "ctranslate2"])
def test_a_library_that_is_not_there_is_named(library, model, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    peers.in_transformers.cache_clear()
    with pytest.raises(ValueError, match=f"--peer {library} needs it installed: pip install {library}"):
        peers.peer(library, model)


@pytest.mark.parametrize("name", ["transformers", "transformers_static", "ctranslate2"])
def test_a_peer_generates_the_uncached_models_tokens_with_the_same_weights(name):
    pytest.importorskip(name.split("_")[0])
    model = random_model("recall", 60)
    peer, ids = peers.peer(name, model), prompts(1024, 3, 40)
    watch = Stopwatch(clock(*range(100)))
    text = peer.generate(ids, 8, watch)
    assert text.shape == (3, 48)
    assert as_uncached(peer, text, 40) == 24
    assert len(watch.came) == 9
