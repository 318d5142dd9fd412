"""Layers that wait in files: how many are here, what is written, what goes wrong, what is left. (That they equal their
oracle is in the suite.)"""

import contextlib
import copy
import errno
import gc
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from helpers import random_gpt, random_ids

from minigpt.cache import CACHES, CacheError, SlidingWindowCache, make_cache
from minigpt.cache.offloaded import Offloaded
from minigpt.cache.offloaded import cache as cache_module
from minigpt.cache.offloaded import files as files_module
from minigpt.cache.offloaded import pinned as pinned_module
from minigpt.cache.offloaded.pinned import PinnedLayers
from minigpt.proof import sameness, texts, verbs
from minigpt.proof.situations import PADDING, SCHEDULES, model, text

NAMES = ["offloaded", "offloaded_static"]
LAYERS = 5
ROW_BYTES = 2 * 4 * 8 * 8  # the key and the value of one token in one layer: 4 heads of 8 channels, 8 bytes a number


@pytest.fixture
def gpt():
    return random_gpt(n_layer=LAYERS)


@pytest.fixture
def disk(monkeypatch):
    """Every file that a cache opens, watched, and made to fail at will."""

    class Disk:
        writes, reads = [], []  # (file number, offset, bytes)
        write_error = read_error = None  # raised once `after` more calls have gone well
        after, seconds, files = 0, 0, []

        def fails(self, error):
            self.after -= 1
            if error is not None and self.after < 0:
                raise error

    disk = Disk()
    disk.writes, disk.reads, disk.files = [], [], []

    class Watched(files_module.File):
        def __init__(self, folder):
            super().__init__(folder)
            self.number = len(disk.files)
            disk.files.append(self.file)

        def write(self, at, part):
            if disk.write_error is not None and disk.after == 0:
                super().write(at, part[: len(part) // 2])  # a full disk takes what still fits
            disk.fails(disk.write_error)
            disk.writes.append((self.number, at, len(part)))
            return super().write(at, part)

        def read(self, at, part):
            time.sleep(disk.seconds)
            disk.fails(disk.read_error)
            disk.reads.append((self.number, at, len(part)))
            return super().read(at, part)

    monkeypatch.setattr(files_module, "File", Watched)
    return disk


def make(name, gpt, **options):
    return make_cache(name, gpt.config, dtype=gpt.dtype, **options)


def feed(gpt, cache, ids, *sizes):
    with torch.no_grad():
        return torch.cat([gpt(piece, cache=cache) for piece in ids.split(list(sizes), dim=1)], dim=1)


def uncached(gpt, ids):
    with torch.no_grad():
        return gpt(ids)


def differ(one, other):
    return (one - other).abs().max().item()


# How many are here


@pytest.mark.parametrize("name", NAMES)
def test_at_most_two_layers_are_here_at_every_update_the_one_at_work_and_the_next(name, gpt, monkeypatch):
    cache, near, shares = make(name, gpt, batch_size=2), [], []
    update = cache.update

    def watched(k, v, layer):
        result = update(k, v, layer)
        near.append((layer, sorted(cache.storage.near)))
        shares.append(cache.resident_nbytes / cache.nbytes)
        return result

    monkeypatch.setattr(cache, "update", watched)
    feed(gpt, cache, random_ids(2, 20), 9, 1, 1, 1, 5, 1, 1, 1)
    assert len(near) == 8 * LAYERS
    assert all(here == sorted([layer, (layer + 1) % LAYERS]) for layer, here in near)
    assert set(shares) == {2 / LAYERS}
    for change in (lambda: cache.crop(-3), lambda: cache.select([1, 0, 1]), lambda: copy.deepcopy(cache), cache.reset):
        change()
        assert cache.resident_nbytes <= cache.nbytes * 2 / LAYERS


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_one_layer_keeps_it_here(name):
    gpt, ids = random_gpt(n_layer=1), random_ids(1, 12)
    cache = make(name, gpt)
    assert differ(feed(gpt, cache, ids, 5, 1, 1, 5), uncached(gpt, ids)) < 1e-10
    assert cache.resident_nbytes == cache.nbytes


FAR_LARGER = """
import re, sys, torch
from pathlib import Path
from minigpt import GPT, GPTConfig, make_cache
torch.set_num_threads(1)
config = GPTConfig(vocab_size=64, context=256, n_layer=12, n_head=2, n_embd=64, n_inner=8)
gpt = GPT(config).eval()

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def run(cache):
    with torch.inference_mode():
        while cache.length < 256:
            gpt(torch.ones(128, 32, dtype=torch.int64), cache=cache)

with torch.inference_mode():  # what the model takes without a cache is no part of it
    gpt(torch.ones(128, 32, dtype=torch.int64))
before = peak()
cache = make_cache(sys.argv[1], config, batch_size=128)
run(cache)
print(peak() - before, cache.nbytes, sum(p.nbytes for p in gpt.parameters()))
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="needs /proc, to ask for the peak of resident memory"
)
def test_the_operating_system_sees_two_layers_too():
    """A cache of 200 MB beside a model of 1: in a process of its own, whose peak is asked before and after. What is
    given back goes back to the system at once: the C library would keep some for later."""
    peaks = {}
    for name in ("static", *NAMES):
        told = python(FAR_LARGER, name, MALLOC_MMAP_THRESHOLD_="1000000")
        peaks[name], nbytes, weights = map(int, told.split())
        assert nbytes > 30 * weights
    attention = peaks["static"] - nbytes
    assert attention > 0
    for name in NAMES:
        assert peaks[name] - attention < 2.5 * nbytes / 12, "two layers, and what attention itself takes"


def python(text, *arguments, code=0, timeout=None, **environment):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", text, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=timeout,
        check=False,
    )
    assert result.returncode == code, result.stderr
    return result.stdout


# What is written and read


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(24,), (1,) * 24, (5, 1, 1, 9, 1, 7)])
def test_each_row_is_written_once(name, sizes, gpt, disk):
    cache = make(name, gpt, batch_size=3)
    feed(gpt, cache, random_ids(3, 24), *sizes)
    assert sum(count for _, _, count in disk.writes) == LAYERS * 24 * 3 * ROW_BYTES
    for file in range(LAYERS):
        parts = sorted((offset, count) for number, offset, count in disk.writes if number == file)
        assert [offset for offset, _ in parts] == [sum(count for _, count in parts[:at]) for at in range(len(parts))]


@pytest.mark.parametrize("name", NAMES)
def test_each_layer_is_read_once_a_step_and_only_what_was_written(name, gpt, disk):
    cache, ids = make(name, gpt, max_cache_len=40) if "static" in name else make(name, gpt), random_ids(1, 24)
    feed(gpt, cache, ids[:, :20], 20)
    cache.storage.near[0].result()
    disk.reads.clear()
    feed(gpt, cache, ids[:, 20:21], 1)  # the dynamic cache has room for 20, and grows
    cache.storage.near[0].result()
    disk.reads.clear()
    feed(gpt, cache, ids[:, 21:22], 1)
    cache.storage.near[0].result()
    assert sorted(number for number, _, _ in disk.reads) == list(range(LAYERS))
    assert {count for number, _, count in disk.reads if number} == {21 * ROW_BYTES}
    assert {count for number, _, count in disk.reads if not number} == {22 * ROW_BYTES}, "already that of the next step"


@pytest.mark.parametrize("name", NAMES)
def test_a_slow_disk_is_waited_for(name, gpt, disk):
    disk.seconds = 0.01
    ids = random_ids(1, 9)
    assert differ(feed(gpt, make(name, gpt), ids, 6, 1, 1, 1), uncached(gpt, ids)) < 1e-10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_it_keeps_the_dtype_and_every_bit(name, dtype, disk):
    gpt, (ids, positions) = model(dtype=dtype), text([0, 3], 12)
    cache, kept = (make_cache(kind, gpt.config, batch_size=2, dtype=dtype) for kind in (name, "dynamic"))
    with torch.no_grad():
        for column in range(12):
            piece = ids[:, column : column + 1], positions[:, column : column + 1]
            gpt(*piece, cache), gpt(*piece, kept)
    assert sum(count for _, _, count in disk.writes) == 2 * 12 * 2 * 2 * 32 * dtype.itemsize
    first = cache.storage.read(0).result()[:12].transpose(0, 2)
    assert first.dtype == dtype
    assert torch.equal(first[:, 0], kept.kv[0][0][:, :12]), "layer 0 read nothing from a cache: no rounding can differ"
    assert torch.equal(first[:, 1], kept.kv[0][1][:, :12])


# What can be wrapped


class OffloadedRing(Offloaded, SlidingWindowCache):
    def __init__(self, config, batch_size=1, chunk=None, folder=None, dtype=None, device=None):
        super().__init__(config, batch_size, chunk=chunk, folder=folder, dtype=dtype, device=device)


@pytest.mark.parametrize("rule", ["window", "window with sinks"])
def test_it_wraps_a_sliding_window_too(rule, monkeypatch):
    monkeypatch.setitem(CACHES, "ring", OffloadedRing)
    for seed in range(3):
        verbs.verbs_equal_a_replay("ring", rule, seed)
    for padding in PADDING:
        for schedule in SCHEDULES:
            texts.schedule_equals_uncached("ring", rule, "GQA", padding, schedule)
    verbs.a_crop_is_exact_or_refused("ring", rule)


@pytest.mark.parametrize("name", NAMES)
def test_generation_takes_its_options(name, gpt, tmp_path):
    ids = random_ids(2, 9)
    got = gpt.generate(ids, max_new_tokens=12, cache_implementation=name, cache_config={"folder": tmp_path})
    assert torch.equal(got, gpt.generate(ids, max_new_tokens=12, use_cache=False))
    assert list(tmp_path.iterdir()) == []


def test_the_static_one_refuses_what_does_not_fit(gpt):
    cache = make("offloaded_static", gpt, max_cache_len=8)
    feed(gpt, cache, random_ids(1, 8), 8)
    with pytest.raises(CacheError, match="needs 9 slots, has 8: raise max_cache_len"):
        feed(gpt, cache, random_ids(1, 1), 1)


# What goes wrong


def in_use(name, gpt, ids, **options):
    cache = make(name, gpt, batch_size=len(ids), **options)
    feed(gpt, cache, ids, ids.shape[1] - 1, 1)
    return cache


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("good", [0, 1, LAYERS - 1])
@pytest.mark.parametrize("kind", ["write", "read"])
def test_a_disk_that_is_full_or_broken_refuses_the_chunk_and_the_cache_goes_on_as_before(name, good, kind, gpt, disk):
    ids = random_ids(2, 16)
    cache = in_use(name, gpt, ids[:, :9])
    cache.storage.near[0].result()
    before = cache.length, cache.positions.clone(), cache.ids.clone(), cache.next_position
    disk.after = good if kind == "write" else max(0, good - 1)
    error = OSError(errno.ENOSPC, "No space left on device") if kind == "write" else OSError(errno.EIO, "I/O error")
    setattr(disk, f"{kind}_error", error)
    with pytest.raises(
        CacheError, match=r"No space left on device; nothing has changed|I/O error; nothing has changed"
    ):
        feed(gpt, cache, ids[:, 9:13], 4)
    assert cache.length == before[0]
    for now, was in zip((cache.positions, cache.ids, cache.next_position), before[1:], strict=True):
        assert torch.equal(now, was)
    with pytest.raises(CacheError):
        feed(gpt, cache, ids[:, 9:13], 4)  # still so
    disk.write_error = disk.read_error = None
    assert differ(feed(gpt, cache, ids[:, 9:], 4, 1, 2), uncached(gpt, ids)[:, 9:]) < 1e-10


def test_a_ring_goes_on_after_a_full_disk_too(disk):
    gpt, (ids, _) = model("window with sinks"), text([0, 0], 30)
    cache = OffloadedRing(gpt.config, 2, dtype=torch.float64)
    feed(gpt, cache, ids[:, :20], 5, 5, 5, 5)
    disk.after, disk.write_error = 1, OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(CacheError, match="No space left"):
        feed(gpt, cache, ids[:, 20:26], 6)
    disk.write_error = None
    assert differ(feed(gpt, cache, ids[:, 20:], 6, 1, 3), uncached(gpt, ids)[:, 20:]) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_lost_its_end_is_noticed(name, gpt, disk):
    cache = in_use(name, gpt, random_ids(1, 9))
    disk.files[2].truncate(7 * ROW_BYTES)
    with pytest.raises(CacheError, match=f"lost {2 * ROW_BYTES} of the bytes that were written"):
        feed(gpt, cache, random_ids(1, 1), 1)
    assert cache.length == 9


@pytest.mark.parametrize("name", NAMES)
def test_select_and_deepcopy_on_a_full_disk_change_nothing(name, gpt, disk):
    ids = random_ids(2, 12)
    cache = in_use(name, gpt, ids[:, :9])
    before = copy.deepcopy(cache.state())
    for change in (lambda: cache.select([1, 0]), lambda: copy.deepcopy(cache)):
        disk.after, disk.write_error = 3, OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(CacheError, match="No space left"):
            change()
        disk.write_error = None
        sameness.assert_unchanged(cache, before, "a refused call")
    assert differ(feed(gpt, cache, ids[:, 9:], 3), uncached(gpt, ids)[:, 9:]) < 1e-10


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder whose files are open")
@pytest.mark.parametrize("name", NAMES)
def test_a_vanished_folder_takes_no_new_files_and_those_that_are_open_go_on(name, gpt, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    ids = random_ids(1, 12)
    cache = in_use(name, gpt, ids[:, :9], folder=folder)
    folder.rmdir()
    before = copy.deepcopy(cache.state())
    for change in (lambda: cache.select([0]), lambda: copy.deepcopy(cache), cache.reset):
        with pytest.raises(CacheError, match=r"there is no folder .*cache \(any more\): make it first"):
            change()
        sameness.assert_unchanged(cache, before, "a refused call")
    assert differ(feed(gpt, cache, ids[:, 9:], 2, 1), uncached(gpt, ids)[:, 9:]) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_takes_no_files_is_refused(name, gpt, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "nowhere", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CacheError, match="there is no folder"):
            make(name, gpt, folder=folder)

    def refused(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files_module.tempfile, "TemporaryFile", refused)
    with pytest.raises(CacheError, match="Read-only file system"):
        make(name, gpt, folder=tmp_path)
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_caches_in_one_folder_share_nothing(gpt, tmp_path):
    ids, other = random_ids(1, 14), random_ids(1, 14, seed=1)
    cache = in_use("offloaded", gpt, ids[:, :9], folder=tmp_path)
    second = in_use("offloaded_static", gpt, other[:, :9], folder=tmp_path)
    fork = copy.deepcopy(cache)
    feed(gpt, fork, random_ids(1, 5, seed=2), 5)
    assert differ(feed(gpt, second, other[:, 9:], 2, 3), uncached(gpt, other)[:, 9:]) < 1e-10
    del fork, second
    assert differ(feed(gpt, cache, ids[:, 9:], 2, 3), uncached(gpt, ids)[:, 9:]) < 1e-10
    assert list(tmp_path.iterdir()) == []


def test_a_fork_has_files_of_its_own(gpt, disk):
    ids = random_ids(1, 14)
    cache = in_use("offloaded", gpt, ids[:, :9])
    fork = copy.deepcopy(cache)
    disk.writes.clear()
    feed(gpt, fork, random_ids(1, 5, seed=1), 5)
    assert {number for number, _, _ in disk.writes} == set(range(LAYERS, 2 * LAYERS))
    del fork
    assert differ(feed(gpt, cache, ids[:, 9:], 5), uncached(gpt, ids)[:, 9:]) < 1e-10


# After a fork of the process, in another thread, on Windows


FORKED = """
import copy, os, sys, torch, warnings
from minigpt import GPT, CacheError, GPTConfig, make_cache

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside a thread

@torch.inference_mode()
def main(name):
    gpt = GPT(GPTConfig(vocab_size=64, context=64, n_layer=3, n_head=2, n_embd=64)).eval()
    ids = torch.arange(24)[None]
    cache = make_cache(name, gpt.config)
    gpt(ids[:, :9], cache=cache)
    child = os.fork()
    if not child:
        verbs = [
            lambda: gpt(ids[:, :1], cache=cache),
            lambda: cache.admit(None, ids[:, :1]),
            lambda: cache.crop(-1),
            lambda: cache.select([0]),
            lambda: copy.deepcopy(cache),
            cache.reset,
        ]
        for verb in verbs:
            try:
                verb()
            except CacheError as error:
                assert f"made in another process ({os.getppid()}): make a cache of its own" in str(error), error
            else:
                raise AssertionError("not refused")
        cache, ids = make_cache(name, gpt.config), ids.flip(1)
        gpt(ids[:, :9], cache=cache)
    for at in range(9, 24):
        got = gpt(ids[:, at : at + 1], cache=cache)
    assert (got - gpt(ids)[:, -1:]).abs().max() < 1e-4
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

main(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("name", NAMES)
def test_a_forked_process_is_refused_and_makes_a_cache_of_its_own(name):
    """It used to share the files, and wait for a thread that it lacks."""
    python(FORKED, name, timeout=60)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_forked_in_the_middle_of_a_pass_is_refused(gpt):
    ids, cache = random_ids(1, 10), make("offloaded", gpt)
    feed(gpt, cache, ids[:, :9], 9)
    cache.admit(None, ids[:, 9:])
    new = torch.zeros(1, 1, 4, 8).double()
    cache.update(new, new, 0)
    child = os.fork()
    if not child:
        try:
            cache.update(new, new, 1)
        except CacheError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    cache.update(new, new, 1)


@pytest.mark.parametrize("name", NAMES)
def test_another_thread_can_not_copy_it_while_a_pass_is_under_way(name, gpt):
    ids, errors = random_ids(1, 12), []
    cache = in_use(name, gpt, ids[:, :9])

    def copied():
        try:
            copy.deepcopy(cache)
        except CacheError as error:
            errors.append(str(error))

    def in_between(*_):
        thread = threading.Thread(target=copied)
        thread.start()
        thread.join()

    hooks = [block.register_forward_hook(in_between) for block in gpt.h]
    assert differ(feed(gpt, cache, ids[:, 9:], 3), uncached(gpt, ids)[:, 9:]) < 1e-10
    for hook in hooks:
        hook.remove()
    assert len(errors) == LAYERS - 1, "after the last layer the pass is over"
    assert all("another thread is using this cache" in error for error in errors)


@pytest.mark.parametrize("name", NAMES)
def test_without_positioned_reads_a_file_is_read_and_written_the_same(name, gpt, monkeypatch):
    for function in ("preadv", "pwrite"):
        monkeypatch.delattr(os, function, raising=False)
    verbs.verbs_equal_a_replay(name, "full", 0)


# Whole, or not at all


@pytest.mark.parametrize("name", NAMES)
def test_reset_leaves_no_old_numbers(name, gpt, disk):
    cache = in_use(name, gpt, random_ids(1, 9))
    cache.reset()
    assert cache.storage.written == [0] * LAYERS
    assert all(kept.count_nonzero() == 0 for layer in range(LAYERS) for kept in cache.tensors(layer))
    gc.collect()
    assert [file.closed for file in disk.files[LAYERS:]] == [False] * LAYERS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["select", "reset"])
def test_an_interrupted_verb_changes_nothing(name, verb, gpt, monkeypatch):
    """The text used to be reordered before the files were."""
    ids = random_ids(2, 12)
    cache = in_use(name, gpt, ids[:, :9])
    before = copy.deepcopy(cache.state())

    def interrupted(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "become", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.select([1, 0]) if verb == "select" else cache.reset()
    sameness.assert_unchanged(cache, before, f"an interrupted {verb}")
    assert differ(feed(gpt, cache, ids[:, 9:], 3), uncached(gpt, ids)[:, 9:]) < 1e-10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("method", ["fetch", "prefetch", "write", "count"])
def test_after_an_interrupted_pass_the_tokens_are_taken_back_by_hand(name, layer, method, gpt, monkeypatch):
    ids = random_ids(2, 16)
    cache = in_use(name, gpt, ids[:, :9])
    storage, real = cache.storage, getattr(cache.storage, method)

    def interrupted(*args, **kwargs):
        if cache.in_a_pass and cache.layers_written == layer:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(storage, method, interrupted)
        with pytest.raises(KeyboardInterrupt):
            feed(gpt, cache, ids[:, 9:12], 3)
    with pytest.raises(CacheError, match=rf"stopped after {layer} of {LAYERS} layers: crop\(-3\)"):
        feed(gpt, cache, ids[:, 9:], 7)
    cache.crop(-3)
    assert differ(feed(gpt, cache, ids[:, 9:], 5, 1, 1), uncached(gpt, ids)[:, 9:]) < 1e-10


# What is left


LEFT = """
import os, sys, torch
from minigpt import GPT, GPTConfig, make_cache
gpt = GPT(GPTConfig(vocab_size=64, context=64, n_layer=3, n_head=2, n_embd=64)).eval()
cache = make_cache("offloaded", gpt.config, folder=sys.argv[1] or None)
with torch.inference_mode():
    gpt(torch.ones(1, 9, dtype=torch.int64), cache=cache)
"""


FAILING = """
gpt.h[1].forward = None
with torch.inference_mode():
    gpt(torch.ones(1, 1, dtype=torch.int64), cache=cache)
"""


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("raise SystemExit(3)", 3), (FAILING, 1)], ids=["end", "exit", "error"]
)
def test_nothing_is_left_when_the_interpreter_ends(end, code, named, tmp_path):
    folder, places = str(tmp_path) if named else "", dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))
    python(LEFT + end, folder, code=code, **places)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a killed process on Windows")
