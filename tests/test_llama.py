"""A Llama, Mistral, Qwen2 or Qwen3 of ours is that of transformers: whole, padded, in pieces, by every cache.

In float64, where both round to float32 at the same places (norms and angles); so they are equal, not near.
"""

import copy
import shutil

import pytest
import torch
from helpers import as_for_a_user, left_padding, positions_of, random_gpt, random_ids
from llamas import FAMILIES, LLAMA3, ours, slides, theirs
from mutants import mutate
from torch import nn

from minigpt import llama
from minigpt.attention import NEVER, attend
from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.cache_arguments import new_cache
from minigpt.llama import Llama, frequencies, turned
from minigpt.llama_config import Llama3Scaling, LlamaConfig
from minigpt.model import GPT

TOLERANCE = 1e-10
PADS, T, NEW = [0, 3, 9], 24, 12
EXACT = [name for name, kind in CACHES.items() if not kind.lossy]
SERVED = [(family, name) for family in FAMILIES for name in EXACT if slides(family) or not CACHES[name].needs_window]


def padded(ids, mask, model):
    """What transformers' bare forward needs to be told of left padding."""
    return model(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits


def differs(got, want, mask=None) -> float:
    return (got - want)[slice(None) if mask is None else mask.bool()].abs().max().item()


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_logits_are_those_of_transformers(family):
    ids, mask = random_ids(3, T), left_padding(PADS, T)
    assert differs(ours(family)(ids), theirs(family)(ids).logits) < TOLERANCE
    want = padded(ids, mask, theirs(family))
    assert differs(ours(family)(ids, positions_of(mask)), want, mask) < TOLERANCE
    assert want.std() > 0.5, "or nothing could be told apart"


@pytest.mark.parametrize(("family", "name"), [case for case in SERVED if case[1] != "none"])
@torch.no_grad()
def test_fed_in_pieces_to_any_cache_logits_are_those_of_transformers_without_one(family, name):
    model, ids, mask = ours(family), random_ids(3, T), left_padding(PADS, T)
    cache = new_cache(model, 3, T, name, {})
    for pads in (mask, torch.ones_like(mask)):
        want = padded(ids, pads, theirs(family))
        for piece in pieces(cache, [4, 1, 3, 5, 1, 1, 5, 4]):
            got = model(ids[:, piece], positions_of(pads)[:, piece], cache)
            assert differs(got, want[:, piece], pads[:, piece]) < TOLERANCE, piece
        cache.reset()


def pieces(cache, sizes):
    """So many tokens at a time, or as many as the cache takes."""
    start = 0
    for size in sizes:
        for at in range(start, start + size, cache.largest_chunk or size):
            yield slice(at, min(at + (cache.largest_chunk or size), start + size))
        start += size


@pytest.mark.parametrize(("family", "name"), SERVED)
def test_generated_tokens_are_those_of_transformers(family, name):
    ids, mask = random_ids(3, 10), left_padding([0, 2, 5], 10)
    how = {"max_new_tokens": NEW, "do_sample": False}
    want = theirs(family).generate(ids, attention_mask=mask, **how, pad_token_id=0)
    served = {"use_cache": False} if name == "none" else {"cache_implementation": name}
    assert torch.equal(ours(family).generate(ids, mask, **how, **served), want)
    assert len(want[:, 10:].unique()) > 5, "or it only repeats itself"


def test_padding_past_the_context_is_hidden_however_it_is_turned():
    model, ids = ours("llama"), random_ids(1, 5)
    with torch.no_grad():
        got = model(ids, torch.tensor([[NEVER, NEVER, 0, 1, 2]]))
        assert differs(got[:, 2:], model(ids[:, 2:])) < TOLERANCE


def test_the_three_parts_of_llama3s_frequencies_are_all_there():
    plain = frequencies(llama_config(head_size=12, rope_theta=LLAMA3["rope_theta"]))
    slowed = frequencies(ours("llama 3.1").config)
    factors = (plain / slowed).tolist()
    assert factors[0] == 1
    assert all(1.01 < factor < 3.99 for factor in factors[1:4])
    assert all(abs(factor - 4) < 1e-6 for factor in factors[4:])


def llama_config(**sizes):
    return LlamaConfig(
        **{"vocab_size": 61, "context": 48, "n_layer": 2, "n_head": 4, "n_embd": 32, "n_inner": 40, **sizes}
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"head_size": 7}, "head_size must be even, since channels are turned in pairs, got 7"),
        ({"n_head": 5}, r"n_embd 32 can't be split into n_head 5 heads"),
        ({"n_inner": None}, "n_inner must be a whole number, 1 or more, got None"),
        ({"n_kv_head": 3}, "n_head 4 must be a multiple of n_kv_head 3"),
        ({"rope_theta": 0}, "rope_theta must be a positive number, got 0"),
        ({"rms_norm_eps": "1e-6"}, "rms_norm_eps must be a positive number, got '1e-6'"),
        ({"qk_norm": 1}, "qk_norm must be True or False, got 1"),
        ({"rope_scaling": Llama3Scaling(-1, 1, 4, 32)}, "factor of rope_scaling must be a positive number, got -1"),
        ({"rope_scaling": Llama3Scaling(8, 4, 4, 32)}, "rope_scaling must have low below high"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with as_for_a_user(), pytest.raises(ValueError, match=message):
        llama_config(**sizes)


def test_each_model_wants_its_own_config():
    with as_for_a_user(), pytest.raises(ValueError, match=r"Llama wants a LlamaConfig .* got a GPTConfig"):
        Llama(random_gpt().config)
    with as_for_a_user(), pytest.raises(ValueError, match=r"GPT wants a GPTConfig .* got a LlamaConfig"):
        GPT(llama_config())


def test_a_cache_made_for_one_model_refuses_the_other():
    cache = make_cache("dynamic", ours("llama").config, dtype=torch.float64)
    with torch.no_grad(), pytest.raises(CacheError, match=r"made for LlamaConfig\(.* not for this model's GPTConfig\("):
        random_gpt()(random_ids(1, 3), cache=cache)


def test_it_is_made_of_plain_modules_under_transformers_names():
    model = ours("qwen3, biases, all slide")
    kinds = {type(module) for module in model.modules() if not type(module).__module__.startswith("minigpt")}
    assert kinds == {nn.Linear, nn.Embedding, nn.ModuleList}
    known = {name.removeprefix("model.") for name in theirs("qwen3, biases, all slide").state_dict()}
    assert {"lm_head.weight" if name == "head.weight" else name for name in model.state_dict()} == known


def test_a_tied_head_stays_the_embedding_in_a_copy_in_another_dtype_with_a_window():
    model = copy.deepcopy(ours("llama, tied")).float().with_window(4)
    assert model.head.weight is model.embed_tokens.weight
    assert "head.weight" not in dict(model.named_parameters())


def test_a_window_shares_the_weights():
    model, ids = ours("llama"), random_ids(1, 20)
    windowed = model.with_window([4, None, 7], sinks=1)
    assert windowed.head.weight is model.head.weight
    with torch.no_grad():
        assert (windowed(ids) - model(ids)).abs().max() > 1e-3
        assert differs(windowed(ids[:, :4]), model(ids[:, :4])) == 0


def test_it_learns():
    """Gradients reach every parameter."""
    model = Llama(llama_config(qkv_bias=True, o_bias=True, mlp_bias=True, qk_norm=True))
    model(random_ids(2, 12)).square().mean().backward()
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []


# --- keys are kept as they were turned ---


@torch.no_grad()
def test_a_key_that_is_moved_is_wrong_until_it_is_turned_by_the_difference():
    """A row of keys is filled at positions 0, 1, 2, ... and then taken to stand 7 later."""
    model, ids, shift = ours("llama"), random_ids(1, 10), 7
    config = model.config
    fresh = make_cache("dynamic", config, dtype=torch.float64)
    want = model(ids, torch.arange(10)[None] + shift, fresh)
    kept = make_cache("dynamic", config, dtype=torch.float64)
    model(ids, cache=kept)
    for layer in range(config.n_layer):
        (k, v), (k_moved, v_moved) = (cache.tensors(layer) for cache in (kept, fresh))
        assert (k - k_moved)[:, :10].abs().max() > 0.1
        by = model.turn(torch.full((1, 10), shift), torch.float64)
        assert (turned(k[:, :10], by) - k_moved[:, :10]).abs().max() < 1e-5  # angles are float32, and two are added
        assert (v - v_moved)[:, :10].abs().max() < 1e-5  # values know nothing of where they stand
    assert (model(ids, torch.arange(10)[None]) - want).abs().max() < 1e-4  # how far apart they stand is all that counts


@torch.no_grad()
def test_a_moved_row_is_read_wrong_and_turned_again_right():
    """What a token at position 17 makes of the tokens before it, which were kept at 0 ... 9 and stand at 7 ... 16."""
    model, shift = ours("llama"), 7
    attention = model.layers[0].self_attn
    x, at = model.embed_tokens(random_ids(1, 11)), torch.arange(11)[None]
    q, k, v = attention.qkv(x, model.turn(at + shift, x.dtype))
    _, kept, _ = attention.qkv(x, model.turn(at, x.dtype))
    again = turned(kept, model.turn(torch.full((1, 11), shift), x.dtype))
    keys_of = lambda old: torch.cat([old[:, :10], k[:, 10:]], dim=1)  # noqa: E731
    want, moved, right = (attend(q[:, -1:], keys, v, None) for keys in (k, keys_of(kept), keys_of(again)))
    assert (moved - want).abs().max() > 0.05
    assert (right - want).abs().max() < 1e-5


def test_a_score_depends_on_the_distance_alone():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=generator)
    scores = []
    for at in (0, 5, 30):
        by = [ours("llama").turn(torch.tensor([[place]]), torch.float64) for place in (at + 4, at)]
        scores.append((turned(q, by[0]) * turned(k, by[1])).sum().item())
    assert max(scores) - min(scores) < 1e-5
    assert abs(scores[0] - (q * k).sum().item()) > 1e-2


