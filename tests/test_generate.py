"""Generation: every argument means what it says, and whatever the cache, the text is the uncached one."""

import copy
import itertools

import pytest
import torch
from helpers import SIZES, left_padding, positions_of, random_gpt, random_ids
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TextIteratorStreamer, TextStreamer

from minigpt.cache import CACHES, CacheError, CacheFull, make_cache

NAMES = [name for name in CACHES if name != "none" and not CACHES[name].needs_window]
T, NEW = 9, 14
PADS = [0, 4, 7]
SEED = 146  # of a model whose texts vary


@pytest.fixture(scope="module")
def model():
    return random_gpt(SEED)


@pytest.fixture(scope="module")
def ids():
    return random_ids(3, T)


def by_hand(model, text, new, mask=None):
    """Greedy text by the bare model, which reads everything anew at each step."""
    mask = torch.ones_like(text) if mask is None else mask
    with torch.no_grad():
        for _ in range(new):
            chosen = model(text, positions_of(mask))[:, -1].float().argmax(-1, keepdim=True)
            text, mask = torch.cat([text, chosen], 1), torch.cat([mask, torch.ones_like(chosen)], 1)
    return text


class Recorder:
    """A streamer that only notes what it was given."""

    def __init__(self):
        self.calls = []

    def put(self, value):
        self.calls.append(value)

    def end(self):
        self.calls.append("end")


# --- the text ---


def test_the_reference_text_varies(model, ids):
    """Texts that repeat one token, or that don't depend on the prompt, would agree by chance."""
    text = by_hand(model, ids, NEW)[:, T:]
    assert min(len(row.unique()) for row in text) > NEW // 2
    for other in range(3):
        assert (text[other] != text[other - 1]).float().mean() > 0.3
        assert (text[other] != by_hand(model, ids, NEW, left_padding([1, 1, 1], T))[other, T:]).any()


@pytest.mark.parametrize("name", ["none", *NAMES])
def test_greedy_text_is_that_of_a_loop_by_hand(name, model, ids):
    assert torch.equal(model.generate(ids, max_new_tokens=NEW, cache_implementation=name), by_hand(model, ids, NEW))


@pytest.mark.parametrize("name", ["none", *NAMES])
def test_left_padded_text_is_that_of_a_loop_by_hand(name, model, ids):
    mask = left_padding(PADS, T)
    got = model.generate(ids, mask, max_new_tokens=NEW, cache_implementation=name)
    assert torch.equal(got, by_hand(model, ids, NEW, mask))
    other = ids.masked_fill(mask == 0, 5)  # the ids at pads don't count
    again = model.generate(other, mask, max_new_tokens=NEW, cache_implementation=name)
    assert torch.equal(again[:, T:], got[:, T:])


def test_use_cache_false_is_that_of_a_loop_by_hand(model, ids):
    assert torch.equal(model.generate(ids, max_new_tokens=NEW, use_cache=False), by_hand(model, ids, NEW))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32], ids=str)
def test_the_attention_mask_may_have_any_dtype(dtype, model, ids):
    mask = left_padding(PADS, T)
    want = by_hand(model, ids, 4, mask)
    assert torch.equal(model.generate(ids, mask.to(dtype), max_new_tokens=4), want)


@pytest.mark.parametrize("new", [1, 2, 7])
def test_max_new_tokens_is_how_many_tokens_come(new, model, ids):
    got = model.generate(ids, max_new_tokens=new)
    assert torch.equal(got, by_hand(model, ids, new))
    assert got.shape == (3, T + new)


def test_twenty_tokens_come_by_default(model, ids):
    assert torch.equal(model.generate(ids), by_hand(model, ids, 20))


def test_generate_leaves_its_arguments_alone(model, ids):
    mask, before = left_padding(PADS, T), ids.clone()
    model.generate(ids, mask, max_new_tokens=5)
    assert torch.equal(ids, before)
    assert torch.equal(mask, left_padding(PADS, T))