def test_a_process_that_was_killed_leaves_no_keys_and_values(tmp_path):
    code = LEFT + "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    for folder in ("", str(tmp_path)):
        result = subprocess.run(
            [sys.executable, "-c", code, folder], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
        )
        assert result.returncode == -9
        assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_cache_goes_even_by_an_exception(gpt, tmp_path, disk):
    with pytest.raises(ZeroDivisionError):
        dies(gpt, tmp_path)
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert len(disk.files) == LAYERS
    patience = time.monotonic() + 10
    while not all(file.closed for file in disk.files):
        assert time.monotonic() < patience, "a file stays open, though its last read must have ended"


def dies(gpt, folder):
    cache = in_use("offloaded", gpt, random_ids(1, 9), folder=folder)
    return cache.length / 0


class StandIn:
    """Stands in for torch.cuda where there is no GPU: its streams work at once, its memory is not pinned."""

    def __init__(self):
        self.waited, self.cuda = [], self

    def __getattr__(self, name):
        return getattr(torch, name)

    def zeros(self, *shape, pin_memory=False, **options):
        return torch.zeros(*shape, **options)

    def Stream(self, device):  # noqa: N802
        return self

    def current_stream(self, device):
        return self

    def stream(self, stream):
        return contextlib.nullcontext()

    def synchronize(self, device):
        pass

    def wait_stream(self, stream):
        pass

    def record_event(self):
        return object()

    def wait_event(self, event):
        self.waited.append(event)