# --- compiled ---


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_step_generates_the_same():
    model, ids = ours("qwen3"), random_ids(2, 7)
    want = model.generate(ids, max_new_tokens=9, use_cache=False)
    with as_for_a_user():
        got = model.generate(ids, max_new_tokens=9, cache_implementation="static", max_cache_len=32, compile=True)
    assert torch.equal(got, want)


# --- seeded bugs: each must show in the logits of a family that has what they spoil ---

BUGS = {
    "turned twice": (
        "llama",
        llama.Attention,
        "forward",
        "cache.update(k, v, self.layer)",
        "cache.update(turned(k, turn), v, self.layer)",
    ),
    "keys not turned": ("llama", llama.Attention, "qkv", "turned(self.k_norm(k), turn)", "self.k_norm(k)"),
    "neighbours instead of halves": ("llama", llama, "turned", "x.chunk(2, dim=-1)", "(x[..., ::2], x[..., 1::2])"),
    "turned the other way": (
        "llama",
        llama,
        "turned",
        "a * cos - b * sin, b * cos + a * sin",
        "a * cos + b * sin, b * cos - a * sin",
    ),
    "the norm of keys forgotten": ("qwen3", llama.Attention, "qkv", "self.k_norm(k)", "k"),
    "the norm of queries forgotten": ("qwen3", llama.Attention, "qkv", "self.q_norm(q)", "q"),
    "normed after it was turned": (
        "qwen3",
        llama.Attention,
        "qkv",
        "turned(self.k_norm(k), turn)",
        "self.k_norm(turned(k, turn))",
    ),
    "fast planes slowed too": ("llama 3.1", llama, "frequencies", "turns > scaling.high", "turns > 1e9"),
    "slow planes slowed in part": ("llama 3.1", llama, "frequencies", "turns < scaling.low", "turns < 0"),
    "high and low exchanged": (
        "llama 3.1",
        llama,
        "frequencies",
        "(1 - share) * each / scaling.factor + share * each",
        "share * each / scaling.factor + (1 - share) * each",
    ),
    "the base of another": ("llama, far base", llama, "frequencies", "config.rope_theta", "10_000"),
    "a window too wide by one": (
        "mistral",
        llama.Attention,
        "forward",
        "self.window, self.sinks",
        "self.window + 1, self.sinks",
    ),
    "each chunk turned from 0 on": (
        "llama",
        llama.Llama,
        "hidden",
        "self.turn(positions, x.dtype)",
        "self.turn(torch.arange(ids.shape[1]).expand(ids.shape), x.dtype)",
    ),
    "the gate and what it lets through exchanged": (
        "llama",
        llama.MLP,
        "forward",
        "F.silu(self.gate_proj(x)) * self.up_proj(x)",
        "F.silu(self.up_proj(x)) * self.gate_proj(x)",
    ),
    "a norm that takes off the mean": (
        "llama",
        llama.RMSNorm,
        "forward",
        "exact = x.float()",
        "exact = x.float() - x.float().mean(-1, keepdim=True)",
    ),
    "the embedding for a head of its own": (
        "llama",
        llama.Llama,
        "lm_head",
        "self.head.weight",
        "self.embed_tokens.weight",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
@torch.no_grad()
def test_a_seeded_bug_shows(bug, monkeypatch):
    family, owner, name, right, wrong = BUGS[bug]
    ids, mask = random_ids(3, T), left_padding(PADS, T)
    want, config = padded(ids, mask, theirs(family)), ours(family).config
    mutate(monkeypatch, owner, name, right, wrong)
    model = Llama(config).double().eval()
    model.load_state_dict(ours(family).state_dict())
    cache = make_cache("dynamic", config, batch_size=3, dtype=torch.float64)
    in_pieces = [model(ids[:, piece], positions_of(mask)[:, piece], cache) for piece in pieces(cache, [11, 1, 12])]
    assert differs(torch.cat(in_pieces, dim=1), want, mask) > 1e-3
