"""A story, told to a cache, beside the plain text that it should hold: each answer is held to an uncached one."""

import math

import torch

from minigpt.proof.sameness import TOLERANCE
from minigpt.proof.scripts import LONGEST, MOST_ROWS, SEED, Script
from minigpt.proof.situations import text

PAD = -1  # in a text, stands for an id


class NotOfferedError(Exception):
    """The cache has no such verb."""


class WronglyToldError(Exception):
    """An answer is not that of the uncached run."""

    def __init__(self, off: float | None, token: int):
        self.off, self.token = off, token


class Telling:
    """driver: the cache and its model. text: the ids (B, T) that it should hold, PAD where there is padding. history:
    as in oracles.py. off: the largest difference so far. fed: whether it has ever taken a token."""

    def __init__(self, house, rule: str, pads: list[int]):
        self.stream, _ = text([0] * MOST_ROWS, LONGEST, SEED)
        for row, count in enumerate(pads):
            self.stream[row, :count] = PAD
        self.script = Script(house, rule, pads)
        self.new = lambda: house.driver(rule, len(pads))
        self.driver = self.new()
        self.text = self.stream[: len(pads), :0]
        self.history: list[int] = []
        self.at, self.off, self.fed = 0, 0.0, False
        self.others: list = []

    def feed(self, count):
        got = self.answers(count)
        self.compare(got, self.driver.uncached(self.text, self.history)[:, -count:])

    def decode(self, count):
        """One token at a time, held to one uncached run: what comes behind a token changes nothing before it."""
        start, n = self.at, len(self.text)
        longer = torch.cat([self.text, self.stream[:n, start : start + count]], dim=1)
        want = self.driver.uncached(longer, [*self.history, *[1] * count])[:, -count:]
        for token in range(count):
            self.compare(self.answers(1), want[:, token : token + 1])

    def answers(self, count):
        """The answers to the next tokens, of each row so many."""
        new = self.stream[: len(self.text), self.at : self.at + count]
        self.script.feed(self.at, count, len(self.text))
        self.at += count
        longer = torch.cat([self.text, new], dim=1)
        got = self.driver.feed(new, longer)
        self.text, self.history, self.fed = longer, [*self.history, count], True
        return got

    def compare(self, got, want):
        """To what the newest tokens should be answered."""
        new = self.text[:, -got.shape[1] :]
        off = (got - want).abs().amax(-1).masked_fill(new == PAD, 0)
        wrong = ~(off <= self.allowed(new.shape[1]))  # so that NaN is wrong
        if wrong.any():
            first = int(wrong.any(0).nonzero()[0])
            raise WronglyToldError(off.max().item(), self.text.shape[1] - new.shape[1] + first)
        self.off = max(self.off, off.max().item())

    def allowed(self, count: int) -> float:
        """How far off an answer may be. One that rounds, and has no oracle, is held to the exact answer in its first
        chunk alone; from then on what it is off by is told, not judged, unless it is no number."""
        judged = not self.driver.rounds or count == self.text.shape[1]
        return TOLERANCE if judged else math.inf

    def fill(self, left):
        """Up to the last slot, or to so many fewer."""
        if self.driver.capacity is None:
            raise NotOfferedError
        self.feed(self.driver.capacity + left - self.text.shape[1])

    def crop(self, count):
        self.script.do("crop", -count)
        self.driver.crop(-count)
        self.keep_first(max(0, self.text.shape[1] - count))

    def keep(self, count):
        self.script.do("crop", count)
        self.driver.crop(count)
        self.keep_first(count)

    def keep_first(self, left: int):
        taken = self.text.shape[1] - left
        self.text, self.history = self.text[:, :left], [*self.history, -taken] if left else []

    def select(self, *rows):
        self.choose("select", list(rows), list(rows))

    def reorder(self, *rows):
        self.choose("reorder", list(rows), list(rows))

    def repeat(self, times):
        self.choose("repeat", times, [row for row in range(len(self.text)) for _ in range(times)])

    def choose(self, verb: str, given, rows: list[int]):
        self.script.do(verb, given, rows)
        getattr(self.driver, verb)(given)
        if max(rows) >= len(self.text):  # there is no such row
            raise WronglyToldError(None, self.text.shape[1])
        self.text = self.text[rows]

    def reset(self):
        self.script.do("reset")
        self.driver.reset()
        self.text, self.history = self.text[:, :0], []

    def fork(self):
        self.script.do("fork")
        copied = self.driver.fork()
        self.driver, self.others = copied, [(self.driver, self.text, self.history)]

    def another(self):
        self.script.another()
        new = self.new()
        self.others = [(self.driver, self.text, self.history)]
        self.driver, self.text, self.history = new, self.text[:, :0], []

    def swap(self):
        self.script.do("swap")
        ((driver, text, history),) = self.others
        self.others = [(self.driver, self.text, self.history)]
        self.driver, self.text, self.history = driver, text, history

    def strangers(self, rows):
        """One token for each of so many rows, which are not those of the cache."""
        new = self.stream[:rows, self.at : self.at + 1]
        self.script.feed(self.at, 1, rows)
        self.driver.feed(new, torch.cat([self.text[:rows], new], dim=1))
        raise WronglyToldError(None, self.text.shape[1])

    def generate(self, length):
        """After another text, which the cache doesn't hold, the new tokens are those that follow it, or none."""
        other = self.stream[len(self.text) : 2 * len(self.text), :length]
        self.script.generate(len(self.text), length)
        got = self.driver.generate(other)
        # One that rounds may choose other tokens than an uncached run: not than a new cache.
        want = self.new().generate(other) if self.driver.rounds else self.driver.generate_uncached(other)
        if got.shape != want.shape or not torch.equal(got, want):
            same = (got[:, : want.shape[1]] == want[:, : got.shape[1]]).all(0).long()
            raise WronglyToldError(None, int(same.cumprod(0).sum()))
        self.text = got[:, :-1]  # the last one was never fed
