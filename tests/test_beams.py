"""Beam search against transformers' own, in fp64 on GPT-2s with random weights: only the search itself can differ."""

import copy
import itertools
import math

import pytest
import torch
from helpers import as_for_a_user, left_padding, random_gpt, random_ids, spread
from mutants import mutate
from transformers import GPT2Config, GPT2LMHeadModel

from minigpt.__main__ import main
from minigpt.beams import Beams
from minigpt.cache import CACHES, CacheError, make_cache
from minigpt.model import GPT
from minigpt.picking import Search, check_beams
from minigpt.pretrained import load_tokenizer

T, NEW, FEW, V, PAD = 9, 16, 8, 31, 1
LONG = 1000  # a text of as many tokens has room for penalties from -10 to 10
EOS = [3, 7, 11, 15, 19]  # so many that texts end at different times
PADS = {"plain": [0, 0, 0], "left padding": [0, 4, 7]}
SEEDS = range(5)
WAYS = [
    {"num_beams": beams, "eos_token_id": eos, "length_penalty": penalty, "early_stopping": stopping}
    for stopping, penalty, eos, beams in itertools.product(
        (False, True, "never"), (1.0, 0.0, -1.0, 2.5), (EOS, 3, None), (2, 5)
    )
]
USUAL = {"num_beams": 5, "eos_token_id": EOS, "length_penalty": 1.0, "early_stopping": False}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """For each seed a GPT-2 of transformers, and the GPT that reads what it saved."""
    made = {}
    for seed in SEEDS:
        sizes = {"vocab_size": V, "n_positions": 40, "n_layer": 2, "n_head": 2, "n_embd": 16}
        config = GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)
        theirs = spread(GPT2LMHeadModel(config), seed, std=0.05 if seed % 2 else 0.2).double()
        folder = tmp_path_factory.mktemp("gpt2")
        theirs.save_pretrained(folder)
        made[seed] = theirs, GPT.from_pretrained(folder, dtype=torch.float64)
    return made


@pytest.fixture(scope="module")
def long_pair(tmp_path_factory):
    sizes = {"vocab_size": V, "n_positions": LONG + 4, "n_layer": 1, "n_head": 2, "n_embd": 16}
    theirs = spread(GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)), 0, std=0.05).double()
    folder = tmp_path_factory.mktemp("gpt2")
    theirs.save_pretrained(folder)
    return theirs, GPT.from_pretrained(folder, dtype=torch.float64)


def search(model, seed, pads="plain", **way):
    """All texts that are found."""
    mask = left_padding(PADS[pads], T)
    way = {"pad_token_id": PAD, "num_return_sequences": way["num_beams"], **way}
    return model.generate(random_ids(3, T, seed, V), attention_mask=mask, max_new_tokens=NEW, **way)


def same(a, b):
    return a.shape == b.shape and torch.equal(a, b)


# --- the text ---


@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize("seed", SEEDS)
def test_beams_find_what_transformers_finds(seed, pads, pairs):
    theirs, ours = pairs[seed]
    for way in WAYS[seed :: len(SEEDS)][list(PADS).index(pads) :: len(PADS)]:
        assert same(search(ours, seed, pads, **way), search(theirs, seed, pads, **way)), way


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        (USUAL, {"num_beams": 2}),
        (USUAL, {"eos_token_id": 3}),
        (USUAL, {"eos_token_id": None}),
        (USUAL, {"length_penalty": 0.0}),
        (USUAL, {"length_penalty": -1.0}),
        (USUAL, {"length_penalty": 2.5}),
        (USUAL, {"early_stopping": True}),
        (USUAL, {"early_stopping": "never"}),
    ],
    ids=str,
)
def test_each_setting_changes_what_is_found(usual, other, pairs):
    """Or else the test above could not show that it means the same here as there."""
    found = [(search(ours, seed, **usual), search(ours, seed, **usual | other)) for seed, (_, ours) in pairs.items()]
    assert not all(same(*texts) for texts in found)


def test_fewer_texts_than_beams_are_the_best_of_them(pairs):
    for seed, (theirs, ours) in pairs.items():
        for number in (1, 3):
            best = search(ours, seed, **USUAL, num_return_sequences=number)
            assert same(best, search(theirs, seed, **USUAL, num_return_sequences=number))


