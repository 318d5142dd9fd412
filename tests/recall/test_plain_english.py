"""Questions in plain English: what they hold, and that a model is right where it knows the fact, and only there."""

import re

import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.pretrained import load_tokenizer
from minigpt.recall.corpus import NAMES, THINGS
from minigpt.recall.plain_english import BINS, ROOM, STEM, PlainEnglish, recall_in_plain_english

COUNT = 40
SIZES = {"vocab_size": 1100, "n_layer": 1, "n_head": 1, "n_embd": 8}


@pytest.fixture(scope="module")
def tokenizer():
    """The bundled one, with the words of a fact as tokens: its own are much shorter than a real model's."""
    tokenizer = load_tokenizer("recall")
    tokenizer.add_tokens([AddedToken(word) for word in [*STEM.format(name="").split(), " of", "Question", "Answer"]])
    return tokenizer


@pytest.fixture(scope="module")
def ask(tokenizer):
    return PlainEnglish(tokenizer)


@pytest.mark.parametrize(("low", "high"), BINS[:3])
def test_a_question_is_about_one_fact_at_its_distance(low, high, ask, tokenizer):
    rng, ranks = np.random.default_rng(0), []
    for _ in range(COUNT):
        question = ask.question(rng, low, high)
        prompt = question.prompt[0].tolist()
        text = tokenizer.decode(prompt)
        facts = re.findall(r"^The secret word of (\w+) is (\w+)\.$", text, re.MULTILINE)
        (asked,) = re.findall(
            r"\nQuestion: What is the secret word of (\w+)\?\nAnswer: The secret word of \1 is$", text
        )
        names, words = zip(*facts, strict=True)
        assert len(set(names)) == len(set(words)) == len(facts) == question.facts
        assert set(names) <= set(NAMES)
        assert set(words) <= set(THINGS)
        place = len(prompt) - question.distance
        assert low <= question.distance <= high
        assert place <= ROOM
        assert prompt[place] == question.answer
        assert tokenizer.decode(prompt[place:]).startswith(f" {dict(facts)[asked]}.")
        assert tokenizer.decode(prompt[-question.asks :]).startswith("Question: What")
        ranks.append(names.index(asked) / (len(names) - 1))
    assert 0.35 < np.mean(ranks) < 0.65  # the asked one is anywhere among them


class Oracle(GPT):
    """Looks up which word was told of the name that is asked for, if that is at most `reach` tokens back."""

    def __init__(self, tokenizer, reach):
        super().__init__(GPTConfig(**SIZES, context=BINS[2][1] + ROOM))
        self.tokenizer, self.reach = tokenizer, reach

    def hidden(self, ids, positions, cache):
        self.ids = ids[0].tolist()
        return torch.zeros(*ids.shape, 8)

    def lm_head(self, x):
        text = self.tokenizer.decode(self.ids)
        stem = text[text.rindex("The secret word") :]
        told = self.tokenizer.encode(text[: text.index(stem) + len(stem)]).ids
        logits = torch.zeros(1, SIZES["vocab_size"])
        logits[0, self.ids[len(told)]] = float(len(self.ids) - len(told) <= self.reach)
        return logits


def test_right_is_what_the_fact_says(tokenizer):
    right, chance = recall_in_plain_english(Oracle(tokenizer, reach=700), tokenizer, questions=COUNT)
    assert list(right) == list(chance) == [250, 500, 1000]
    assert right[250] == right[500] == 1
    ask, rng = PlainEnglish(tokenizer), np.random.default_rng((0, *BINS[2]))
    asked = [ask.question(rng, *BINS[2]) for _ in range(COUNT)]
    assert 0 < right[1000] == np.mean([each.distance <= 700 for each in asked]) < 1
    assert chance[1000] == pytest.approx(np.mean([1 / each.facts for each in asked]))


def test_a_model_that_reads_too_little_or_tokens_that_are_too_short_are_told(tokenizer, ask):
    short = GPT(GPTConfig(**SIZES, context=BINS[0][1] + ROOM - 1))
    with pytest.raises(ValueError, match="take 550 tokens, the context is 549"):
        recall_in_plain_english(short, tokenizer)
    with pytest.raises(ValueError, match="distances 1 to 30 leave no room"):
        ask.question(np.random.default_rng(0), 1, 30)
