"""Passages in plain English and the lines that are begun again: what they hold, and that a model is right where it
remembers, and only there."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.recall.corpus import VOCABULARY
from minigpt.recall.plain_english import BINS, CUE, EACH, REST, PlainEnglish, Recital
from minigpt.recall.reading import SEGMENT, read, recall_in_plain_english, unread

SIZES = {"vocab_size": VOCABULARY, "n_layer": 1, "n_head": 1, "n_embd": 8}
SHORT = BINS[:2]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("recall")


@pytest.fixture(scope="module")
def play(tokenizer):
    return PlainEnglish(tokenizer)


@pytest.mark.parametrize("number", [0, 1, 60])  # the last goes round the play
def test_a_recital_begins_a_line_of_each_bin_again(number, play, tokenizer):
    passage = play.passage(0, number, BINS[:3])
    ids = passage.ids[0].tolist()
    assert len(ids) == len(passage.nbytes) == BINS[2][1]
    lines = []
    for recital in passage.recitals:
        asked = recital.asked[0].nonzero()[:, 0].view(-1, REST).tolist()
        assert len(asked) == len(recital.distances) == 3
        for places, distance, (low, high) in zip(asked, recital.distances, BINS, strict=False):
            assert places == list(range(places[0], places[0] + REST))
            back = len(ids) + places[0] - distance  # where it stands
            again = recital.ids[0, places[0] - CUE : places[0] + REST].tolist()
            assert low <= distance <= high
            assert again == ids[back - CUE : back + REST]
            assert back == CUE or tokenizer.decode(ids[: back - CUE]).endswith("\n")
            assert "\n" not in tokenizer.decode(again)
            lines.append(back)
    assert len(set(lines)) == 3 * EACH


def test_bytes_are_those_of_the_passage(play, tokenizer):
    passage = play.passage(0, 0, SHORT)
    assert int(passage.nbytes.sum()) == len(tokenizer.decode(passage.ids[0].tolist()).encode())


def test_passages_follow_each_other_and_one_is_made_again(play):
    both = torch.cat([play.passage(seed, number, SHORT).ids for seed, number in ((0, 0), (1, 1))], dim=1)
    assert torch.equal(both[0], play.ids[: both.shape[1]])
    one, again, other = (play.passage(seed, 0, SHORT).recitals for seed in (0, 0, 1))
    assert torch.equal(one[0].ids, again[0].ids)
    assert not torch.equal(one[0].ids, other[0].ids)


class Looks(GPT):
    """Predicts what came after the last CUE tokens where they stood before, if that is at most `reach` tokens back."""

    def __init__(self, reach):
        super().__init__(GPTConfig(**SIZES, context=SHORT[-1][1] + 100))
        self.reach = reach

    def hidden(self, ids, positions, cache):
        self.ids = ids[0].tolist()
        return torch.zeros(*ids.shape, 8)

    def lm_head(self, x):
        logits = torch.zeros(*x.shape[:2], VOCABULARY)
        logits[..., -1] = 1e-9  # the likeliest where nothing is found, and no word of the play
        for end in range(CUE, len(self.ids) + 1):
            cue = self.ids[end - CUE : end]
            for back in range(max(CUE, end - self.reach), end):
                if self.ids[back - CUE : back] == cue:
                    logits[0, end - 1, self.ids[back]] = 9.0
        return logits


def test_right_is_what_the_line_said(tokenizer, play):
    right, guessed, bits = recall_in_plain_english(Looks(reach=400), tokenizer, passages=2)
    assert list(right) == list(guessed) == [250, 500]
    assert right[250] == 1
    assert guessed[250] == guessed[500] == 0
    far = [recital.distances[1] <= 400 for number in (0, 1) for recital in play.passage(0, number, SHORT).recitals]
    assert 0 < np.mean(far) < 1
    assert right[500] == pytest.approx(np.mean(far), abs=0.03)  # a few words stand twice, with others after them
    assert bits > 8 * 0.2


def test_bits_are_those_of_the_passage_but_its_first_token(play):
    passage = play.passage(0, 0, SHORT)
    none = Looks(reach=0)  # to which all tokens are as likely
    reading, tokens = read(none, passage), passage.ids.shape[1] - 1
    assert len(reading.bits) == len(reading.nbytes) == -(-tokens // SEGMENT)
    assert sum(reading.bits) == pytest.approx(tokens * math.log2(VOCABULARY))
    assert sum(reading.nbytes) == int(passage.nbytes[1:].sum())
    assert reading.right == unread(none, passage) == [[0] * EACH] * 2


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    sizes = SIZES | {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_inner": 24}
    model = Llama(LlamaConfig(**sizes, context=700))
    for weights in model.parameters():
        weights.data *= 8  # so that tokens matter to each other
    return model.eval()


def test_a_reading_through_a_cache_is_the_uncached_one_and_no_recital_stays_in_it(play, llama):
    passage = play.passage(0, 0, SHORT)
    own = replace(passage, recitals=[goes_on(llama, passage.ids, each) for each in passage.recitals[:4]])
    plain, cached = read(llama, own), read(llama, own, "dynamic")
    assert cached.bits == pytest.approx(plain.bits, rel=1e-4)
    assert cached.nbytes == plain.nbytes
    assert cached.right == plain.right == [[REST] * 4]
    assert sum(unread(llama, own)[0]) < 4 * REST  # a model that cares for what came before


def goes_on(model, ids, recital):
    """The recital's first cue, and what the model itself says after it."""
    first = int(recital.asked[0].nonzero()[0])
    text = torch.cat([ids, recital.ids[:, :first]], dim=1)
    said = model.generate(text, max_new_tokens=REST, use_cache=False)[:, ids.shape[1] :]
    return Recital(said, recital.asked[:, : said.shape[1]], recital.distances[:1])


def test_rounding_and_windows_change_what_is_predicted(play, llama):
    passage = play.passage(0, 0, SHORT)
    exact = read(llama, passage, "dynamic")
    rounding = {"nbits": 1, "residual_length": 0, "q_group_size": 8}
    for other in (
        read(llama, passage, "quantized", **rounding),
        read(llama.with_window(40), passage, "sliding_window"),
    ):
        assert exact.nbytes == other.nbytes
        assert max(abs(a - b) for a, b in zip(exact.bits, other.bits, strict=True)) > 0.01


def test_what_has_no_room_is_told(tokenizer, play):
    short = GPT(GPTConfig(**SIZES, context=BINS[0][1] + 99))
    with pytest.raises(ValueError, match="takes 350 tokens, the context is 349"):
        recall_in_plain_english(short, tokenizer)
    with pytest.raises(ValueError, match=r"30 tokens have \d lines to begin again at 1 to 30, 8 are wanted"):
        play.passage(0, 0, [(1, 30)])
