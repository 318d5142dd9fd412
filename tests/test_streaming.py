"""Positions that are counted among the tokens that are seen: a Llama that reads on for ever, whatever its context."""

import dataclasses
import shutil

import pytest
import torch
from helpers import as_for_a_user, random_gpt
from mutants import mutate
from test_llama_conformance import IN_PIECES, SHARED, random_llama, reading_rounded
from torch import nn

from minigpt import llama, streaming
from minigpt.attention import NEVER, sees
from minigpt.cache import CACHES, make_cache
from minigpt.llama_config import LlamaConfig
from minigpt.proof import oracles, situations
from minigpt.proof.situations import LONG, RULES, SINKS, WINDOW, long_model, model, text
from minigpt.proof.suite import all_checks
from minigpt.proof.texts import long_schedule_equals_uncached, schedule_equals_uncached

STREAMED = ["window", "window with sinks"]  # one window for all layers
CASES = [case for case in all_checks() if set(case[2]) & {*STREAMED}]
CASES = [case for case in CASES if case[0] not in (*SHARED, "schedule", "long text")]
PADS = [0, 3, 9]


def random_streaming(config):
    """A Llama whose context just holds the window and the sinks."""
    return random_llama(config, context=config.window + config.sinks, streaming=True) if config.window else None


@pytest.fixture(autouse=True)
def _streaming():
    """The models of the suite, and its oracle of what rounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(situations, "random_model", random_streaming)
        for name in [*oracles.ORACLES]:
            patch.setitem(oracles.ORACLES, name, reading_rounded)
        for name in situations.LIMITED:  # by default they have slots for a context
            patch.setitem(oracles.OPTIONS, name, oracles.OPTIONS.get(name, {}) | {"max_cache_len": LONG})
        yield


@pytest.fixture(scope="module", autouse=True)
def _remembered():
    for each in (model, long_model):
        each.cache_clear()
    yield
    for each in (model, long_model):
        each.cache_clear()


@torch.no_grad()
def oracle(gpt, ids, positions):
    """Without a cache, and by the paper's words (section 3.2): the tokens that a query sees are numbered 0, 1, 2, ...,
    and it is turned by how many numbers it is ahead of each of them. Keys are not turned at all."""
    config = gpt.config
    seen = sees(positions, positions, config.window, config.sinks)[:, 0]  # (B, T, S)
    numbers = seen.cumsum(-1) - 1
    ahead = numbers[..., -1:] - numbers  # of the query, which is the last that it sees
    angles = ahead[..., None, None].double() * gpt.frequencies
    still = gpt.turn(torch.zeros_like(positions), torch.float64)
    x = gpt.embed_tokens(ids)
    for layer in gpt.layers:
        q, k, v = layer.self_attn.qkv(layer.input_layernorm(x), still)
        k, v = (each.repeat_interleave(config.n_head // config.n_kv_head, dim=2) for each in (k, v))
        a, b = q[:, :, None].chunk(2, dim=-1)
        turned = [a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()]  # (B, T, S, H, D / 2) each
        scores = torch.einsum("btshd,bshd->bhts", torch.cat(turned, dim=-1), k) / config.head_size**0.5
        weights = scores.masked_fill(~seen[:, None], -torch.inf).softmax(-1)
        x = x + layer.self_attn.o_proj(torch.einsum("bhts,bshd->bthd", weights, v).flatten(2))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return gpt.lm_head(gpt.norm(x))


def off(got, want, positions) -> float:
    return (got - want)[positions != NEVER].abs().max().item()


@pytest.mark.parametrize("heads", ["MHA", "GQA"])
@pytest.mark.parametrize("rule", STREAMED)
@torch.no_grad()
def test_the_uncached_model_equals_its_oracle(rule, heads):
    gpt, (ids, positions) = model(rule, heads), text(PADS, 45)
    assert off(gpt(ids, positions), oracle(gpt, ids, positions), positions) < 1e-10


@torch.no_grad()
def test_it_differs_from_positions_in_the_text_as_soon_as_a_sink_has_left_the_window():
    gpt, (ids, positions) = model("window with sinks"), text(PADS, 45)
    plain = random_llama(dataclasses.replace(gpt.config, streaming=False, context=64))
    difference = (gpt(ids, positions) - plain(ids, positions)).abs().amax(-1)
    counted_alike = positions < WINDOW + SINKS
    assert difference[counted_alike].max() < 1e-4, "angles in float32"
    assert difference[~counted_alike & (positions != NEVER)].min() > 1e-2


def test_places_are_those_of_the_papers_example():
    """Section 3.2, with four sinks and a window of four: token 9 sees tokens 0 to 3 and 6 to 9, as places 0 to 7."""
    config = dataclasses.replace(TINY, window=4, sinks=4, streaming=True)
    positions = torch.arange(10)[None]
    assert (positions + streaming.places_back(positions, config)).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 7, 7]]
    assert sees(positions[:, -1:], positions, 4, 4).nonzero()[:, -1].tolist() == [0, 1, 2, 3, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("check", "arguments"),
    [pytest.param(check, args, id="-".join([name, *map(str, args)])) for name, check, args in CASES],
)
def test_conformance(check, arguments):
    check(*arguments)


@pytest.mark.parametrize(
    ("name", "rule", "heads", "padding", "schedule"), [case for case in IN_PIECES if case[1] in STREAMED]
)
def test_a_text_in_pieces_equals_the_uncached_one(name, rule, heads, padding, schedule):
    schedule_equals_uncached(name, rule, heads, padding, schedule)


@pytest.mark.parametrize("name", [name for name in CACHES if name != "none"])
def test_a_text_of_nine_contexts_equals_the_uncached_one(name):
    long_schedule_equals_uncached(name, "window with sinks", "from edge to edge")


def test_the_models_of_these_tests_stream():
    assert all(model(rule).config.streaming for rule in STREAMED)
    assert long_model("window with sinks").config.longest > 9 * long_model("window with sinks").config.context
    assert model("window with sinks").config.context == sum(RULES["window with sinks"].values())


# --- generation ---

TINY = LlamaConfig(vocab_size=53, context=32, n_layer=2, n_head=4, n_kv_head=2, n_embd=32, n_inner=40)


def test_it_generates_four_times_the_context_at_constant_memory():
    gpt, (ids, positions) = random_llama(TINY), text([0, 5], 12)
    mask, how = (positions != NEVER).long(), {"window": 28, "sinks": 4, "streaming": True}
    with pytest.raises(ValueError, match="but the context is 32: max_new_tokens can be 21 at most"):
        gpt.generate(ids, mask, max_new_tokens=128, cache_config={"window": 28, "sinks": 4})
    endless = gpt.with_window(**how)
    cache = make_cache("sliding_window", endless.config, batch_size=2, dtype=torch.float64)
    before = cache.nbytes
    got = endless.generate(ids, mask, max_new_tokens=128, cache=cache)
    assert cache.nbytes == before == 2 * (28 + 4 + 27) * 2 * 2 * 2 * 16 * 8  # rows, slots, layers, K and V, heads, D
    for name in ("dynamic", "sliding_window"):
        by_name = {"cache_implementation": name, "cache_config": how}
        assert torch.equal(gpt.generate(ids, mask, max_new_tokens=128, **by_name), got)
    want = oracle(endless, got[:, :-1], cache.positions)
    assert torch.equal(got[:, 12:], want[:, 11:].argmax(-1))
    assert len(got[0, -32:].unique()) > 5, "or it only repeats itself"


@torch.no_grad()
def test_the_millionth_token_is_as_near_to_the_sinks_as_the_hundredth():
    gpt, ids = model("window with sinks"), text([0], SINKS + 20)[0]
    starts = [torch.tensor([[*range(SINKS), *range(start, start + 20)]]) for start in (100, 2_000_000)]
    near, far = (gpt(ids, positions) for positions in starts)
    assert (near - far).abs().max() < 1e-7


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("name", ["static", "sliding_window"])
def test_a_compiled_step_generates_the_same(name):
    gpt, ids = model("window with sinks"), text([0, 0], 7)[0]
    want = gpt.generate(ids, max_new_tokens=24, use_cache=False)
    with as_for_a_user():
        got = gpt.generate(ids, max_new_tokens=24, cache_implementation=name, compile=True)
    assert torch.equal(got, want)


# --- what can't stream ---


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"window": None}, "streaming wants one window for all layers, to count positions in, got None"),
        ({"window": [4, None]}, r"streaming wants one window for all layers, .* got \(4, None\)"),
        ({"window": [4, 6]}, r"one window for all layers, .* got \(4, 6\)"),
        ({"window": 30, "sinks": 4}, "30 tokens of the window and 4 sinks, and the context is 32: 2 fewer"),
        ({"window": 4, "streaming": 1}, "streaming must be True or False, got 1"),
    ],
    ids=str,
)
def test_windows_in_which_positions_can_not_be_counted_are_refused(window, message):
    with as_for_a_user(), pytest.raises(ValueError, match=message):
        random_llama(TINY).with_window(**{"streaming": True} | window)


def test_learned_positions_are_refused():
    with pytest.raises(ValueError, match="streaming wants rotary positions, as a Llama's: a GPT adds learned ones"):
        random_gpt().with_window(8, sinks=2, streaming=True)


@pytest.mark.parametrize("rule", STREAMED)
def test_a_format_that_can_not_say_it_is_refused(rule, tmp_path):
    with pytest.raises(ValueError, match=r"no sinks, no streaming .*: window 6, .* streaming True"):
        model(rule).save_pretrained(tmp_path)


# --- seeded bugs ---

BUGS = {
    "the sinks stay where they came": (streaming, "places_back", ".clamp(max=0)", ".clamp(max=0) * 0"),
    "a query stands one place too far": (streaming, "places_back", "most - 1 - positions", "most - positions"),
    "the window alone is counted": (streaming, "places_back", "+ config.sinks", ""),
    "the sinks are turned the other way": (streaming, "places_back", "- positions).clamp(max=0)", "- positions).abs()"),
    "the last sink counts as one of the window": (streaming, "attend_apart", "< sinks", "< sinks - 1"),
    "the scale of twice the channels": (streaming, "attend_apart", "* 2**0.5", "* 1"),
    "the sinks are met by both queries": (streaming, "attend_apart", "[~sink, sink]", "[sink | ~sink, sink]"),
    "angles of a text that is not long": (llama.Llama, "turn", "torch.float64", "torch.float32"),
}


@pytest.mark.parametrize("bug", BUGS)
@torch.no_grad()
def test_a_seeded_bug_shows(bug, monkeypatch):
    gpt, (ids, positions) = model("window with sinks", "GQA"), text(PADS, 45)
    want = oracle(gpt, ids, positions)
    mutate(monkeypatch, *BUGS[bug], [llama])
    assert off(gpt(ids, positions), want, positions) > 1e-9, "the test above would not see it"


def test_of_a_llama_with_the_norms_of_the_tests():
    assert isinstance(model("window").norm, nn.RMSNorm)
