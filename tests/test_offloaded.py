"""Layers that wait in files: how many are here, what is written, what goes wrong, what is left. (That they equal their
oracle is in the suite.)"""

import contextlib
import copy
import errno
import gc
import os
import subprocess
import sys
import tempfile
import time

import conformance
import pytest
import torch
from conformance import PADDING, RULES, SCHEDULES, model, text
from helpers import random_gpt, random_ids

from minigpt.cache import CACHES, CacheError, SlidingWindowCache, make_cache
from minigpt.cache import files as files_module
from minigpt.cache import offloaded as offloaded_module
from minigpt.cache import pinned as pinned_module
from minigpt.cache.offloaded import Offloaded
from minigpt.cache.pinned import PinnedLayers

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
        after, seconds, opened, files = 0, 0, 0, []

        def fails(self, error):
            self.after -= 1
            if error is not None and self.after < 0:
                raise error

    disk = Disk()
    disk.writes, disk.reads, disk.files = [], [], []
    original = tempfile.TemporaryFile

    class Watched:
        def __init__(self, **options):
            self.file, self.number = original(**options), len(disk.files)
            disk.files.append(self.file)

        def close(self):
            self.file.close()

        def seek(self, offset):
            self.file.seek(offset)

        def truncate(self, size):
            self.file.truncate(size)

        def write(self, part):
            if disk.write_error is not None and disk.after == 0:
                self.file.write(part[: len(part) // 2])  # a full disk takes what still fits
            disk.fails(disk.write_error)
            disk.writes.append((self.number, self.file.tell(), len(part)))
            return self.file.write(part)

        def readinto(self, part):
            time.sleep(disk.seconds)
            disk.fails(disk.read_error)
            disk.reads.append((self.number, self.file.tell(), len(part)))
            return self.file.readinto(part)

    monkeypatch.setattr(files_module.tempfile, "TemporaryFile", Watched)
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
config = GPTConfig(vocab_size=64, context=512, n_layer=12, n_head=2, n_embd=64)
gpt = GPT(config).eval()

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def run(cache):
    with torch.inference_mode():
        while cache.length < 512:
            gpt(torch.ones(32, 32, dtype=torch.int64), cache=cache)

with torch.inference_mode():  # what the model takes without a cache is no part of it
    gpt(torch.ones(32, 32, dtype=torch.int64))
before = peak()
cache = make_cache(sys.argv[1], config, batch_size=32)
run(cache)
print(peak() - before, cache.nbytes, sum(p.nbytes for p in gpt.parameters()))
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="needs /proc, to ask for the peak of resident memory"
)
def test_the_operating_system_sees_two_layers_too():
    """A cache of 100 MB beside a model of 3: in a process of its own, whose peak is asked before and after."""
    peaks = {}
    for name in ("static", *NAMES):
        peaks[name], nbytes, weights = map(int, python(FAR_LARGER, name).split())
        assert nbytes > 30 * weights
    assert peaks["static"] > nbytes
    layer = nbytes / 12
    for name in NAMES:
        assert peaks[name] < 3 * layer, "two layers, and what attention itself takes"


def python(text, *arguments, code=0, **environment):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", text, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
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
    assert torch.equal(first[:, 0], kept.keys[0][:, :12]), "layer 0 read nothing from a cache: no rounding can differ"
    assert torch.equal(first[:, 1], kept.values[0][:, :12])


# What can be wrapped


class OffloadedRing(Offloaded, SlidingWindowCache):
    def __init__(self, config, batch_size=1, chunk=None, folder=None, dtype=None, device=None):
        super().__init__(config, batch_size, chunk=chunk, folder=folder, dtype=dtype, device=device)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "full"])
