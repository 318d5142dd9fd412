"""What `generate` of transformers does with a cache of ours beside feeding it, and what is refused."""

import copy

import pytest
import torch
from families import TOLERANCE, generate, in_chunks, model, off, text, transformers, uncached

from minigpt.cache import CacheError, CacheFull, make_cache
from minigpt.interop import cache_for, config_of, to_transformers

CACHES = {
    "dynamic": ("llama", {}),
    "static": ("qwen3", {}),
    "offloaded": ("llama", {}),
    "quantized": ("llama", {}),  # in texts that fit its residual
    "sliding_window": ("mistral", {"chunk": 16}),
    "hybrid": ("olmo3", {"chunk": 16}),
}


def new_cache(name):
    """A model, and a cache for it."""
    family, options = CACHES[name]
    return model(family), cache_for(model(family), "sliding_window" if name == "hybrid" else name, **options)


@pytest.mark.parametrize("name", CACHES)
def test_beams_of_a_left_padded_batch_are_those_without_a_cache(name):
    (theirs, cache), (ids, mask, _) = new_cache(name), text([0, 4], 11)
    how = {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5}
    want = generate(theirs, ids, mask, use_cache=False, **how)
    assert torch.equal(generate(theirs, ids, mask, cache=cache, **how), want)
    assert cache.batch_size == 6


@pytest.mark.parametrize("name", CACHES)
def test_drawn_texts_are_those_without_a_cache(name):
    (theirs, cache), (ids, mask, _) = new_cache(name), text([0, 4], 11)
    how = {"attention_mask": mask, "max_new_tokens": 8, "pad_token_id": 0, "do_sample": True, "num_return_sequences": 2}
    torch.manual_seed(3)
    want = theirs.generate(ids, use_cache=False, **how)
    torch.manual_seed(3)
    assert torch.equal(theirs.generate(ids, cache=cache, **how), want)


@pytest.mark.parametrize("name", CACHES)
def test_guessed_tokens_are_taken_back(name, monkeypatch):
    """Assisted generation: guesses looked up in the prompt, of which most are wrong."""
    (theirs, cache), (ids, _, _) = new_cache(name), text([0], 6)
    ids = torch.cat([ids, ids], dim=1)
    want, taken = generate(theirs, ids, torch.ones_like(ids), use_cache=False), []
    crop = cache.cache.crop
    monkeypatch.setattr(cache.cache, "crop", lambda count: (taken.append(count), crop(count)))
    got = generate(theirs, ids, torch.ones_like(ids), cache=cache, prompt_lookup_num_tokens=3)
    assert torch.equal(got, want)
    assert min(taken) < 0, "no guess was wrong"


@pytest.mark.parametrize("name", CACHES)
def test_every_verb_leaves_what_an_uncached_run_of_the_rest_gives(name):
    (theirs, cache), (ids, mask, positions) = new_cache(name), text([0, 2, 5], 21)
    in_chunks(theirs, cache, ids[:, :9], mask, positions, [6, 3])
    fork = copy.deepcopy(cache)
    cache.crop(-2)
    cache.reorder_cache(torch.tensor([2, 0, 0], dtype=torch.int32))
    cache.batch_repeat_interleave(2)  # rows 2, 2, 0, 0, 0, 0
    cache.batch_select_indices(torch.tensor([1, 2]))
    rows = [2, 0]
    text_now = torch.cat([ids[rows, :7], ids[:2, 9:15]], dim=1), mask[rows, :13], positions[rows, :13]
    want = uncached(theirs, *text_now)
    got = [ahead(theirs, cache, *text_now, 7, 12), ahead(theirs, cache, *text_now, 12, 13)]
    assert off(torch.cat([want[:, :7], *got], 1), want, mask[rows]) < TOLERANCE
    want = uncached(theirs, ids[:, :12], mask[:, :12], positions[:, :12])
    got = ahead(theirs, fork, ids[:, :12], mask, positions, 9, 12)
    assert off(torch.cat([want[:, :9], got], 1), want, mask) < TOLERANCE, "a fork goes on by itself"
    cache.reset()
    assert torch.equal(
        generate(theirs, ids[:, :4], mask[:, 5:9], cache=cache), generate(theirs, ids[:, :4], mask[:, 5:9])
    )


@torch.no_grad()
def ahead(theirs, cache, ids, mask, positions, start, end):
    given = {"attention_mask": mask[:, :end], "position_ids": positions[:, start:end]}
    return theirs(ids[:, start:end], cache=cache, **given).logits


@pytest.mark.parametrize("name", CACHES)
def test_a_second_generate_goes_on_from_the_first(name):
    (theirs, cache), (ids, mask, _) = new_cache(name), text([0, 4], 9)
    first = generate(theirs, ids, mask, cache=cache)
    longer = torch.cat([first, ids[:, :4]], dim=1)
    mask = torch.cat([mask, torch.ones(2, longer.shape[1] - 9, dtype=torch.int64)], dim=1)
    got = generate(theirs, longer, mask, cache=cache.for_text(longer, mask))
    assert torch.equal(got, generate(theirs, longer, mask, use_cache=False))
    assert cache.cache.length == got.shape[1] - 1, "the last token is never fed"


