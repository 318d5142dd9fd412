"""One of several processes that run the conformance suite together: `conformance.py heads positions`, or one of them.

Each check is run as it is. What is exchanged: the model is cut, the caches are of one process, and the oracle is the
whole model. Prints, for each way, how many checks held, and how many seeded bugs were noticed of how many.
"""

import sys

import pytest
import torch
from mutants import mutate

from minigpt.cache import CACHES
from minigpt.cache.sharded import ShardedCache
from minigpt.parallel import by_heads, by_positions, heads, joining, positions, together
from minigpt.proof import oracles, situations
from minigpt.proof.suite import all_checks
from minigpt.proof.texts import schedule_equals_uncached

WHOLE = {}  # of each cut model
BLOCK = 2
KINDS = {  # those on which a cut can bear
    "heads": ["verbs", "schedule"],
    "positions": ["capacity", "conversations", "nbytes", "goes on", "verbs", "gaps", "crop", "solo", "schedule"],
}


def exchange(patch, cut, group):
    """From here on the suite's models are cut."""
    make_whole, one_pass, rounding = situations.random_model, oracles.one_pass, oracles.uncached_reading_rounded

    def random_model(config):
        whole = make_whole(config)
        part = cut(whole, group)
        WHOLE[part] = whole
        return part

    patch.setattr(situations, "random_model", random_model)
    patch.setattr(oracles, "one_pass", lambda gpt, *text: one_pass(WHOLE[gpt], *text))
    patch.setattr(oracles, "ORACLES", dict.fromkeys(oracles.ORACLES, lambda gpt, *rest: rounding(WHOLE[gpt], *rest)))


def shard(patch, group):
    """From here on the suite's caches keep a part of the text."""

    def make_cache(name, config, **options):
        return ShardedCache(CACHES[name], config, part=group.part, parts=group.count, block=BLOCK, **options)

    patch.setattr(situations, "make_cache", make_cache)


def chosen(names, kinds):
    """The checks of these caches, each on the first model that it knows and on the last (a replay of all verbs takes
    long: on the last); of the many schedules, those with chunks of all sizes and heads in groups."""
    found = {}
    for kind, check, arguments in all_checks():
        one = {"schedule": ("GQA", "ragged left padding", "mixed"), "verbs": (0,)}.get(kind, ())
        if kind in kinds and arguments[0] in names and arguments[len(arguments) - len(one) :] == one:
            found.setdefault((kind, arguments[0]), []).append((check, arguments))
    return [each for (kind, _), of in found.items() for each in (of[-1:] if kind == "verbs" else of[:1] + of[1:][-1:])]


def notices(owner, name, old, new, arguments):
    """Whether a check fails once a piece of code says `new` for `old`."""
    situations.model.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch, owner, name, old, new, namespaces=[heads, positions])
        try:
            schedule_equals_uncached(*arguments)
        except AssertionError:
            return True
        finally:
            situations.model.cache_clear()
    return False


BUGS = {
    "heads": [
        (heads, "sort_by_process", "zip(q, k, v, strict=True)", "zip(q, v, k, strict=True)"),
        (heads, "sort_by_process", "zip(q, k, v, strict=True)", "(q, k, v)"),
    ],
    "positions": [
        (joining, "joined", "lse.softmax(0)", "torch.ones_like(lse) / len(lse)"),
        (joining, "joined", "lse.softmax(0)", "torch.softmax(2 * lse, 0)"),
        (joining, "attend_to_part", "/ math.sqrt(D)", "/ D"),
    ],
}


def conformance(way, group, patch):
    cut = {"heads": lambda *how: by_heads(*how), "positions": lambda *how: by_positions(*how)}[way]
    situations.model.cache_clear()
    exchange(patch, cut, group)
    names = [name for name in CACHES if name != "none"]
    if way == "positions":
        shard(patch, group)
        names = ["dynamic", "static"]
    held = 0
    for check, arguments in chosen(names, KINDS[way]):
        check(*arguments)
        held += 1
    plain = ("dynamic", "full", "GQA", "ragged left padding", "mixed")
    noticed = [notices(*bug, plain) for bug in BUGS[way]] if group.count > 1 else []
    print(way, held, sum(noticed), len(noticed))


def main(*ways):
    torch.set_num_threads(1)
    with together() as group:
        for way in ways:
            with pytest.MonkeyPatch.context() as patch:
                conformance(way, group, patch)


if __name__ == "__main__":
    main(*sys.argv[1:])
