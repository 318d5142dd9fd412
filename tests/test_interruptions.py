"""A verb may be cut off anywhere: the cache is as it was, or done, or says at its door what to do.

Every place is tried, one after the other, until the verb comes through. A place is a line of minigpt/cache, where
Ctrl-C strikes, or an operation of torch, which finds no memory.
"""

import contextlib
import copy
import itertools
import re
import sys
from pathlib import Path

import pytest
import torch
from helpers import as_for_a_user
from torch.utils._python_dispatch import TorchDispatchMode

import minigpt.cache
from minigpt.cache import CACHES, CacheError
from minigpt.proof.oracles import OPTIONS, expected
from minigpt.proof.sameness import assert_same, assert_unchanged, leaves
from minigpt.proof.situations import LIMITED, model, new_cache, pairs, pieces, rule_for, sizes, text

FOLDER = str(Path(minigpt.cache.__file__).parent)
CASES = [(name, rule) for name, rule in pairs() if rule == rule_for(name)]
CASES += [(name, rule) for name, rule in pairs() if CACHES[name].needs_window and rule == "hybrid with sinks"]


class Stop(KeyboardInterrupt):
    """Ctrl-C, and where."""


class NoMemoryError(RuntimeError):
    """What an operation of torch raises that finds none."""


@contextlib.contextmanager
def stop_at_line(number):
    """Ctrl-C before the line of minigpt/cache that is the number-th to be run."""
    lines = itertools.count()

    def inside(frame, event, _):
        if event == "line" and next(lines) == number:
            raise Stop(f"{frame.f_code.co_filename}, line {frame.f_lineno}")
        return inside

    before = sys.gettrace()
    sys.settrace(lambda frame, event, _: inside if frame.f_code.co_filename.startswith(FOLDER) else None)
    try:
        yield
    finally:
        sys.settrace(before)


class NoMemoryAtOperation(TorchDispatchMode):
    """No memory for the number-th operation."""

    def __init__(self, number):
        super().__init__()
        self.number, self.operations = number, itertools.count()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if next(self.operations) == self.number:
            raise NoMemoryError(str(operation))
        return operation(*args, **(kwargs or {}))


CUTS = {"line": stop_at_line, "operation": NoMemoryAtOperation}


class Held:
    """A text of which a cache holds all but its last chunks; fed these, it must give what its oracle gives."""

    def __init__(self, name, gpt, options, ids, positions, history, chunks):
        self.gpt, self.ids, self.positions = gpt, ids, positions
        self.logits = expected(name, gpt, ids, positions, [*history, *chunks], options)
        ends = [ids.shape[1] - sum(chunks[at:]) for at in range(len(chunks) + 1)]
        self.length, self.chunks = ends[0], [slice(*pair) for pair in itertools.pairwise(ends)]

    def is_in(self, cache):
        ids, positions = self.ids[:, : self.length], self.positions[:, : self.length]
        return torch.equal(cache.ids, ids) and torch.equal(cache.positions, positions)

    def goes_on_in(self, cache, note):
        assert self.is_in(cache), f"{note}: the cache holds another text"
        for chunk in self.chunks:
            ids, positions = self.ids[:, chunk], self.positions[:, chunk]
            assert_same(self.gpt(ids, positions, cache), self.logits[:, chunk], positions, note, chunk.start)