def test_a_pad_of_0_fills_a_text_that_has_ended(pairs):
    """transformers takes a 0 for no pad at all, and fills with the first eos."""
    filled = 0
    for seed, (theirs, ours) in pairs.items():
        assert same(search(theirs, seed, **USUAL, pad_token_id=0), search(ours, seed, **USUAL, pad_token_id=EOS[0]))
        by_0, by_1 = (search(ours, seed, **USUAL, pad_token_id=pad) for pad in (0, 1))
        assert torch.equal(by_1, torch.where(by_0 == by_1, by_0, by_0 + 1))
        assert (by_0[by_0 != by_1] == 0).all()
        filled += (by_0 != by_1).sum()
    assert filled > 0


def test_a_long_text_of_the_largest_penalty_is_found_as_in_transformers(long_pair):
    """Given as a whole number, at which transformers fails: its power is too large for torch."""
    theirs, ours = long_pair
    ids, way = random_ids(2, 4, 0, V), {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": LONG}
    way |= {"eos_token_id": 3, "pad_token_id": PAD}
    want = theirs.generate(ids, attention_mask=torch.ones_like(ids), length_penalty=10.0, **way)
    with as_for_a_user():  # an int is no float to the shape checks
        assert same(ours.generate(ids, length_penalty=10, **way), want)
        for beyond in (-11, 11):
            with pytest.raises(ValueError, match=rf"must lie in -10 ... 10 for {LONG} new tokens, got {beyond}"):
                ours.generate(ids, length_penalty=beyond, **way)


def test_a_long_text_of_the_least_penalty_is_still_ranked(long_pair):
    """transformers stops after one token: to it a score below -1e9 is no text's. Without an end all texts are of one
    length, so that no penalty changes their order."""
    _, ours = long_pair
    ids, way = random_ids(2, 4, 0, V), {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": LONG}
    assert same(ours.generate(ids, length_penalty=-10.0, **way), ours.generate(ids, length_penalty=0.0, **way))


@pytest.mark.parametrize("new", [1, 2, 20, 500, 1024, 10**5])
@pytest.mark.parametrize("sign", [1, -1])
def test_at_the_largest_penalty_scores_are_normal_float32s(new, sign):
    """The sums from half of float32's epsilon to the largest of any text that fits; and one penalty more is refused."""
    largest = int(30 / math.log10(max(2, new)))
    eos, info = torch.tensor([3]), torch.finfo(torch.float32)
    check_beams(Search(2, 1, sign * largest, False), new, eos, V, None)
    with pytest.raises(ValueError, match=f"length_penalty must lie in -{largest} ... {largest} for {new} new"):
        check_beams(Search(2, 1, sign * (largest + 1), False), new, eos, V, None)
    score = torch.tensor([info.eps / 2, 1e8]) / float(new) ** (sign * largest)
    assert score.isfinite().all()
    assert (score >= info.tiny).all()


def test_a_penalty_may_be_a_whole_number():
    model, ids = random_gpt(), random_ids(2, 5)
    for new, penalty in ((5, 30), (8, 22)):
        way = {"max_new_tokens": new, "num_beams": 3}
        with as_for_a_user():
            got = model.generate(ids, length_penalty=penalty, **way)
        assert same(got, model.generate(ids, length_penalty=float(penalty), **way))


# --- whatever the cache ---


def by_hand(model, ids, count, name, options):
    """The texts of a search for one row in which each beam has a cache of its own, a copy of that of the beam that it
    comes from. No text ends before its time."""
    beams = [(0.0, ids, make_cache(name, model.config, dtype=torch.float64, **options))]
    for _ in range(FEW):
        continued = []
        for score, text, cache in beams:
            with torch.no_grad():
                logits = model(text[:, cache.length :], cache=cache)[0, -1]
            for token, more in enumerate(logits.float().log_softmax(-1).tolist()):
                continued.append((score + more, text, token, cache))
        best = sorted(continued, key=lambda each: -each[0])[:count]
        beams = [
            (score, torch.cat([text, torch.tensor([[token]])], 1), copy.deepcopy(cache))
            for score, text, token, cache in best
        ]
    return torch.cat([text for _, text, _ in beams])


TWO_BITS = {"nbits": 2, "residual_length": 3, "q_group_size": 8}
OPTIONS = {
    "sliding_window": {"chunk": T},
    "quantized": TWO_BITS,
    "quantized_static": {**TWO_BITS, "chunk": T},
}


@pytest.mark.parametrize(
    ("name", "window"),
    [(name, window) for name in CACHES for window in (None, 5) if window or not CACHES[name].needs_window],
)
def test_beams_in_any_cache_are_those_with_a_cache_each(name, window):
    model = random_gpt(2, vocab_size=V, window=window, sinks=1 if window else 0)
    ids, options = random_ids(2, T, 4, V), OPTIONS.get(name, {})
    how = {"max_new_tokens": FEW, "num_beams": 3, "num_return_sequences": 3}
    got = model.generate(ids, cache_implementation=name, cache_config=options, **how)
    assert torch.equal(got, torch.cat([by_hand(model, row[None], 3, name, options) for row in ids]))
    exact = model.generate(ids, use_cache=False, **how)
    assert torch.equal(got, exact) != CACHES[name].lossy, "2 bits are few enough to be noticed, and only they"


@pytest.mark.parametrize("name", [name for name in CACHES if not CACHES[name].needs_window and name != "none"])
def test_a_cache_that_is_handed_in_has_the_rows_of_the_beams_then(name):
    model, ids, mask = random_gpt(2, vocab_size=V), random_ids(3, T, 4, V), left_padding([0, 2, 4], T)
    how = {"max_new_tokens": NEW, "num_beams": 3, "num_return_sequences": 3}
    want = model.generate(ids, mask, **how)
    cache = make_cache(name, model.config, batch_size=3, dtype=torch.float64)
    model.generate(ids[:, :-4], mask[:, :-4], max_new_tokens=1, cache=cache)
    assert torch.equal(model.generate(ids, mask, cache=cache, **how), want)
    assert torch.equal(cache.ids, want[:, :-1])  # no text has ended before its time, so the beams are what is returned
    going_on = torch.cat([mask.repeat_interleave(3, 0), torch.ones(9, NEW, dtype=torch.int64)], 1)
    more = model.generate(want, going_on, max_new_tokens=4, cache=cache)
    assert torch.equal(more, model.generate(want, going_on, max_new_tokens=4))


def test_the_texts_of_beams_can_be_trained_on():
    model = random_gpt(2, vocab_size=V)
    text = model.generate(random_ids(2, T, 4, V), max_new_tokens=5, num_beams=3, eos_token_id=EOS)
    assert not text.is_inference()
    model.train()(text[:, :-1]).square().mean().backward()
    assert model.wte.weight.grad.abs().sum() > 0


def test_a_cache_after_beams_holds_other_texts_than_the_best():
    """Or else generate's warning would be for nothing: a copy that was kept goes on, this one is refused."""
    model, ids = random_gpt(2, vocab_size=V), random_ids(1, T, 4, V)
    cache = make_cache("dynamic", model.config, dtype=torch.float64)
    model.generate(ids[:, :-1], max_new_tokens=1, cache=cache)
    searched = copy.deepcopy(cache)
    text = model.generate(ids, max_new_tokens=5, num_beams=3, cache=searched)
    assert searched.batch_size == 3
    with pytest.raises(CacheError, match="made for batch_size 3, got 1 rows"):
        model.generate(text, max_new_tokens=4, cache=searched)
    assert same(model.generate(text, max_new_tokens=4, cache=cache), model.generate(text, max_new_tokens=4))


def test_the_command_writes_the_best(capsys):
    prompt = "ROMEO."
    assert main(["generate", prompt, "--new-tokens", "12", "--num-beams", "4"]) == 0
    ids = torch.tensor([load_tokenizer("recall").encode(prompt).ids])
    best = GPT.from_pretrained("recall").generate(ids, max_new_tokens=12, num_beams=4)[0]
    assert capsys.readouterr().out == load_tokenizer("recall").decode(best.tolist()) + "\n"


# --- several texts a row that are drawn ---


@pytest.mark.parametrize("pads", PADS)
def test_several_drawn_texts_equal_transformers_for_the_same_seed(pads, pairs):
    how = {
        "max_new_tokens": NEW,
        "do_sample": True,
        "num_return_sequences": 4,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
    }
    for seed, (theirs, ours) in pairs.items():
        ids, mask = random_ids(3, T, seed, V), left_padding(PADS[pads], T)
        torch.manual_seed(seed)
        want = theirs.generate(ids, attention_mask=mask, **how)
        for options in ({}, {"use_cache": False}, {"cache_implementation": "static"}):
            assert same(ours.generate(ids, mask, seed=seed, **how, **options), want)
        assert len(want[:4].unique(dim=0)) == 4


# --- seeded bugs ---

MUTANTS = {  # what goes wrong: (where, what stands there, what the bug makes of it)
    "beams read each other's rows": ("__call__", "self.cache.select(beams)", "self.cache.select(beams.sort().values)"),
    "the cache stays as it was": ("__call__", "self.cache.select(beams)", "pass"),
    "the text stays as it was": ("__call__", "self.text.copy_(self.text[beams])", "pass"),
    "beams of another row are read": ("__call__", "first + places //", "first.flip(0) + places //"),
    "all beams start alike": ("__init__", "self.scores[:, 0] = 0", "self.scores[:] = 0"),
    "beams are scored by their last token alone": ("__call__", "self.rank(", "self.scores *= 0; self.rank("),
    "logits are summed": ("__call__", "logits.log_softmax(-1)", "logits"),
    "a text goes on after its end": ("__call__", "scores.masked_fill(ends, -torch.inf)", "scores"),
    "only two continuations are looked at": ("__call__", "max(2, 1 + len(self.eos))", "2"),
    "the length penalty counts the prompt": ("__call__", "(self.end - self.prompt) **", "self.end **"),
    "the length penalty leaves out the end": ("__call__", "(self.end - self.prompt)", "(self.end - self.prompt - 1)"),
    "hopes count the prompt": ("rank", "else self.end) - self.prompt", "else self.end)"),
    "any end is taken": ("__call__", "ends[:, : self.count]", "ends"),
    "a row that is done takes more": ("rank", "if not self.done[row]", "if True"),
    "a row is done with one text": ("rank", "len(best) == self.count and", "len(best) >= 1 and"),
    "a row is done as soon as it is full": ("rank", "self.early_stopping is True", "self.early_stopping is not None"),
    "a row is done only when nothing can be better": ("rank", "self.early_stopping is True", "False"),
    "never is no more than False": ("rank", 'self.early_stopping == "never"', "False"),
    "the worst come first": ("rank", "-each[0]", "each[0]"),
}  # fmt: skip
SITUATIONS = [(seed, pads, way) for seed, pads in enumerate(PADS) for way in WAYS[::5]]


@pytest.fixture(scope="module")
def wanted(pairs):
    """What transformers finds in each situation."""
    return [search(pairs[seed][0], seed, pads, **way) for seed, pads, way in SITUATIONS]


def first_difference(pairs, wanted):
    """The first situation in which ours finds something else, or fails."""
    for (seed, pads, way), want in zip(SITUATIONS, wanted, strict=True):
        try:
            got = search(pairs[seed][1], seed, pads, **way)
        except (NameError, AttributeError):
            raise  # the mutant itself is broken, and proves nothing
        except Exception as error:
            return error
        if not same(got, want):
            return seed, pads, way
    return None


@pytest.mark.parametrize("what", MUTANTS)
def test_transformers_shows_that(what, pairs, wanted, monkeypatch):
    where, old, new = MUTANTS[what]
    mutate(monkeypatch, Beams, where, old, new)
    assert first_difference(pairs, wanted) is not None, f"nothing noticed that {what}"


def test_transformers_lets_a_harmless_change_pass(pairs, wanted, monkeypatch):
    """Or else a comparison that always fails would show every bug."""
    mutate(monkeypatch, Beams, "rank", "-each[0]", "0 - each[0]")
    assert first_difference(pairs, wanted) is None


def test_never_looks_no_further_than_now_where_length_is_punished(tmp_path, monkeypatch):
    """It makes a difference in one of 18,000 random texts, which is among these."""
    ours = spread(random_gpt(vocab_size=V, context=40, n_head=2, n_embd=16), 86, std=0.8)
    ours.save_pretrained(tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float64)
    ids, way = random_ids(16, 3, 86, V), {"num_beams": 3, "eos_token_id": [3, 7], "pad_token_id": PAD}
    way |= {"max_new_tokens": 24, "num_return_sequences": 3, "length_penalty": -1.0, "early_stopping": "never"}
    want = theirs.generate(ids, attention_mask=torch.ones_like(ids), **way)
    assert same(ours.generate(ids, **way), want)
    mutate(monkeypatch, Beams, "rank", "and self.penalty > 0", "")
    assert not same(ours.generate(ids, **way), want)