def test_another_text_is_refused_before_any_work():
    theirs, cache = new_cache("dynamic")
    ids, mask, _ = text([0, 4], 9)
    generate(theirs, ids, mask, cache=cache)
    before = [each.clone() for each in cache.cache.state() if isinstance(each, torch.Tensor)]
    other, same, _ = text([0, 4], 25, seed=1)
    with pytest.raises(CacheError, match="the cache holds another text: row 0, token 0 is"):
        cache.for_text(other, same)
    for length in (5, 17, 18):
        with pytest.raises(CacheError, match=r"reset\(\) the cache"):
            generate(theirs, other[:, :length], same[:, :length], cache=cache)
    plain = torch.ones_like(other)
    with pytest.raises(CacheError, match="other padding than attention_mask says"):
        generate(theirs, other, plain, cache=cache)
    with pytest.raises(CacheError, match=r"batch_size 2, got 1 rows"):
        generate(theirs, other[:1], plain[:1], cache=cache)
    after = [each for each in cache.cache.state() if isinstance(each, torch.Tensor)]
    assert all(map(torch.equal, before, after))
    assert torch.equal(
        generate(theirs, other, same, cache=(cache.reset(), cache)[1]), generate(theirs, other, same, use_cache=False)
    )


@pytest.mark.parametrize("length", [1, 9, 10, 18, 19])
def test_a_plain_text_no_longer_than_what_is_held_is_refused(length):
    """transformers then feeds a part of it, or all, as if it came behind: its positions tell."""
    theirs, cache = new_cache("dynamic")
    ids, mask, _ = text([0], 10)
    generate(theirs, ids, mask, cache=cache)
    assert cache.cache.length == 19
    other, same, _ = text([0], length, seed=1)
    with pytest.raises(CacheError, match="no token comes" if length < 10 else r"go on at positions \[19\], what comes"):
        generate(theirs, other, same, cache=cache)
    assert cache.cache.length == 19


def test_what_the_cache_is_not_told_truly_is_refused():
    theirs, (ids, mask, _) = model("llama"), text([0, 3], 12)
    cache = cache_for(theirs, "dynamic")
    with torch.no_grad():
        theirs(ids[:, :8], attention_mask=mask[:, :8], cache=cache)
        with pytest.raises(CacheError, match=r"the cache holds 8 tokens, and 4 come: .* \(2, 12\), got \(2, 4\)"):
            theirs(ids[:, 8:], attention_mask=mask[:, 8:], cache=cache)
        with pytest.raises(CacheError, match="other padding"):
            theirs(ids[:, 8:], cache=cache)
    with pytest.raises(CacheError, match="gradients are on"):
        theirs(ids, attention_mask=mask, cache=cache)
    unannounced = to_transformers(make_cache("dynamic", config_of(theirs), dtype=torch.float64), theirs)
    with torch.no_grad(), pytest.raises(CacheError, match="did not announce"):
        theirs.model.layers[0].self_attn(
            torch.zeros(1, 3, 32, dtype=torch.float64),
            position_embeddings=(torch.zeros(1, 3, 8, dtype=torch.float64),) * 2,
            attention_mask=None,
            cache=unannounced,
        )


def test_too_much_is_refused_as_the_cache_refuses_it():
    theirs, (ids, mask, _) = model("mistral"), text([0], 9)
    with pytest.raises(CacheError, match="9 tokens at once, the ring has slack for 6"):
        generate(theirs, ids, mask, cache=cache_for(theirs, "sliding_window"))
    with pytest.raises(CacheFull, match="needs 9 slots, has 8"):
        generate(theirs, ids, mask, cache=cache_for(theirs, "static", max_cache_len=8))


def test_a_cache_for_another_model_is_refused_at_the_door():
    llama, mistral = model("llama"), model("mistral")
    for other, why in {mistral: r"windows \(6, 6\) for \(None, None\)", model("qwen3"): "head_size 12 for 8"}.items():
        with pytest.raises(CacheError, match=why):
            to_transformers(make_cache("dynamic", config_of(other), dtype=torch.float64), llama)
    with pytest.raises(CacheError, match=r"keeps torch.float32 on cpu, the model is torch.float64"):
        to_transformers(make_cache("dynamic", config_of(llama)), llama)
    with pytest.raises(ValueError, match="served by a cache that keeps something"):
        to_transformers(make_cache("none", config_of(llama)), llama)
    with pytest.raises(ValueError, match="this model sees all tokens before"):
        cache_for(llama, "sliding_window")
    twin = copy.deepcopy(llama)
    cache = cache_for(llama, "dynamic")
    generate(llama, *text([0], 9)[:2], cache=cache)
    with pytest.raises(CacheError, match="filled by another model of the same sizes"):
        to_transformers(cache.cache, twin)


def tiny(kind, **sizes):
    config = getattr(transformers, f"{kind}{'TextConfig' if kind == 'Llama4' else 'Config'}")(vocab_size=61, **sizes)
    return getattr(transformers, f"{kind}{'Model' if kind == 'T5' else 'ForCausalLM'}")(config).eval()


MLA = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 6}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.mark.parametrize(
    ("kind", "sizes", "why"),
    [
        ("Mamba", {"hidden_size": 16, "num_hidden_layers": 1, "state_size": 4}, "keeps a LinearAttentionLayer instead"),
        ("T5", {"d_model": 16, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}, "values of an encoder"),
        (
            "DeepseekV3",
            {**SMALL, **MLA, "first_k_dense_replace": 1, "n_routed_experts": 8},
            "keys of 1 heads of 8 and values of 1 heads of 4",  # the latent, and the rotary key
        ),
        ("RecurrentGemma", {**SMALL, "lru_width": 16}, "layer 0 of RecurrentGemma"),
        ("Llama4", {**SMALL, "num_local_experts": 1, "attention_chunk_size": 4}, "of chunked_attention"),
    ],
)
def test_a_model_that_keeps_something_else_is_refused_with_the_reason(kind, sizes, why):
    with pytest.raises(ValueError, match=why):
        cache_for(tiny(kind, **sizes), "dynamic")
