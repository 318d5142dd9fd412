"""A cache is one thread's at a time, and one model's for as long as it holds tokens."""

import copy
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from minigpt.cache import CacheError, NoCache
from minigpt.proof.oracles import expected
from minigpt.proof.sameness import assert_same
from minigpt.proof.situations import NAMES, model, new_cache, pieces, rule_for, sizes, text

BUSY = "another thread is using this cache"
VERBS = {
    "a forward pass": lambda cache, gpt, ids: gpt(ids[:, :1], cache=cache),
    "admit": lambda cache, gpt, ids: cache.admit(None, ids[:, :1]),
    "crop": lambda cache, gpt, ids: cache.crop(-3),
    "select": lambda cache, gpt, ids: cache.select([1, 0]),
    "reset": lambda cache, gpt, ids: cache.reset(),
    "deepcopy": lambda cache, gpt, ids: copy.deepcopy(cache),
}


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def hasty():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_a_thread(work, *args):
    """What the work gives, or raises, in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.no_grad()(work), *args).result()


def at_the_second_layer(gpt, work, *args):
    """Does the work in another thread, once, when a pass has filled one layer. Collects what is refused."""
    raised = []

    def between(*_):
        hook.remove()
        try:
            in_a_thread(work, *args)
        except CacheError as error:
            raised.append(str(error))

    hook = gpt.h[1].register_forward_pre_hook(between)
    return raised


def filled(name, rows=2, length=8):
    """A model, a cache that holds the first tokens of a text, and the text."""
    gpt, (ids, positions) = model(rule_for(name)), text([0] * rows, 24)
    cache = new_cache(name, gpt, rows)
    fed = pieces(cache, 0, length)
    for piece in fed:
        gpt(ids[:, piece], cache=cache)
    return gpt, cache, ids, positions, sizes(fed)


def assert_goes_on(name, gpt, cache, ids, positions, history, size=3):
    """The next tokens give what the oracle gives."""
    chunk = slice(cache.length, cache.length + size)
    got = gpt(ids[:, chunk], cache=cache)
    want = expected(name, gpt, ids[:, : chunk.stop], positions[:, : chunk.stop], [*history, size])
    assert_same(got, want[:, chunk], positions[:, chunk], f"tokens {chunk}", chunk.start)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", NAMES)
def test_between_two_layers_of_a_pass_each_verb_of_another_thread_is_refused(name, verb):
    gpt, cache, *text_so_far = filled(name)
    raised = at_the_second_layer(gpt, VERBS[verb], cache, gpt, text_so_far[0])
    assert_goes_on(name, gpt, cache, *text_so_far)
    assert len(raised) == 1
    assert BUSY in raised[0]


@pytest.mark.parametrize("name", NAMES)
def test_when_two_threads_collide_each_has_right_numbers_or_is_refused(name, hasty):
    """Whoever comes through goes on from what the cache holds: after the other's token, or without it."""
    gpt, cache, ids, positions, history = filled(name)
    tokens, barrier, refused = text([0, 0], 2, seed=5)[0], threading.Barrier(2), 0
    wanted = {}
    for came in ((0,), (1,), (0, 1), (1, 0)):
        heard, ones = torch.cat([ids[:, :8], tokens[:, came]], dim=1), [1 for _ in came]
        wanted[came] = expected(name, gpt, heard, positions[:, : heard.shape[1]], [*history, *ones])

    def feed(of, me):
        barrier.wait()
        try:
            return gpt(tokens[:, me : me + 1], cache=of)
        except CacheError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(300):
            shared = copy.deepcopy(cache)
            got = [each.result() for each in [pool.submit(torch.no_grad()(feed), shared, me) for me in (0, 1)]]
            came = tuple(me for new in shared.ids[:, 8:].T for me in (0, 1) if torch.equal(tokens[:, me], new))
            for at, me in enumerate(came):
                assert_same(
                    got[me], wanted[came][:, 8 + at : 9 + at], positions[:, :1], f"thread {me} of {came}", 8 + at
                )
            for me in {0, 1}.difference(came):
                assert BUSY in got[me]
                refused += 1
    assert refused, "the threads never met"


@pytest.mark.parametrize("name", NAMES)
def test_a_thread_that_died_in_a_pass_leaves_a_cache_that_any_other_can_crop(name):
    """Also where a later thread has been given the dead one's number."""
    gpt, cache, *text_so_far = filled(name)

    def die(*_):
        raise ZeroDivisionError

    hook, end = gpt.h[1].register_forward_pre_hook(die), threading.Event()
    try:
        with pytest.raises(ZeroDivisionError):
            in_a_thread(lambda: gpt(text_so_far[0][:, 8:11], cache=cache))
    finally:
        hook.remove()
    others = [threading.Thread(target=end.wait) for _ in range(3)]
    for other in others:
        other.start()
    try:
        with pytest.raises(CacheError, match=r"stopped after 1 of 2 layers: crop\(-3\)"):
            gpt(text_so_far[0][:, 8:11], cache=cache)
        cache.crop(-3)
    finally:
        end.set()
        for other in others:
            other.join()
    assert_goes_on(name, gpt, cache, *text_so_far)