def test_generate_leaves_the_random_state_and_the_gradient_mode_alone(model, ids):
    before = torch.get_rng_state()
    model.generate(ids, max_new_tokens=5)
    model.generate(ids, max_new_tokens=5, do_sample=True, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("name", ["none", *NAMES])
def test_the_returned_text_can_be_trained_on(name, ids):
    model = random_gpt(SEED)
    text = model.generate(ids, max_new_tokens=6, cache_implementation=name)
    assert not text.is_inference()
    model.train()(text[:, :-1]).square().mean().backward()
    assert model.wte.weight.grad.abs().sum() > 0


# --- where the context ends ---


@pytest.mark.parametrize("pads", [[0, 0, 0], PADS], ids=["plain", "left padding"])
@pytest.mark.parametrize("name", ["none", *NAMES])
def test_prompt_and_new_tokens_may_reach_one_more_than_the_context(name, pads, model, ids):
    """The last token is never fed, so it needs no position."""
    mask = left_padding(pads, T)
    new = SIZES["context"] + 1 - T
    got = model.generate(ids, mask, max_new_tokens=new, cache_implementation=name)
    assert torch.equal(got, by_hand(model, ids, new, mask))
    streamer = Recorder()
    with pytest.raises(ValueError, match=rf"max_new_tokens can be {new} at most"):
        model.generate(ids, mask, max_new_tokens=new + 1, cache_implementation=name, streamer=streamer)
    assert streamer.calls == []


def test_padding_takes_no_position(model, ids):
    """Where every row is padded, so many more tokens fit than the width of the prompt suggests."""
    mask = left_padding([2, 4, 7], T)
    new = SIZES["context"] + 1 - (T - 2)
    assert torch.equal(model.generate(ids, mask, max_new_tokens=new), by_hand(model, ids, new, mask))
    with pytest.raises(ValueError, match=rf"max_new_tokens can be {new} at most"):
        model.generate(ids, mask, max_new_tokens=new + 1)


def test_a_prompt_as_long_as_the_context_gets_one_token_and_a_longer_one_none(model):
    full = random_ids(1, SIZES["context"])
    assert torch.equal(model.generate(full, max_new_tokens=1), by_hand(model, full, 1))
    with pytest.raises(ValueError, match="max_new_tokens can be 0 at most"):
        model.generate(random_ids(1, SIZES["context"] + 1), max_new_tokens=1)


def test_a_static_cache_needs_a_slot_for_all_but_the_last_token(model, ids):
    fits = T + NEW - 1
    want = by_hand(model, ids, NEW)
    for size in (fits, fits + 1):
        got = model.generate(ids, max_new_tokens=NEW, cache_implementation="static", max_cache_len=size)
        assert torch.equal(got, want)
    streamer = Recorder()
    with pytest.raises(CacheFull, match=rf"needs {fits} slots .* has {fits - 1}: raise max_cache_len"):
        model.generate(
            ids, max_new_tokens=NEW, cache_implementation="static", max_cache_len=fits - 1, streamer=streamer
        )
    assert streamer.calls == []


# --- eos and pad ---


def first_seen_at(row, tokens):
    """The first place in a row where one of the tokens stands, else its end."""
    return next((i for i, token in enumerate(row.tolist()) if token in tokens), len(row))


def ended(text, eos, pad):
    """What an endless text becomes: after its first eos a row is pads, and all rows end with the last to be done."""
    new = text[:, T:].clone()
    ends = [first_seen_at(row, eos) for row in new]
    for row, end in zip(new, ends, strict=True):
        row[end + 1 :] = pad
    return torch.cat([text[:, :T], new[:, : max(ends) + 1]], 1), ends


def three_ends(text):
    """Eos tokens by which the three rows end at three times, all before the text does."""
    for eos in itertools.combinations(text[:, T:].unique().tolist(), 3):
        if len({*ended(text, eos, 7)[1], NEW - 1, NEW}) == 5:
            return list(eos)
    raise AssertionError("this text has no such tokens")


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, *({"cache_implementation": name} for name in NAMES)], ids=str
)
def test_a_row_keeps_its_eos_and_is_then_padded(options, model, ids):
    endless = by_hand(model, ids, NEW)
    eos = three_ends(endless)
    want, _ = ended(endless, eos, pad=7)
    got = model.generate(ids, max_new_tokens=NEW, eos_token_id=eos, pad_token_id=7, **options)
    assert torch.equal(got, want)


