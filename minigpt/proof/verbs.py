"""What is done to a cache between two chunks: after each verb it goes on as if only what is left had ever been fed."""

import copy
import itertools

import torch

from minigpt.cache import CacheFull
from minigpt.proof.replay import Replay
from minigpt.proof.sameness import assert_same, assert_unchanged, hold, leaves
from minigpt.proof.situations import WINDOW, model, new_cache, rule_for, text

__tracebackhide__ = True  # a traceback shows the cache's lines, not those of its check


def verbs_equal_a_replay(name, rule, seed):
    """A fixed round of append, crop, select and reset equals the uncached run over the tokens that survive."""
    gpt = model(rule)
    ids, positions = text([0, 4, 2], 30, seed)
    other, _ = text([0, 0, 0], 30, seed + 100)
    run = Replay(name, gpt, ids[:, :9], positions[:, :9])
    run.append(ids[:, 9:10])
    run.crop(3)
    run.append(other[:, :5])
    run.select([2, 0])
    run.append(other[:2, 5:6])
    run.select([1, 1, 0, 0])
    run.append(torch.cat([other[:, 6:8], other[:1, 8:10]]))
    run.crop(1)
    run.append(torch.cat([other[:, 10:13], other[1:2, 8:11]]))
    run.refuse()
    fork = run.fork()
    fork.append(torch.cat([other[:, 13:17], other[2:3, 8:12]]))
    run.append(torch.cat([other[:, 20:23], other[1:2, 20:23]]))
    for count in (2, 3, 5, 4):
        run.crop_or_be_refused(count)
        run.append(torch.cat([other[:, count : count + 1], other[1:2, :1]]))
    fork.append(torch.cat([other[:, 23:24], other[:1, 23:24]]))
    run.reset()
    run.append(other[:, :7].repeat(2, 1)[:4])
    run.append(other[:, 7:8].repeat(2, 1)[:4])


def a_crop_is_exact_or_refused(name, rule):
    """However many tokens are taken back, what follows equals the uncached run: or nothing is."""
    gpt, (ids, positions) = model(rule), text([0, 2], 25)
    for count in (1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 17):
        run = Replay(name, gpt, ids[:, :18], positions[:, :18])
        run.crop_or_be_refused(count)
        run.append(ids[:, 20:22])
        run.append(ids[:, 22:25])


def positions_may_have_gaps(name, rule):
    """Positions only have to rise, also after some tokens were taken back: slots of theirs must not be seen again."""
    gpt, (ids, _) = model(rule), text([0, 0], 20)
    positions = torch.tensor([[0, 1, 3, 4, 8, 9, 10, 11, 12], [0, 2, 3, 7, 8, 9, 11, 12, 13]])
    run = Replay(name, gpt, ids[:, :6], positions[:, :6])
    run.append(ids[:, 6:9], positions[:, 6:])
    run.crop_or_be_refused(3)
    run.append(ids[:, 9:10], torch.tensor([[14], [15]]))
    run.append(ids[:, 10:12], torch.tensor([[16, 17], [18, 21]]))


def two_conversations_share_nothing(name):
    """Two caches of one model, filled in turns, each go on as if alone."""
    gpt = model(rule_for(name))
    ids, positions = text([0], 20)
    other, _ = text([0], 20, seed=1)
    a, b = (Replay(name, gpt, start[:, :4], positions[:, :4]) for start in (ids, other))
    for step in range(4, 12):
        a.append(ids[:, step : step + 1])
        b.append(other[:, step : step + 1])


def capacity_is_exact(name):
    """A cache with a limit takes one token less, and just as many; one more is refused before anything changes."""
    gpt = model()
    ids, positions = text([0, 2], 14)
    for size, chunk in itertools.product((-1, 0, 1), (1, 5)):
        cache = new_cache(name, gpt, 2, {"max_cache_len": 12})
        with torch.no_grad():
            gpt(ids[:, : 12 + size - chunk], positions[:, : 12 + size - chunk], cache)
            before = copy.deepcopy(cache.state())
            end = 12 + size
            try:
                got = gpt(ids[:, end - chunk : end], positions[:, end - chunk : end], cache)
            except CacheFull:
                hold(size == 1, "refused what fits")
                assert_unchanged(cache, before, "overflow")
            else:
                hold(size < 1, "took more than fits")
                want = gpt(ids[:, :end], positions[:, :end])[:, -chunk:]
                note = f"{end} tokens in 12 slots, the last {chunk} at once"
                assert_same(got, want, positions[:, end - chunk : end], note, end - chunk)


def nbytes_is_what_it_keeps_alive(name, rule):
    """After every verb: the bytes of the memory behind keys and values, of what is shared once, of a view all of it."""
    gpt, (ids, positions) = model(rule), text([0, 2], 16)
    run = Replay(name, gpt, ids[:, :9], positions[:, :9])
    for verb in (
        lambda: run.append(ids[:, 9:12]),
        lambda: run.crop_or_be_refused(5),
        lambda: run.append(ids[:, 12:13]),
        lambda: run.select([1, 1]),
        lambda: run.append(ids[:, 13:15]),
        lambda: run.select([0]),
        lambda: run.fork().reset(),
        lambda: run.reset(),
    ):
        verb()
        for cache, which in ((run.cache, ""), (copy.deepcopy(run.cache), ", in a copy")):
            told, held = cache.nbytes, bytes_held(cache)
            hold(told == held, f"after {', '.join(run.verbs)}{which}: nbytes is {told}, what it keeps is {held}")


def bytes_held(cache) -> int:
    """Of all memory that its keys and values keep alive. int64 says where they are (positions, a table), not what."""
    kept = [each for layer in range(len(cache.kv)) for _, each in leaves(cache.tensors(layer))]
    storages = [each.untyped_storage() for each in kept if each.dtype != torch.int64]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