@pytest.mark.parametrize("name", NAMES)
def test_two_threads_with_a_cache_each_share_a_model(name, hasty):
    gpt, barrier = model(rule_for(name)), threading.Barrier(2)

    def converse(seed):
        cache, (ids, positions) = new_cache(name, gpt, 2), text([0, 2], 24, seed)
        fed = [*pieces(cache, 0, 8), *(slice(at, at + 1) for at in range(8, 24))]
        want = expected(name, gpt, ids, positions, sizes(fed))
        barrier.wait()
        for piece in fed:
            got = gpt(ids[:, piece], positions[:, piece], cache)
            assert_same(got, want[:, piece], positions[:, piece], f"thread {seed}, tokens {piece}", piece.start)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(torch.no_grad()(converse), seed) for seed in (1, 2)]:
            done.result()


def test_two_threads_may_share_a_cache_that_keeps_nothing(hasty):
    gpt, cache, barrier = model(), NoCache(), threading.Barrier(2)
    texts = [text([0, 2], 9), text([3, 0], 5, seed=1)]
    wanted = [gpt(*each) for each in texts]

    def feed(me):
        barrier.wait()
        return gpt(*texts[me], cache)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            for me, got in enumerate([pool.submit(torch.no_grad()(feed), me) for me in (0, 1)]):
                assert_same(got.result(), wanted[me], texts[me][1], f"thread {me}", 0)


def test_a_cache_that_keeps_nothing_has_nothing_to_take_back():
    cache = NoCache()
    cache.crop(0)
    with pytest.raises(CacheError, match="holds only 0 tokens"):
        cache.crop(-1)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_goes_on_in_one_thread_and_the_original_in_another(name):
    gpt, cache, *text_so_far = filled(name)
    fork = copy.deepcopy(cache)
    raised = at_the_second_layer(gpt, assert_goes_on, name, gpt, fork, *text_so_far)
    assert_goes_on(name, gpt, cache, *text_so_far)
    assert not raised
    assert fork.length == cache.length == 11


@pytest.mark.parametrize("verb", ["nothing", "crop", "select", "reset", "deepcopy"])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_verb_makes_in_inference_mode_goes_on_outside_it(name, verb):
    with torch.inference_mode():
        gpt, cache, ids, positions, history = filled(name)
        if verb == "crop":
            cache.crop(-2)
            history.append(-2)
        elif verb == "select":
            cache.select([1, 0])
            ids = ids[[1, 0]]
        elif verb == "reset":
            cache.reset()
            history.clear()
        elif verb == "deepcopy":
            cache = copy.deepcopy(cache)
    for _ in range(2):
        assert_goes_on(name, gpt, cache, ids, positions, history)
        history.append(3)


def another(gpt):
    """A model of the same config with other weights."""
    twin = copy.deepcopy(gpt)
    for weights in twin.parameters():
        weights.mul_(1.1)
    return twin


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_that_holds_tokens_serves_no_other_model_of_the_same_config(name):
    gpt, cache, *text_so_far = filled(name)
    twin = another(gpt)
    assert twin.config == gpt.config
    before = [each.clone() for each in (cache.ids, cache.positions)]
    with pytest.raises(CacheError, match=r"filled by another model of the same sizes.*reset\(\) it"):
        twin(text_so_far[0][:, 8:9], cache=cache)
    assert torch.equal(cache.ids, before[0])
    assert torch.equal(cache.positions, before[1])
    assert_goes_on(name, gpt, cache, *text_so_far)


@pytest.mark.parametrize("empty", ["reset", "crop"])
@pytest.mark.parametrize("name", NAMES)
def test_a_cache_that_holds_nothing_more_serves_another_model(name, empty):
    gpt, cache, *text_so_far = filled(name, length=5)
    cache.reset() if empty == "reset" else cache.crop(-5)
    twin = another(gpt)
    assert_goes_on(name, twin, cache, *text_so_far[:2], [])
    with pytest.raises(CacheError, match="filled by another model"):
        gpt(text_so_far[0][:, 3:4], cache=cache)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_the_model_that_shares_its_weights_is_served_if_it_sees_as_far(name):
    gpt, cache, *text_so_far = filled(name)
    with pytest.raises(CacheError, match="the cache was made for"):
        gpt.with_window(5)(text_so_far[0][:, 8:9], cache=cache)
    same = gpt.with_window(list(gpt.config.windows))
    assert same is not gpt
    assert_goes_on(name, same, cache, *text_so_far)
