"""A cache beside the plain list of tokens that it should hold."""

import copy

import torch

from minigpt.attention import NEVER
from minigpt.cache import CacheError
from minigpt.proof.oracles import OPTIONS, expected
from minigpt.proof.sameness import assert_same, assert_same_text, assert_unchanged
from minigpt.proof.situations import new_cache, pieces, sizes

__tracebackhide__ = True  # a traceback shows the cache's lines, not those of its check


class Replay:
    """A cache beside the plain list of tokens that it should hold; each append is checked uncached."""

    def __init__(self, name, gpt, ids, positions, **options):
        self.name, self.gpt, self.options = name, gpt, {**OPTIONS.get(name, {}), **options}
        self.cache = new_cache(name, gpt, len(ids), self.options)
        self.history = []  # see oracles.py
        self.verbs = []  # all that was done, in words
        self.ids, self.positions = ids[:, :0], positions[:, :0]
        if ids.shape[1]:
            self.append(ids, positions)

    def append(self, ids, positions=None):
        if positions is None:
            last = self.positions[:, -1:] if self.ids.shape[1] else torch.full((len(ids), 1), -1)
            positions = torch.where(last == NEVER, -1, last) + 1 + torch.arange(ids.shape[1])
        with torch.no_grad():
            fed = pieces(self.cache, 0, ids.shape[1])
            got = torch.cat([self.gpt(ids[:, piece], positions[:, piece], self.cache) for piece in fed], dim=1)
            self.ids = torch.cat([self.ids, ids], dim=1)
            self.positions = torch.cat([self.positions, positions], dim=1)
            self.history += sizes(fed)
            self.verbs += map(str, sizes(fed))
            want = expected(self.name, self.gpt, self.ids, self.positions, self.history, self.options)
        first = self.ids.shape[1] - ids.shape[1]
        assert_same(got, want[:, first:], positions, f"fed {', '.join(self.verbs)}", first)
        self.check_book()

    def fork(self):
        twin = copy.copy(self)
        twin.cache, twin.history = copy.deepcopy(self.cache), [*self.history]
        twin.verbs = [*self.verbs, "fork (the copy)"]
        self.verbs.append("fork (the original)")
        return twin

    def crop(self, count):
        self.cache.crop(-count)
        self.history += [-count] if count else []
        self.verbs.append(f"crop {count}")
        keep = self.ids.shape[1] - count
        self.ids, self.positions = self.ids[:, :keep], self.positions[:, :keep]
        self.check_book()

    def crop_or_be_refused(self, count):
        """A ring may have overwritten what the next token would see, or a group be cut: then nothing changes."""
        before = copy.deepcopy(self.cache.state())
        try:
            self.crop(count)
        except CacheError:
            self.verbs.append(f"crop {count} (refused)")
            assert_unchanged(self.cache, before, f"refused crop of {count}")

    def select(self, rows):
        self.cache.select(rows)
        self.verbs.append(f"select {rows}")
        self.ids, self.positions = self.ids[rows], self.positions[rows]
        self.check_book()

    def reset(self):
        self.cache.reset()
        self.history = []
        self.verbs.append("reset")
        self.ids, self.positions = self.ids[:, :0], self.positions[:, :0]
        self.check_book()

    def refuse(self):
        """Calls that can't be done: each must say so and leave the cache as it was."""
        before = copy.deepcopy(self.cache.state())
        rows, length = self.ids.shape
        shape = (rows, 1, self.gpt.config.n_kv_head, self.gpt.config.head_size)
        calls = [
            lambda: self.cache.crop(1),
            lambda: self.cache.crop(-length - 1),
            lambda: self.cache.select([rows]),
            lambda: self.cache.select([-1]),
            lambda: self.cache.select([]),
            lambda: self.cache.admit(torch.full((rows, 1), -1)),
            lambda: self.cache.admit(torch.full((rows + 1, 1), 39)),
            lambda: self.cache.update(torch.zeros(shape).double(), torch.zeros(shape).double(), 0),
        ]
        if length:
            calls.append(
                lambda: self.cache.admit(self.positions[:, -1:].masked_fill(self.positions[:, -1:] == NEVER, -1))
            )
        if self.cache.capacity is not None:
            many = torch.arange(length, self.cache.capacity + 1).expand(rows, -1) + 100
            calls.append(lambda: self.cache.admit(many))
        self.verbs.append("refused calls")
        for number, call in enumerate(calls):
            try:
                call()
            except CacheError:
                assert_unchanged(self.cache, before, f"refused call {number}")
            else:
                raise AssertionError(f"call {number} was not refused")

    def check_book(self):
        assert_same_text(self.cache, self.ids, self.positions)
