"""Memory questions in plain English, for a model that was never taught the bundled one's: a play strewn with facts, and
a question about one of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from minigpt.cache import cache_options
from minigpt.cache_arguments import new_cache
from minigpt.generate import next_logits
from minigpt.recall.corpus import NAMES, THINGS, WEIGHTS, held_out
from minigpt.recall.exam import CHUNK
from minigpt.recall.questions import FACTS

STEM, END = "The secret word of {name} is", ".\n"  # of a fact, around its word
QUESTION = "Question: What is the secret word of {name}?\nAnswer: "  # and the stem once more
BINS = [(1, 250), (251, 500), (501, 1000), (1001, 2000), (2001, 4000)]  # tokens from a fact's word to the answer
BEFORE = 100  # tokens of prose in front of the asked fact, at most
ROOM = 300  # tokens in front of the word that is asked for, at most


@dataclass(frozen=True)
class Question:
    """prompt: (1, T), its last `asks` tokens ask. answer: the token that should come next, its word's first. distance:
    tokens from the word in the asked fact to the answer. facts: how many are in view."""

    prompt: Int[Tensor, "1 T"]
    asks: int
    answer: int
    distance: int
    facts: int


class PlainEnglish:
    """Makes questions in a tokenizer's tokens. The play is The Tempest, whose people are not asked about."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        play = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")).decode(held_out().ids.tolist())
        self.lines = [self.encode(f"{line}\n") for line in play.splitlines() if line.strip()]
        stem = STEM.format(name=NAMES[0])
        begins = {thing: self.encode(f"{stem} {thing}")[len(self.encode(stem))] for thing in THINGS}
        self.words = [*{token: f" {thing}" for thing, token in begins.items()}.values()]  # no two begin alike

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def question(self, rng: np.random.Generator, low: int, high: int) -> Question:
        """One whose answer comes `low` to `high` tokens after the word that it repeats.

        All names and words are different; the fact asked for is the first, the second, ... the last told equally
        often, so that its place gives nothing away. Raises ValueError for a tokenizer whose tokens are too short.
        """
        count = int(rng.integers(FACTS[0], FACTS[1] + 1))
        rank = int(rng.integers(count))
        names = rng.choice(NAMES, count, replace=False).tolist()
        words = rng.choice(self.words, count, replace=len(self.words) < count).tolist()
        facts = [self.encode(STEM.format(name=name) + word + END) for name, word in zip(names, words, strict=True)]
        asks = self.encode((QUESTION + STEM).format(name=names[rank]))
        told = len(self.encode(STEM.format(name=names[rank])))  # tokens of the asked fact in front of its word

        without_prose = len(facts[rank]) - told + sum(map(len, facts[rank + 1 :])) + len(asks)
        least = max(low + max(map(len, self.lines)), without_prose)
        if least > high or len(set(words)) < count:
            raise ValueError(
                f"distances {low} to {high} leave no room for {count} facts in tokens as short as this model's"
            )
        first = int(rng.integers(len(self.lines)))
        before = self.prose(first, BEFORE)
        after = self.prose(first + len(before), int(rng.integers(least, high + 1)) - without_prose)
        front = [*strewn(rng, before, facts[:rank]), *facts[rank]]
        prompt = [*front, *strewn(rng, after, facts[rank + 1 :]), *asks]
        place = len(front) - len(facts[rank]) + told  # of the word
        return Question(torch.tensor([prompt]), len(asks), prompt[place], len(prompt) - place, count)

    def prose(self, first: int, room: int) -> list[list[int]]:
        """The lines of the play from there on, round and round, as many as have room."""
        lines: list[list[int]] = []
        while room >= len(line := self.lines[(first + len(lines)) % len(self.lines)]):
            lines.append(line)
            room -= len(line)
        return lines


def strewn(rng: np.random.Generator, lines: list[list[int]], facts: list[list[int]]) -> list[int]:
    """The tokens of the lines, with the facts among them in their order."""
    places = np.sort(rng.integers(0, len(lines) + 1, len(facts)))
    pieces = np.split(np.arange(len(lines)), places)
    ids = [token for at in pieces[0] for token in lines[at]]
    for fact, piece in zip(facts, pieces[1:], strict=True):
        ids += [*fact, *(token for at in piece for token in lines[at])]
    return ids


@torch.inference_mode()
def recall_in_plain_english(
    model,
    tokenizer: Tokenizer,
    cache: str = "none",
    questions: int = 20,
    seed: int = 0,
    on_question: Callable[[], None] = lambda: None,
    **options,
) -> tuple[dict[int, float], dict[int, float]]:
    """The share of memory questions answered right, and of those that a guess among the words in view gets right, for
    each bin of distance that the model can read, by its upper edge in tokens.

    An answer is right if the likeliest token of the whole vocabulary is the first of the word that the fact gave. The
    cache takes in the prompt in chunks, then the question.
    questions: for each bin. seed: other seeds are other questions. cache, options: as make_cache takes them.
    """
    ask = PlainEnglish(tokenizer)
    right, chance = {}, {}
    for low, high in bins_of(model):
        rng = np.random.default_rng((seed, low, high))
        asked = [ask.question(rng, low, high) for _ in range(questions)]
        count = 0
        for each in asked:
            count += answers(model, each, cache, options)
            on_question()
        right[high] = count / questions
        chance[high] = float(np.mean([1 / each.facts for each in asked]))
    return right, chance


def bins_of(model) -> list[tuple[int, int]]:
    """The bins whose prompts the model can read. Raises ValueError where there is none."""
    bins = [(low, high) for low, high in BINS if high + ROOM <= model.config.longest]
    if not bins:
        least = BINS[0][1] + ROOM
        raise ValueError(
            f"memory questions in plain English take {least} tokens, the context is {model.config.context}"
        )
    return bins


def answers(model, question: Question, name: str, options: dict) -> bool:
    """Whether the model, reading through the named cache, gives the answer."""
    prompt = question.prompt.to(model.device)
    if "chunk" in cache_options(name):  # a ring has slots for the tokens that are fed at once
        options = options | {"chunk": CHUNK}
    cache = new_cache(model, 1, prompt.shape[1], name, options)
    if cache.keeps:
        next_logits(model, prompt[:, : -question.asks], None, cache, CHUNK)
    return int(next_logits(model, prompt, None, cache, CHUNK).argmax()) == question.answer