def test_without_a_pad_token_the_first_eos_fills_a_finished_row(model, ids):
    endless = by_hand(model, ids, NEW)
    eos = three_ends(endless)
    want, _ = ended(endless, eos, pad=eos[0])
    assert torch.equal(model.generate(ids, max_new_tokens=NEW, eos_token_id=eos), want)


def test_a_single_eos_and_rows_that_never_see_it(model, ids):
    endless = by_hand(model, ids, NEW)
    only = next(int(t) for t in endless[0, T + 1 :] if not (endless[1:, T:] == t).any())
    want, ends = ended(endless, [only], pad=3)
    assert ends[1:] == [NEW, NEW]
    assert torch.equal(model.generate(ids, max_new_tokens=NEW, eos_token_id=only, pad_token_id=3), want)


def test_an_eos_in_the_prompt_ends_nothing(model, ids):
    endless = by_hand(model, ids, NEW)
    eos = next(int(t) for t in ids[0] if not (endless[0, T:] == t).any())
    assert torch.equal(model.generate(ids[:1], max_new_tokens=NEW, eos_token_id=eos), endless[:1])


def test_when_the_first_token_is_an_eos_it_is_the_only_one(model, ids):
    endless = by_hand(model, ids, 1)
    got = model.generate(ids, max_new_tokens=NEW, eos_token_id=endless[:, T].tolist())
    assert torch.equal(got, endless)


def test_a_cache_goes_on_after_an_early_end(model, ids):
    """The pads of a finished row are tokens of the text like any other."""
    endless = by_hand(model, ids, NEW)
    eos = three_ends(endless)
    cache = make_cache("dynamic", model.config, batch_size=3, dtype=torch.float64)
    text = model.generate(ids, max_new_tokens=NEW, eos_token_id=eos, pad_token_id=7, cache=cache)
    assert text.shape[1] < T + NEW
    assert torch.equal(model.generate(text, max_new_tokens=4, cache=cache), by_hand(model, text, 4))


# --- streaming ---


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, *({"cache_implementation": name} for name in NAMES)], ids=str
)
def test_a_streamer_gets_the_prompt_then_each_step_then_the_end(options, model, ids):
    streamer = Recorder()
    text = model.generate(ids, max_new_tokens=5, streamer=streamer, **options)
    prompt, *steps, end = streamer.calls
    assert torch.equal(prompt, ids)
    assert end == "end"
    assert len(steps) == 5
    for given in (prompt, *steps):
        assert given.device.type == "cpu"
        assert given.dtype == torch.int64
    assert all(step.shape == (3,) for step in steps)
    assert torch.equal(torch.stack(steps, 1), text[:, T:])


def test_a_streamer_gets_pads_too_and_one_end_where_all_rows_are_done(model, ids):
    endless = by_hand(model, ids, NEW)
    eos = three_ends(endless)
    streamer = Recorder()
    text = model.generate(ids, max_new_tokens=NEW, eos_token_id=eos, pad_token_id=7, streamer=streamer)
    assert torch.equal(torch.stack(streamer.calls[1:-1], 1), text[:, T:])
    assert [call for call in streamer.calls if isinstance(call, str)] == ["end"]
    assert (text[:, T:] == 7).any()


def test_what_a_streamer_was_given_does_not_change_later(model, ids):
    class Copies(Recorder):
        def put(self, value):
            self.calls.append((value, value.clone()))

    streamer = Copies()
    model.generate(ids, max_new_tokens=5, streamer=streamer)
    for given, then in streamer.calls[:-1]:
        assert torch.equal(given, then)