def test_it_wraps_a_sliding_window_too(rule, monkeypatch):
    monkeypatch.setitem(CACHES, "ring", OffloadedRing)
    for seed in range(3):
        conformance.verbs_equal_a_replay("ring", rule, seed)
    for padding in PADDING:
        for schedule in SCHEDULES:
            conformance.schedule_equals_uncached("ring", rule, "GQA", padding, schedule)
    conformance.a_crop_is_exact_or_refused("ring", rule)


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
    book = cache.length, cache.positions.clone(), cache.ids.clone(), cache.next_position
    disk.after = good if kind == "write" else max(0, good - 1)
    error = OSError(errno.ENOSPC, "No space left on device") if kind == "write" else OSError(errno.EIO, "I/O error")
    setattr(disk, f"{kind}_error", error)
    with pytest.raises(
        CacheError, match=r"No space left on device; nothing has changed|I/O error; nothing has changed"
    ):
        feed(gpt, cache, ids[:, 9:13], 4)
    assert cache.length == book[0]
    for now, was in zip((cache.positions, cache.ids, cache.next_position), book[1:], strict=True):
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
    for change in (lambda: cache.select([1, 0]), lambda: copy.deepcopy(cache)):
        disk.after, disk.write_error = 3, OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(CacheError, match="No space left"):
            change()
        disk.write_error = None
    assert differ(feed(gpt, cache, ids[:, 9:], 3), uncached(gpt, ids)[:, 9:]) < 1e-10


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder whose files are open")
@pytest.mark.parametrize("name", NAMES)
def test_a_vanished_folder_is_said_before_anything_changes(name, gpt, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    ids = random_ids(1, 10)
    cache = in_use(name, gpt, ids[:, :9], folder=folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    before = copy.copy(cache.__dict__)
    for change in (lambda: feed(gpt, cache, ids[:, 9:], 1), lambda: cache.select([0]), lambda: copy.deepcopy(cache)):
        with pytest.raises(CacheError, match=r"there is no folder .*cache \(any more\): make it first"):
            change()
        conformance.assert_unchanged(cache.__dict__, before, "a refused call")


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


def test_two_caches_in_one_folder_are_refused_until_the_first_and_its_forks_are_gone(gpt, tmp_path):
    cache = make("offloaded", gpt, folder=tmp_path)
    fork = copy.deepcopy(cache)
    for holder in ("cache", "fork"):
        with pytest.raises(CacheError, match=r"is in use by another cache: give each a folder of its own"):
            make("offloaded_static", gpt, folder=tmp_path)
        if holder == "cache":
            cache.select([0])
            del cache
    del fork
    assert list(tmp_path.iterdir()) == []
    make("offloaded_static", gpt, folder=str(tmp_path))


def test_a_fork_has_files_of_its_own(gpt, disk):
    ids = random_ids(1, 14)
    cache = in_use("offloaded", gpt, ids[:, :9])
    fork = copy.deepcopy(cache)
    disk.writes.clear()
    feed(gpt, fork, random_ids(1, 5, seed=1), 5)
    assert {number for number, _, _ in disk.writes} == set(range(LAYERS, 2 * LAYERS))
    del fork
    assert differ(feed(gpt, cache, ids[:, 9:], 5), uncached(gpt, ids)[:, 9:]) < 1e-10


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
gpt.blocks[1].forward = None
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
        left = list(tmp_path.iterdir())
        assert [path.name for path in left] == ([files_module.IN_USE] if folder else [])
    with pytest.raises(CacheError, match=r"if that process was killed, delete .*minigpt-cache-in-use"):
        make("offloaded", random_gpt(), folder=tmp_path)


def test_nothing_is_left_when_the_cache_goes_even_by_an_exception(gpt, tmp_path, disk):
    with pytest.raises(ZeroDivisionError):
        dies(gpt, tmp_path)
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert len(disk.files) == LAYERS
    assert all(file.closed for file in disk.files)


def dies(gpt, folder):
    cache = in_use("offloaded", gpt, random_ids(1, 9), folder=folder)
    return cache.length / 0


class StandIn:
    """In place of torch where there is no GPU: streams that do all at once, memory that is not pinned."""

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
    monkeypatch.setattr(offloaded_module, "LayerFiles", lambda layers, folder, device: PinnedLayers(layers, device))
    for padding in PADDING:
        conformance.schedule_equals_uncached(name, "window with sinks", "GQA", padding, "mixed")
    for seed in range(3):
        conformance.verbs_equal_a_replay(name, "full", seed)
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