@pytest.mark.parametrize("name", NAMES)
def test_the_book_keeping_of_pinned_memory_is_right_even_without_a_gpu(name, monkeypatch):
    stand_in = StandIn()
    monkeypatch.setattr(pinned_module, "torch", stand_in)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda buffer, stream: None)
    monkeypatch.setattr(cache_module, "LayerFiles", PinnedLayers)
    for padding in PADDING:
        texts.schedule_equals_uncached(name, "window with sinks", "GQA", padding, "mixed")
    for seed in range(3):
        verbs.verbs_equal_a_replay(name, "full", seed)
    assert len(set(stand_in.waited)) > 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA: pinned memory and a stream of its own")
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_the_layers_wait_in_pinned_memory(name, tmp_path):
    gpt, (ids, positions) = model().cuda(), text([0, 3, 9], 30)
    ids, positions = ids.cuda(), positions.cuda()
    cache = make_cache(name, gpt.config, batch_size=3, dtype=torch.float64, device="cuda")
    with torch.no_grad():
        want = gpt(ids, positions)
        sizes = [9, 1, 1, 1, 5, 1, 1, 11]
        pieces = zip(ids.split(sizes, dim=1), positions.split(sizes, dim=1), strict=True)
        got = torch.cat([gpt(*piece, cache) for piece in pieces], dim=1)
    assert differ(got[positions < 40], want[positions < 40]) < 1e-10
    assert all(layer.is_pinned() for layer in cache.storage.pinned)
    with pytest.raises(ValueError, match="leave out the folder"):
        make_cache(name, gpt.config, device="cuda", folder=tmp_path)
    gpt.cpu()
