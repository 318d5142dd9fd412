"""How times are taken and what they come to. By a made-up clock: nothing that is timed is asserted."""

import argparse
import json
import sys

import pytest
import torch

from minigpt.__main__ import main
from minigpt.cache import CACHES, DynamicCache, StaticCache
from minigpt.commands.arguments import counts
from minigpt.config import GPTConfig
from minigpt.measure.timed import peers
from minigpt.measure.timed.bench import bench, prompts
from minigpt.measure.timed.contestants import Contestant, as_uncached, going_on, ours
from minigpt.measure.timed.limit import Work, decode, prefill
from minigpt.measure.timed.machine import Speeds
from minigpt.measure.timed.shapes import in_dtype, random_model
from minigpt.measure.timed.stopwatch import Stopwatch, Took
from minigpt.measure.timed.summary import growth, spread
from minigpt.measure.timed.turns import in_turns
from minigpt.model import GPT


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=64, context=64, n_layer=2, n_head=2, n_embd=32)).eval().requires_grad_(False)


def clock(*times):
    return iter(times).__next__


def test_the_first_token_is_timed_from_the_call_and_the_others_from_the_first():
    watch = Stopwatch(clock(10.0, 11.0, 15.0, 16.0, 19.0))
    for _ in "prompt", "first", "second", "third":
        watch.put(None)
    watch.end()
    assert watch.took == Took(first_token=5.0, token=2.0)


@pytest.mark.parametrize("puts", [0, 1, 2])
def test_without_a_decode_there_is_no_time_a_token(puts):
    watch = Stopwatch()
    for _ in range(puts):
        watch.put(None)
    with pytest.raises(ValueError, match="two new tokens or more"):
        watch.took  # noqa: B018


def test_generate_tells_the_watch_of_the_prompt_and_each_token(model):
    watch = Stopwatch(clock(*range(100)))
    ours(model, "dynamic").generate(prompts(64, 2, 8), 5, watch)
    assert watch.took == Took(first_token=2.0, token=1.0)


def test_all_take_turns_after_a_round_of_warm_up_and_back_again():
    turns = []
    calls = {name: lambda name=name: turns.append(name) or len(turns) for name in "abc"}
    ended = []
    returned = in_turns(calls, 3, rest=0.0, on_turn=lambda: ended.append(len(turns)))
    assert "".join(turns) == "abccbaabccba"
    assert ended == [*range(1, 13)]
    assert returned == {"a": [6, 7, 12], "b": [5, 8, 11], "c": [4, 9, 10]}


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    """Not the ratio of medians, which would be 4 / 2."""
    work = Work(flops=6, nbytes=8, moved=16)
    made = spread([1.0, 2.0, 4.0], {"other": [4.0, 2.0, 12.0]}, work, [(8.0, 1e9), (4.0, 1e9), (1e9, 3.0)])
    assert (made["seconds"], made["seconds_low"], made["seconds_high"]) == (2.0, 1.0, 4.0)
    assert made["ratios"] == [{"versus": "other", "ratio": 3.0, "low": 1.0, "high": 4.0}]
    assert made["least_seconds"] == 2.0  # of 1, 2 and 2: the last by its FLOPs
    assert made["of_limit"] == 1.0  # of 1, 1 and 1/2
    assert made["predicted_seconds"] == 2.0  # of 2, 4 and 2


def test_growth_is_the_power_of_the_context():
    def cell(batch, context):
        time = {"seconds": 3.0 * context**2, "least_seconds": 5.0 * context, "predicted_seconds": None}
        return {"batch": batch, "context": context, "lines": [{"name": "a", "times": [{}, time]}]}

    (found,) = growth([cell(1, 64), cell(2, 64), cell(1, 128), cell(1, 512)])
    assert (found["batch"], found["name"], found["predicted_exponent"]) == (1, "a", None)
    assert found["exponent"] == pytest.approx(2)
    assert found["least_exponent"] == pytest.approx(1)


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


def test_the_least_and_the_predicted_bytes_of_a_step(model):
    """2 layers of 12 x 32^2 weights, a head of 32 x 64; 2 x 32 numbers a token and layer, of 4 bytes."""
    weights, row = 4 * (2 * 12 * 32 * 32 + 32 * 64), 2 * 2 * 32 * 4
    at = 16 + 4 // 2  # the step in the middle
    dynamic, concat, none = (decode(ours(model, name), 16, 4, 3) for name in ("dynamic", "concat", "none"))
    assert dynamic.nbytes == concat.nbytes == weights + 3 * (at + 1) * row
    assert dynamic.moved == dynamic.nbytes
    assert concat.moved == concat.nbytes + 2 * 3 * (at - 1) * row
    assert none == prefill(ours(model, "none"), at, 3)
    static = decode(ours(model, "static"), 16, 4, 3)
    assert static.moved == static.nbytes + 3 * row  # its empty slot


def test_of_rounded_tokens_the_codes_are_counted():
    """3 layers, 128 wide: 128 tokens are exact, and the new one; of the 375 others each group of 64 numbers has 4 bits
    a number, a scale and an offset. The new one is written, and so is what it pushes out."""
    model, row, codes = random_model("recall", 600), 2 * 3 * 128 * 4, 2 * 3 * 2 * (64 // 2 + 2 * 4)
    exact, rounded = (decode(ours(model, name), 500, 8, 1) for name in ("dynamic", "quantized"))
    assert exact.nbytes - rounded.nbytes == (504 * row + row) - (129 * row + 375 * codes + row + codes)
    assert rounded.moved > exact.moved


def test_contexts_and_batches_are_numbers_or_doublings():
    assert counts("1,4,16") == [1, 4, 16]
    assert counts("64..8192") == [64, 128, 256, 512, 1024, 2048, 4096, 8192]
    assert counts("8,16..64,16") == [8, 16, 32, 64]
    for text in ("", "0", "4,", "64..8", "a", "1..", "..4", "2..4..8", "-1"):
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
        (["--new-tokens", "1"], "--new-tokens must be 2 or more"),
        (["--peer", "ctranslate2", "--window", "8"], "a peer computes GPT-2's own attention"),
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
