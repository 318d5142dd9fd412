"""The model against Hugging Face's: GPT-2 for files, logits, gradients and text, Starcoder2 for groups and windows."""

import copy
import random

import pytest
import torch
import torch.nn.functional as F
from helpers import left_padding, positions_of, random_gpt, random_ids, spread
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, Starcoder2Config, Starcoder2ForCausalLM
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from minigpt.model import GPT
from minigpt.sampling import keep_top_k, keep_top_p, sampler

NEW = 64
CACHES = {name: {"cache_implementation": name} for name in ("concat", "dynamic", "static")}
CACHES["no cache"] = {"use_cache": False}


def random_sizes(seed):
    draw = random.Random(seed)
    n_head = draw.choice([1, 2, 3, 4])
    n_embd = n_head * draw.choice([4, 8, 12])
    return {
        "vocab_size": draw.randint(17, 199),
        "n_positions": draw.randint(NEW + 12, NEW + 40),
        "n_layer": draw.randint(1, 3),
        "n_head": n_head,
        "n_embd": n_embd,
        "n_inner": draw.choice([None, 4 * n_embd, n_embd + 5, 7]),
        "layer_norm_epsilon": draw.choice([1e-5, 1e-6, 1e-2, 0.3]),
    }


def gpt2(seed, **changes):
    """transformers' GPT-2 of a random size with random weights, no eos that could end a text."""
    settings = {**random_sizes(seed), "bos_token_id": None, "eos_token_id": None, **changes}
    return spread(GPT2LMHeadModel(GPT2Config(**settings)), seed)


def ids_for(model, rows, length, seed=0):
    return random_ids(rows, length, seed, model.config.vocab_size)


@pytest.fixture(scope="module", params=range(20), ids=lambda seed: f"config{seed}")
def pair(request, tmp_path_factory):
    """A GPT-2 of transformers, and the GPT that reads what it saved."""
    theirs = gpt2(request.param)
    folder = tmp_path_factory.mktemp("gpt2")
    theirs.save_pretrained(folder)
    return theirs, GPT.from_pretrained(folder)


def assert_close(got, want, tolerance):
    difference = (got - want).abs().max() / want.abs().max()
    assert difference <= tolerance, f"differs by {difference:.3g} of the largest value"


# --- files, logits, text ---


def test_logits_of_a_loaded_gpt2_equal_transformers(pair):
    theirs, ours = pair
    ids = ids_for(theirs, 3, theirs.config.n_positions)  # up to the last position
    with torch.no_grad():
        assert_close(ours(ids), theirs(ids).logits, 1e-5)


def test_a_saved_model_is_read_by_transformers(pair, tmp_path):
    theirs, ours = pair
    ours.save_pretrained(tmp_path)
    back = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = ids_for(theirs, 2, 20)
    assert isinstance(back, GPT2LMHeadModel)
    with torch.no_grad():
        assert torch.equal(back(ids).logits, theirs(ids).logits)


