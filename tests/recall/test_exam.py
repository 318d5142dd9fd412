"""Recall and bits per byte, against figures computed another way."""

import math

import numpy as np
import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.recall.corpus import Text, held_out
from minigpt.recall.exam import bits_per_byte, chance_by_distance, recall_by_distance
from minigpt.recall.questions import BINS, questions

EDGES = [50, 100, 150, 200, 250, 300, 350, 400]
SIZES = {"vocab_size": 1024, "context": 512, "n_layer": 1, "n_head": 1, "n_embd": 8}


class Oracle(GPT):
    """Knows the facts: after `[Give NAME` it names what was told, elsewhere it has no idea at all.

    It answers only if the asked fact lies at most `reach` tokens back.
    """

    def __init__(self, reach):
        super().__init__(GPTConfig(**SIZES))
        self.reach = reach

    def hidden(self, ids, positions, cache):
        cache.admit(positions, ids)
        logits = torch.zeros(*ids.shape, self.config.vocab_size)
        for row, tokens in enumerate(ids.tolist()):
            if tokens[-1] in held_out().names:
                value = tokens.index(tokens[-1]) + 1
                logits[row, -1, tokens[value]] = float(len(tokens) - value <= self.reach)
        return logits

    def lm_head(self, x):
        return x


def test_recall_is_the_share_of_answers_by_distance():
    recall = recall_by_distance(Oracle(reach=225), questions=40)
    assert list(recall) == EDGES
    for (low, high), share in zip(BINS, recall.values(), strict=True):
        near = questions(0, (low, high), 40).distances <= 225
        assert share == near.float().mean()
    assert 0 < recall[250] < 1


def test_chance_stands_beside_it():
    chance = chance_by_distance(questions=40, seed=3)
    assert list(chance) == EDGES
    for (low, high), share in zip(BINS, chance.values(), strict=True):
        assert share == pytest.approx(np.mean(1 / questions(3, (low, high), 40).facts.numpy()))


def test_no_idea_at_all_is_the_logarithm_of_the_vocabulary():
    play = held_out()
    counted = np.arange(len(play.ids)) % 512 != 0  # the first token of a segment can't be predicted
    bits, nbytes = counted.sum() * math.log2(1024), play.nbytes[play.ids[counted]].sum()
    assert bits_per_byte(Oracle(reach=0)) == pytest.approx(bits / nbytes, rel=1e-6)


@pytest.mark.parametrize("length", [2, 47, 48, 49, 50, 101])
def test_bits_per_byte_of_every_length(length):
    """Token by token, each from the text before it in its segment of 48."""
    play = held_out()
    torch.manual_seed(0)
    model = GPT(GPTConfig(**{**SIZES, "context": 48})).eval()
    bits = nbytes = 0.0
    for start in range(0, length, 48):
        ids = torch.from_numpy(play.ids[start : min(start + 48, length)].astype("int64"))
        for place in range(1, len(ids)):
            with torch.no_grad():
                logits = model(ids[None, :place])[0, -1]
            bits -= float(logits.log_softmax(-1)[ids[place]]) / math.log(2)
            nbytes += float(play.nbytes[ids[place]])
    text = Text(play.ids[:length], play.words, play.nbytes, play.ends_line)
    assert bits_per_byte(model, text=text) == pytest.approx(bits / nbytes, rel=1e-5)


@pytest.mark.parametrize("cache", ["concat", "dynamic", "static"])
def test_an_exact_cache_changes_neither_figure(cache):
    model = GPT.from_pretrained("recall")
    assert recall_by_distance(model, cache, questions=2, seed=1) == recall_by_distance(model, questions=2, seed=1)
    play = held_out()
    text = Text(play.ids[:1300], play.words, play.nbytes, play.ends_line)
    assert bits_per_byte(model, cache, text) == pytest.approx(bits_per_byte(model, text=text), rel=1e-5)


def test_the_text_goes_through_the_cache_and_the_question_comes_last():
    lengths = []
    model = GPT(GPTConfig(**SIZES)).eval()
    model.ln_f.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    recall_by_distance(model, "dynamic", questions=4)
    assert lengths == [*[64] * 7, 54, 2] * 2, "4 questions at 8 distances: 24 rows, then 8"
    assert sum(lengths[:9]) == 504


def test_options_reach_the_cache_and_a_wrong_one_is_refused():
    model = GPT(GPTConfig(**SIZES)).eval()
    recall_by_distance(model, "static", questions=1, max_cache_len=504)
    with pytest.raises(RuntimeError, match=r"needs 502 slots .* has 400"):
        recall_by_distance(model, "static", questions=1, max_cache_len=400)
    with pytest.raises(ValueError, match="no option window"):
        bits_per_byte(model, "static", window=3)