class Scene:
    """A cache that holds a text; it is `before` a verb, becomes what is `done`, or is emptied by reset().

    Of 10 tokens, so that the next 3 make a dynamic cache grow, go around a ring, and round a group; or of 13, one of
    them fed alone, so that a static one of 16 is nearly full, and a crop by 5 takes rounded blocks apart.
    """

    def __init__(self, name, rule, verb):
        self.gpt, plain = model(rule), rule == rule_for(name)
        ids, positions = text([0, 0] if plain else [0, 2], 16)
        other, counted = text([0, 0, 0], 16, seed=1)
        options = OPTIONS.get(name, {}) | ({"max_cache_len": 16} if name in LIMITED else {})
        self.cache = new_cache(name, self.gpt, 2, options)
        fed = [*pieces(self.cache, 0, 10), *(slice(at, at + 1) for at in range(10, 10 if verb == "pass" else 13))]
        for piece in fed:
            self.gpt(ids[:, piece], None if plain else positions[:, piece], self.cache)
        self.chunk = ids[:, 10:13], None if plain else positions[:, 10:13]

        def held(ids, positions, history, chunks):
            return Held(name, self.gpt, options, ids, positions, history, chunks)

        def parted(rows, left):
            """These rows up to there, then other tokens, at later positions: what is left behind there would show."""
            later = positions[rows, left - 1 : left] + 5 + counted[: len(rows), :3]
            return torch.cat([ids[rows, :left], other[: len(rows), :3]], 1), torch.cat(
                [positions[rows, :left], later], 1
            )

        self.emptied = held(other[:2, :4], counted[:2, :4], [], [3, 1])
        self.new = {rows: new_cache(name, self.gpt, rows, options).state() for rows in (2, 3)}
        self.before = held(ids, positions, sizes(fed), [3, 3] if verb == "pass" else [3])
        self.otherwise = held(*parted([0, 1], 10), sizes(pieces(self.cache, 0, 10)), [3])
        self.done = {
            "pass": lambda: held(ids, positions, [*sizes(fed), 3], [3]),
            "crop": lambda: held(*parted([0, 1], 8), [*sizes(fed), -5], [3]),
            "select": lambda: held(*parted([1, 1, 0], 13), sizes(fed), [3]),
            "reset": lambda: self.emptied,
            "copy": lambda: self.before,
        }[verb]()
        self.do = VERBS[verb]

    def is_sound(self, cache, note):
        """As before, or done, or refusing until its advice is followed; and then it goes on right."""
        self.slots_agree(cache, note)
        advice = told_at_the_door(cache, self.gpt)
        if not advice and self.before.is_in(cache):
            assert_unchanged(cache, self.cache.state(), note)
        assert_unchanged(emptied(cache), self.new[cache.batch_size], f"{note}, then reset()")
        if advice == "reset()":
            cache.reset()
        elif advice:
            cache.crop(int(advice))
            self.otherwise.goes_on_in(copy.deepcopy(cache), f"{note}, then crop({advice})")
        held = self.before if self.before.is_in(cache) else self.emptied if advice == "reset()" else self.done
        if held is self.emptied:
            assert_unchanged(cache, self.new[cache.batch_size], note)
        held.goes_on_in(cache, f"{note}, then {advice or 'on'}")

    def slots_agree(self, cache, note):
        """A layer has as many slots for keys as for values, unless they are rounded, in groups of their own."""
        for layer in range(0 if cache.lossy else len(cache.kv)):
            keys, values, *_ = cache.tensors(layer)
            slots = [[each.shape for _, each in leaves(kept)] for kept in (keys, values)]
            assert slots[0] == slots[1], f"{note}: layer {layer} has slots for {slots} keys and values"


def emptied(cache):
    """A copy of it after reset()."""
    cache = copy.deepcopy(cache)
    cache.reset()
    return cache


VERBS = {
    "pass": lambda cache, scene: scene.gpt(*scene.chunk, cache) is None or cache,
    "crop": lambda cache, scene: cache.crop(-5) or cache,
    "select": lambda cache, scene: cache.select([1, 1, 0]) or cache,
    "reset": lambda cache, scene: cache.reset() or cache,
    "copy": lambda cache, scene: copy.deepcopy(cache),
}
LEAST = {  # places: fewer, and the cuts don't strike where the cache works
    "line": {"pass": 120, "crop": 15, "select": 30, "reset": 20, "copy": 20},
    "operation": {"pass": 100, "crop": 2, "select": 10, "reset": 4, "copy": 20},
}
COUNTED = ("concat", "dynamic", "static", "sliding_window", "quantized", "offloaded", "offloaded_static")
LEAST_OF_OTHERS = {  # which may do with less; of the caches in blocks.py, one crops and resets without torch
    "line": {"pass": 100, "crop": 10, "select": 15, "reset": 15, "copy": 15},
    "operation": {"pass": 80, "crop": 0, "select": 5, "reset": 0, "copy": 10},
}


def told_at_the_door(cache, gpt) -> str:
    """What to do before the cache serves again: 'reset()', or the count of a crop; '' where it serves."""
    try:
        cache.serve(gpt, cache.batch_size)
    except CacheError as refusal:
        return re.search(r"(?<=crop\()-\d+(?=\) takes)|(?<=call )reset\(\)", str(refusal))[0]
    return ""


# A file that was opened just when it was interrupted is closed by the collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("name", "rule"), CASES)
@torch.no_grad()
@as_for_a_user()
def test_wherever_a_verb_is_cut_off_the_cache_is_sound(name, rule, verb, cut):
    scene = Scene(name, rule, verb)
    for place in range(2000):
        cache = copy.deepcopy(scene.cache)
        try:
            with CUTS[cut](place):
                cache = scene.do(cache, scene)
        except (Stop, NoMemoryError, CacheError) as error:
            scene.is_sound(cache, f"{cut} {place}: {error}")
        else:
            scene.done.goes_on_in(cache, "not cut off")
            break
    least = LEAST if name in COUNTED else LEAST_OF_OTHERS
    assert least[cut][verb] <= place < 1999, f"{place} places"