def test_greedy_text_equals_transformers_whatever_the_cache(pair):
    theirs, ours = (copy.deepcopy(model).double() for model in pair)
    pads, T = [0, 3, 8], 11
    ids, mask = ids_for(theirs, 3, T), left_padding(pads, T)
    alone = theirs.generate(ids[:1], attention_mask=mask[:1], max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    batch = theirs.generate(ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    assert batch.shape == (3, T + NEW)
    assert batch[0, T:].unique().numel() > 5, "a text of one token would prove little"
    for name, options in CACHES.items():
        got = ours.generate(ids[:1], max_new_tokens=NEW, **options)
        assert torch.equal(got, alone), f"{name}, one row"
        got = ours.generate(ids, mask, max_new_tokens=NEW, **options)
        assert torch.equal(got, batch), f"{name}, left-padded batch"


def test_a_text_up_to_the_last_position_equals_transformers(pair):
    theirs, ours = (copy.deepcopy(model).double() for model in pair)
    T = theirs.config.n_positions - 4
    ids = ids_for(theirs, 1, T)
    want = theirs.generate(ids, max_new_tokens=5, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(ids))
    for name, options in CACHES.items():
        assert torch.equal(ours.generate(ids, max_new_tokens=5, **options), want), name
    with pytest.raises(ValueError, match="max_new_tokens can be 5 at most"):
        ours.generate(ids, max_new_tokens=6)


def test_windows_and_sinks_equal_gpt2_under_the_same_mask(tmp_path):
    """GPT-2 takes any mask: here it is written out for each pair of tokens, with neither `sees` nor a comparison."""
    theirs, T = gpt2(3).double(), 24
    theirs.save_pretrained(tmp_path)
    full = GPT.from_pretrained(tmp_path, dtype=torch.float64)
    ids, sizes = ids_for(theirs, 2, T), vars(full.config)
    for window, sinks in [(1, 0), (1, 2), (5, 0), (5, 1), (5, 3), (T, 2)]:
        seen = torch.zeros(T, T, dtype=torch.bool)
        for t in range(T):
            seen[t, [*range(min(sinks, t)), *range(max(0, t - window + 1), t + 1)]] = True
        ours = random_gpt(**{**sizes, "window": window, "sinks": sinks})
        ours.load_state_dict(full.state_dict())
        with torch.no_grad():
            want = theirs(ids, attention_mask=seen.expand(2, 1, T, T)).logits
            assert_close(ours(ids), want, 1e-10)


# --- training ---


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_gradients_without_a_cache_equal_those_of_transformers(seed, tmp_path):
    theirs = gpt2(seed, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0).double()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path, dtype=torch.float64)
    ids = ids_for(theirs, 3, 21)
    for logits in (theirs.train()(ids).logits, ours.train()(ids)):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()

    want = {key.removeprefix("transformer."): weights.grad for key, weights in theirs.named_parameters()}
    assert len(want) == len(list(ours.parameters())) == 4 + 12 * theirs.config.n_layer
    for name, weights in ours.named_parameters():
        key = name.replace("blocks", "h").replace("_weight", ".weight").replace("_bias", ".bias")
        stored = want.pop(key)
        if stored.ndim == 2 and key.startswith("h."):  # transformers' Conv1D is (in, out)
            stored = stored.T
        assert stored.abs().max() > 0, key
        assert_close(weights.grad, stored, 1e-10)
    assert not want


# --- grouped heads and windows: Starcoder2 has this block ---


@torch.no_grad()
def starcoder2(ours):
    """transformers' Starcoder2 with the weights of `ours`. Its rotary positions are all 0: then they turn nothing."""
    config = ours.config
    theirs = Starcoder2ForCausalLM(
        Starcoder2Config(
            vocab_size=config.vocab_size,
            hidden_size=config.n_embd,
            intermediate_size=config.n_inner,
            num_hidden_layers=config.n_layer,
            num_attention_heads=config.n_head,
            num_key_value_heads=config.n_kv_head,
            max_position_embeddings=config.context,
            norm_epsilon=config.layer_norm_epsilon,
            sliding_window=config.window,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    theirs = theirs.to(ours.dtype).eval()
    key_rows = config.n_kv_head * config.head_size
    state = {
        "model.embed_tokens.weight": ours.wte.weight,
        "lm_head.weight": ours.wte.weight,
        "model.norm.weight": ours.ln_f.weight,
        "model.norm.bias": ours.ln_f.bias,
    }
    for layer, block in enumerate(ours.h):
        for kind in ("weight", "bias"):
            qkv = getattr(block.attn.c_attn, kind).split([config.n_embd, key_rows, key_rows])
            parts = {f"self_attn.{name}_proj": part for name, part in zip("qkv", qkv, strict=True)}
            parts |= {
                "self_attn.o_proj": getattr(block.attn.c_proj, kind),
                "input_layernorm": getattr(block.ln_1, kind),
                "post_attention_layernorm": getattr(block.ln_2, kind),
                "mlp.c_fc": getattr(block.mlp.c_fc, kind),
                "mlp.c_proj": getattr(block.mlp.c_proj, kind),
            }
            state |= {f"model.layers.{layer}.{name}.{kind}": part for name, part in parts.items()}
    theirs.load_state_dict(state)

    def logits(ids):
        zeros, ones = torch.zeros_like(ids), torch.ones_like(ids)
        x = ours.wte.weight[ids] + ours.wpe.weight[: ids.shape[1]]
        with torch.no_grad():
            return theirs(inputs_embeds=x, position_ids=zeros, attention_mask=ones, use_cache=False).logits

    return logits


@pytest.mark.parametrize("window", [None, 1, 2, 7, 30, 31])
@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_grouped_heads_and_windows_equal_starcoder2(n_kv_head, window):
    ours = random_gpt(seed=n_kv_head, n_layer=3, n_kv_head=n_kv_head, n_inner=50, window=window)
    ids = random_ids(2, 31)
    with torch.no_grad():
        assert_close(ours(ids), starcoder2(ours)(ids), 1e-10)


def test_a_window_that_is_off_by_one_would_be_noticed():
    ids = random_ids(2, 31)
    for window in (2, 7, 30):
        want = starcoder2(random_gpt(window=window))(ids)
        for other in (window - 1, window + 1):
            with torch.no_grad():
                difference = (random_gpt(window=other)(ids) - want).abs().amax((0, 2)) / want.abs().max()
            first = min(window, other)  # the first token for which the two windows differ
            assert difference[:first].max() < 1e-10
            assert (difference[first:] > 1e-4).all()


def test_query_heads_that_share_a_key_head_equal_gpt2_with_the_key_heads_repeated(tmp_path):
    for n_kv_head in (1, 2):
        ours = random_gpt(n_kv_head=n_kv_head)
        config, state = ours.config, ours.state_dict()
        for layer in range(config.n_layer):
            for kind in ("weight", "bias"):
                name = f"h.{layer}.attn.c_attn.{kind}"
                q, k, v = state[name].split([config.n_embd, *[n_kv_head * config.head_size] * 2])
                repeated = (
                    part.unflatten(0, (n_kv_head, -1)).repeat_interleave(config.n_head // n_kv_head, dim=0)
                    for part in (k, v)
                )
                state[name] = torch.cat([q, *(part.flatten(0, 1) for part in repeated)])
        full = random_gpt()
        full.load_state_dict(state)
        full.save_pretrained(tmp_path)
        theirs = GPT2LMHeadModel.from_pretrained(tmp_path)
        ids = random_ids(2, 31)
        with torch.no_grad():
            assert_close(ours(ids), theirs(ids).logits, 1e-10)


# --- sampling ---

# Halves make equal logits likely.
LOGITS = st.lists(st.integers(-20, 20).map(lambda n: n / 2) | st.floats(-30, 30, width=32), min_size=2, max_size=40)


@given(row=LOGITS, top_k=st.integers(1, 45))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_top_k_equals_transformers(row, top_k):
    logits = torch.tensor([row, row[::-1]])
    assert torch.equal(keep_top_k(logits, top_k), TopKLogitsWarper(top_k)(None, logits))


@given(row=LOGITS, top_p=st.floats(0.001, 0.999))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_top_p_equals_transformers(row, top_p):
    logits = torch.tensor([row, row[::-1]])
    assert torch.equal(keep_top_p(logits, top_p), TopPLogitsWarper(top_p)(None, logits))


@given(
    row=LOGITS,
    seed=st.integers(0, 999),
    temperature=st.floats(0.1, 5),
    top_k=st.integers(1, 45),
    top_p=st.floats(0.1, 1),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_draw_is_that_of_transformers_warpers_in_their_order(row, seed, temperature, top_k, top_p):
    logits = torch.tensor([row, row[::-1]] * 4)
    warped = TopKLogitsWarper(top_k)(None, TemperatureLogitsWarper(temperature)(None, logits))
    if top_p < 1:  # as transformers' generate does
        warped = TopPLogitsWarper(top_p)(None, warped)
    want = torch.multinomial(warped.softmax(-1), 1, generator=torch.Generator().manual_seed(seed))[:, 0]
    assert torch.equal(sampler(temperature, top_k, top_p, seed, "cpu")(logits), want)


@pytest.mark.parametrize(
    "drawing",
    [
        {},  # top_k is 50 by default, in both
        {"temperature": 0.7},
        {"top_k": 5},
        {"top_p": 0.8},
        {"temperature": 1.5, "top_k": 20, "top_p": 0.9},
    ],
    ids=str,
)
def test_sampled_text_equals_transformers_for_the_same_seed(drawing, tmp_path):
    theirs = spread(gpt2(2, vocab_size=151), 2, std=0.1).double()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path, dtype=torch.float64)
    ids, mask = ids_for(theirs, 3, 9), left_padding([0, 2, 5], 9)
    torch.manual_seed(5)
    want = theirs.generate(ids, attention_mask=mask, max_new_tokens=30, do_sample=True, pad_token_id=0, **drawing)
    for options in CACHES.values():
        got = ours.generate(ids, mask, max_new_tokens=30, do_sample=True, seed=5, **drawing, **options)
        assert torch.equal(got, want)
    torch.manual_seed(5)  # without a seed of its own a run draws from torch's generator
    got = ours.generate(ids, mask, max_new_tokens=30, do_sample=True, **drawing)
    assert torch.equal(got, want)
    assert not torch.equal(want, ours.generate(ids, mask, max_new_tokens=30, do_sample=True, seed=6, **drawing))


def test_left_padded_logits_equal_transformers_for_every_real_token(tmp_path):
    theirs = gpt2(6).double()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path, dtype=torch.float64)
    mask = left_padding([0, 1, 6], 12)
    ids = ids_for(theirs, 3, 12)
    with torch.no_grad():
        want = theirs(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits
        got = ours(ids, positions_of(mask))
    assert_close(got[mask == 1], want[mask == 1], 1e-10)