@pytest.fixture(scope="module")
def tokenizer():
    words = {f"w{n}": n for n in range(SIZES["vocab_size"])}
    tiny = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tiny.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tiny)


def test_text_streamer_of_transformers_prints_the_text(model, ids, tokenizer, capsys):
    text = model.generate(ids[:1], max_new_tokens=6, streamer=TextStreamer(tokenizer))
    assert capsys.readouterr().out.split() == [f"w{token}" for token in text[0].tolist()]


def test_text_streamer_can_skip_the_prompt(model, ids, tokenizer, capsys):
    text = model.generate(ids[:1], max_new_tokens=6, streamer=TextStreamer(tokenizer, skip_prompt=True))
    assert capsys.readouterr().out.split() == [f"w{token}" for token in text[0, T:].tolist()]


def test_text_iterator_streamer_of_transformers_yields_the_text(model, ids, tokenizer):
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, timeout=5)
    text = model.generate(ids[:1], max_new_tokens=6, streamer=streamer)
    assert "".join(streamer).split() == [f"w{token}" for token in text[0, T:].tolist()]


# --- prefill in chunks ---


@pytest.mark.parametrize("pads", [[0, 0, 0], PADS], ids=["plain", "left padding"])
@pytest.mark.parametrize("size", [1, 2, 3, T - 1, T, T + 1, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_fed_in_chunks_of_any_size_gives_the_same_text(name, size, pads, model, ids):
    mask = left_padding(pads, T)
    got = model.generate(ids, mask, max_new_tokens=6, cache_implementation=name, prefill_chunk_size=size)
    assert torch.equal(got, by_hand(model, ids, 6, mask))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_chunk_size_is_how_many_tokens_the_model_is_fed_at_a_time(size, model, ids, monkeypatch):
    fed, hidden = [], model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids, *rest: fed.append(ids.shape[1]) or hidden(ids, *rest))
    model.generate(ids, max_new_tokens=3, prefill_chunk_size=size)
    assert fed == [size] * (T // size) + [T % size] * (T % size > 0) + [1, 1]


@pytest.mark.parametrize(
    "cached",
    [
        {"use_cache": False},
        {"cache_implementation": "none"},
        {"cache": "none"},
    ],
    ids=str,
)
def test_without_a_cache_there_are_no_chunks(cached, model, ids):
    """A chunk that nothing remembers would be lost on the next one."""
    if "cache" in cached:
        cached = {"cache": make_cache("none", model.config)}
    with pytest.raises(ValueError, match=r"prefill_chunk_size 4 must be .* a cache"):
        model.generate(ids, max_new_tokens=3, prefill_chunk_size=4, **cached)


# --- a cache over several turns ---


def say(text, seed, count=3):
    """The user's next turn: a few tokens more."""
    return torch.cat([text, random_ids(len(text), count, seed)], dim=1)


@pytest.mark.parametrize("pads", [[0, 0, 0], PADS], ids=["plain", "left padding"])
@pytest.mark.parametrize("name", NAMES)
def test_three_turns_with_one_cache_are_one_fresh_run(name, pads, model, ids):
    mask = left_padding(pads, T)
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    text = ids
    for turn, chunk in enumerate([None, 2, 1]):
        mask = torch.cat([mask, torch.ones(3, text.shape[1] - mask.shape[1], dtype=torch.int64)], 1)
        want = by_hand(model, text, 5, mask)
        text = model.generate(text, mask, max_new_tokens=5, cache=cache, prefill_chunk_size=chunk)
        assert torch.equal(text, want), f"turn {turn}"
        assert cache.length == text.shape[1] - 1
        text = say(text, seed=turn)


@pytest.mark.parametrize("name", NAMES)
def test_a_turn_feeds_only_what_the_cache_has_not_seen(name, model, ids, monkeypatch):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    text = say(model.generate(ids, max_new_tokens=5, cache=cache), seed=0)
    fed, hidden = [], model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids, *rest: fed.append(ids.shape[1]) or hidden(ids, *rest))
    model.generate(text, max_new_tokens=3, cache=cache)
    assert fed == [1 + 3, 1, 1]  # the last token of the turn before was never fed


@pytest.mark.parametrize("name", NAMES)
def test_after_generate_a_cache_holds_the_text_but_for_its_last_token(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    mask = left_padding(PADS, T)
    text = model.generate(ids, mask, max_new_tokens=5, cache=cache)
    assert torch.equal(cache.ids, text[:, :-1])
    whole = torch.cat([mask, torch.ones(3, 4, dtype=torch.int64)], 1)
    assert torch.equal(cache.positions, positions_of(whole))
    assert torch.equal(
        model.generate(text, torch.cat([whole, whole[:, -1:]], 1), max_new_tokens=3, cache=cache),
        by_hand(model, text, 3, torch.cat([whole, whole[:, -1:]], 1)),
    )


@pytest.mark.parametrize("held", [1, 4, T - 1])
@pytest.mark.parametrize("name", NAMES)
def test_generate_goes_on_from_a_cache_that_the_bare_model_filled(name, held, model, ids):
    mask = left_padding([0, 2, 7], T)
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    with torch.no_grad():
        model(ids[:, :held], positions_of(mask)[:, :held], cache=cache)
    got = model.generate(ids, mask, max_new_tokens=5, cache=cache)
    assert torch.equal(got, by_hand(model, ids, 5, mask))


@pytest.mark.parametrize("name", NAMES)
def test_the_bare_model_goes_on_from_a_cache_that_generate_filled(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    text = model.generate(ids, max_new_tokens=5, cache=cache)
    with torch.no_grad():
        got = model(say(text, seed=0)[:, -4:], cache=cache)
        want = model(say(text, seed=0))[:, -4:]
    assert (got - want).abs().max() <= 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_a_fork_and_its_original_go_their_own_ways(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    text = model.generate(ids, max_new_tokens=5, cache=cache)
    fork = copy.deepcopy(cache)
    for going_on, seed in [(fork, 0), (cache, 1), (fork, 0)]:
        if going_on.length > text.shape[1] - 1:
            going_on.crop(text.shape[1] - 1 - going_on.length)
        turn = say(text, seed)
        assert torch.equal(model.generate(turn, max_new_tokens=6, cache=going_on), by_hand(model, turn, 6))


@pytest.mark.parametrize("name", NAMES)
def test_after_a_crop_another_continuation_is_a_fresh_run(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    mask = left_padding(PADS, T)
    text = model.generate(ids, mask, max_new_tokens=8, cache=cache)
    for seed, back in enumerate([1, 5, 8]):
        cache.crop(-(cache.length - (text.shape[1] - 1 - back)))
        turn = say(text[:, : text.shape[1] - back], seed)
        turn_mask = torch.cat([mask, torch.ones(3, turn.shape[1] - T, dtype=torch.int64)], 1)
        got = model.generate(turn, turn_mask, max_new_tokens=4, cache=cache)
        assert torch.equal(got, by_hand(model, turn, 4, turn_mask)), f"{back} tokens back"


@pytest.mark.parametrize("name", NAMES)
def test_after_a_select_the_rows_that_are_left_go_on(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    rows = [2, 0, 2, 2]
    turn = say(model.generate(ids, max_new_tokens=5, cache=cache)[rows], seed=0)
    cache.select(rows)
    assert torch.equal(model.generate(turn, max_new_tokens=4, cache=cache), by_hand(model, turn, 4))


@pytest.mark.parametrize("name", NAMES)
def test_after_a_reset_a_cache_takes_any_text(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    model.generate(ids, max_new_tokens=5, cache=cache)
    cache.reset()
    other = random_ids(3, 6, seed=9)
    assert torch.equal(model.generate(other, max_new_tokens=4, cache=cache), by_hand(model, other, 4))


@pytest.mark.parametrize("modes", [(torch.inference_mode, torch.no_grad), (torch.no_grad, torch.inference_mode)])
@pytest.mark.parametrize("name", NAMES)
def test_a_cache_can_be_used_in_inference_mode_and_outside_in_either_order(name, modes, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    turn = ids
    for seed, mode in enumerate(modes * 2):
        with mode():
            logits = model(turn[:, cache.length :], cache=cache)
        with torch.no_grad():
            assert (logits[:, -1] - model(turn)[:, -1]).abs().max() <= 1e-10
        cache.crop(-1)
        cache.select([1, 2, 0])
        turn = say(turn[[1, 2, 0], :-1], seed)
    fork = copy.deepcopy(cache)
    with torch.inference_mode():
        model(turn[:, cache.length :], cache=cache)
    with torch.no_grad():
        got = model(turn[:, fork.length :], cache=fork)[:, -1]
        assert (got - model(turn)[:, -1]).abs().max() <= 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_made_in_inference_mode_can_be_used_outside(name, model, ids):
    with torch.inference_mode():
        cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    assert torch.equal(model.generate(ids, max_new_tokens=5, cache=cache), by_hand(model, ids, 5))


def test_a_cache_that_holds_nothing_may_be_handed_in_as_none(model, ids):
    cache = make_cache("none", model.config)
    text = ids
    for turn in range(2):
        want = by_hand(model, text, 4)
        text = model.generate(text, max_new_tokens=4, cache=cache)
        assert torch.equal(text, want)
        text = say(text, seed=turn)


@pytest.mark.parametrize("name", NAMES)
def test_another_text_is_refused_at_the_token_where_it_parts(name, model, ids):
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    text = model.generate(ids, max_new_tokens=5, cache=cache)
    for row, column in [(0, 0), (1, 4), (2, T + 3)]:
        other = text.clone()
        other[row, column] = (other[row, column] + 1) % SIZES["vocab_size"]
        with pytest.raises(CacheError, match=rf"row {row}, token {column} is {text[row, column]} in the cache"):
            model.generate(other, max_new_tokens=2, cache=cache)
    other = text.clone()
    other[:, -1] = 0  # the last token was never fed: it may be another
    assert torch.equal(model.generate(other, max_new_tokens=2, cache=cache), by_hand(model, other, 2))


# --- drawing ---


DRAWING = {"do_sample": True, "temperature": 1.3, "top_k": 20, "top_p": 0.95}


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, *({"cache_implementation": name} for name in NAMES)], ids=str
)
def test_a_seed_repeats_the_text_whatever_the_cache(options, model, ids):
    want = model.generate(ids, max_new_tokens=NEW, seed=5, use_cache=False, **DRAWING)
    for _ in range(2):
        torch.rand(3)  # the global generator is not asked
        assert torch.equal(model.generate(ids, max_new_tokens=NEW, seed=5, **DRAWING, **options), want)
    assert not torch.equal(model.generate(ids, max_new_tokens=NEW, seed=6, **DRAWING, **options), want)


def test_a_top_k_of_one_or_a_tiny_top_p_is_greedy(model, ids):
    want = by_hand(model, ids, NEW)
    for only in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
        assert torch.equal(model.generate(ids, max_new_tokens=NEW, do_sample=True, seed=1, **only), want)


def test_draws_have_the_frequencies_of_the_softmax(model):
    prompt = random_ids(1, T).expand(4000, T)
    with torch.no_grad():
        want = (model(prompt[:1])[0, -1] / 2).softmax(-1)
    text = model.generate(prompt, max_new_tokens=1, do_sample=True, temperature=2.0, top_k=None, seed=0)
    counts = text[:, -1].bincount(minlength=SIZES["vocab_size"])
    deviation = (4000 * want * (1 - want)).sqrt()
    assert ((counts - 4000 * want).abs() <= 4.5 * deviation + 1).all()
    assert (counts > 0).sum() > 10
