# %% [markdown]
# # 07 The offloaded cache
#
# Notebook 06 stored every token in fewer bits. Here all bits are kept, but most of them elsewhere: one rung down the memory ladder, where there is
# more room. At the end you know why two layers at a time are enough, what a prefetch can hide, and what it can't.

# %% [markdown]
# **中文提要**　卸载缓存不丢一个比特：正在计算的那一层和下一层留在快速内存里，其余各层放到下一级存储（主机（CPU）内存，没有 GPU 时则是文件）。
# 预取让“取下一层”和“算这一层”同时进行；我们用计数（而不只是计时）说明：任何时刻快速内存里只有两层；每一行只写出一次；而每生成一个词元，整个缓存都要读回一遍。
# 只有当取一层比算一层快时，等待才真正被隐藏；批次越大、文本越长，越难隐藏。最后是固定大小的卸载静态缓存、文件形式，以及磁盘写满、文件夹消失时的报错：写入失败时缓存保持原样；文件损坏无法恢复，但会报错，不会给出错误结果。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | memory ladder | 存储层级 | kinds of memory, from small and fast to large and slow |
# | offloading | 卸载 | keeping what is not in use one rung down the ladder |
# | prefetch | 预取 | starting to load something before it is needed |
# | resident | 驻留 | here, in fast memory |
# | bandwidth | 带宽 | bytes that can be moved in a second |
# | pinned memory | 锁页内存 | CPU memory that the system never moves, so that a GPU can copy from it by itself |
# | stream | 流 | a queue of a GPU's work; two streams run side by side |
# | layer | 层 | one of the blocks that the rows go through, each with its own keys and values |
# | slot | 槽位 | the place of one token in a cache |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, one new token each |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import errno
import gc
import tempfile
import textwrap
import time
from pathlib import Path
from unittest import mock

import torch

from minigpt import GPT, CacheError, CacheFull, make_cache
from minigpt.cache import StaticCache
from minigpt.cache.offloaded import Offloaded
from minigpt.cache.offloaded import files as layer_files
from minigpt.cache.offloaded.pinned import PinnedLayers
from minigpt.exercises import e07_offloading as exercises
from minigpt.measure.counted.observer import Observer
from minigpt.measure.forms.memory import nbytes
from minigpt.measure.forms.real_models import load
from minigpt.show.notebook import WIDTH, code, refused, show
from minigpt.show.plots.ladder import ladder, moves

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
L = model.config.n_layer
ids = torch.randint(
    model.config.vocab_size, (1, 60), generator=torch.Generator().manual_seed(0)
)
with torch.no_grad():
    uncached = model(ids)

# %% [markdown]
# ## 1. The memory ladder
#
# There are several kinds of memory, and the faster ones are smaller: this is the **memory ladder**. The number of bytes that a rung can move in a second is its **bandwidth**. Here are
# three rungs of a workstation, in the round figures of data sheets; nothing is measured here.
#
# **Claim.** Beside a model's weights a GPU may have no room for the whole cache, but room for two of its layers.
#
# **Predict.** Llama 3 8B stores 131,072 bytes per token, in 32 layers. How many gigabytes do 16 texts of 8,192 tokens take?

# %%
rungs = {  # name: (gigabytes, gigabytes a second, as seen from the GPU)
    "memory of the GPU": (24, 1000),
    "memory of the CPU": (128, 25),
    "solid-state disk": (2000, 3),
}
llama = load("llama-3-8b")  # its published sizes
weights = 16.1e9  # bytes of its weights, in 16 bits
whole = nbytes(llama, 8192, batch=16)
two_layers = whole * 2 // 32
print(f"a token of one text: {nbytes(llama, 1):,} bytes")
for name, (room, speed) in rungs.items():
    fits = weights + whole < room * 1e9
    print(f"{name}: {room:4} GB, {speed:4} GB/s; weights and cache fit: {fits}")
print(f"weights: {weights / 1e9:.1f} GB")
print(f"the cache: {whole / 1e9:.1f} GB, two of its layers: {two_layers / 1e9:.1f} GB")
assert weights + whole > 24e9 > weights + two_layers

# %% [markdown]
# **Answer.** 17.2 GB. Beside 16.1 GB of weights that is too much for the GPU's 24, while two of the 32 layers take 1.1.
# The CPU's memory has the room, but it is 40 times slower to reach. So there are two questions: how much is needed at once, and can
# the time of the way up, from slow memory to fast, be hidden?

# %% [markdown]
# ## 2. By hand: one layer here
#
# A forward pass goes through the layers one after another, and each reads its own keys and values, once.
#
# **Claim.** While a layer is at work, no other layer's keys and values need to be here.
#
# **Predict.** The class below keeps the layers `away`, and leaves NaN where they were. If another layer's numbers were ever read, what
# would the logits be?


# %%
class OneLayerHere(StaticCache):
    def empty(self, rows):
        new = super().empty(rows)
        gone = torch.tensor(torch.nan, dtype=self.dtype).expand_as(new["kv"][0][0])
        return new | {"away": new["kv"], "kv": [(gone, gone)] * L}

    def store(self, k, v, layer):
        gone = self.kv[layer]
        self.kv[layer] = tuple(x.clone() for x in self.away[layer])  # up
        kept = super().store(k, v, layer)  # as ever
        self.away[layer], self.kv[layer] = self.kv[layer], gone  # down
        return kept


def fed(cache, sizes):
    """The logits of the text, fed in pieces of these sizes."""
    with torch.no_grad():
        return torch.cat(
            [model(piece, cache=cache) for piece in ids[:, : sum(sizes)].split(sizes, dim=1)],
            dim=1,
        )


sizes = [50] + [1] * 10  # a prompt, then a token at a time
by_hand = fed(OneLayerHere(model.config, max_cache_len=60, dtype=torch.float64), sizes)
print("equal to the uncached logits:", torch.allclose(by_hand, uncached, atol=1e-10))
assert torch.allclose(by_hand, uncached, atol=1e-10)

# %% [markdown]
# **Answer.** NaN: it spreads to every sum that it enters. But the logits are equal to the uncached ones, so no other layer's numbers were read. **Offloading** is
# exact: it changes where numbers are stored, not what is computed. This version is slow, though: the model waits
# while a layer comes up, and a whole layer goes down although only one row is new.

# %% [markdown]
# ## 3. Prefetch: come while another works
#
# The order of the layers is known. So the next one can be requested while this one works: this is a **prefetch**.
#
# **Claim.** With a prefetch a layer costs the *longer* of loading and working, not their sum. This takes room for two layers.
#
# **Predict.** There are 4 layers. A load takes 2 ticks, the work of a layer 3. How many ticks without a prefetch? With one? Which load stays visible?

# %%
loads, works = [2, 2, 2, 2], [3, 3, 3, 3]


def timeline(prefetch):
    """Rows of ticks: '-' while a layer is loading, '#' while it works."""
    rows, asked, free = [], 0, 0
    for load_, work in zip(loads, works):
        arrived = asked + load_
        begins = max(arrived, free)
        rows.append(" " * asked + "-" * load_ + " " * (begins - arrived) + "#" * work)
        free = begins + work
        asked = begins if prefetch else free
    return rows


print("- loading, # working")
for prefetch in (False, True):
    rows = timeline(prefetch)
    print(f"{'with' if prefetch else 'without'} a prefetch: {len(rows[-1])} ticks")
    for layer, row in enumerate(rows):
        print(f"  layer {layer}: {row}")
assert len(timeline(False)[-1]) == sum(loads) + sum(works) == 20
assert len(timeline(True)[-1]) == loads[0] + sum(works) == 14

# %% [markdown]
# **Answer.** 20 ticks without a prefetch, 14 with one. Only the first load, of 2 ticks, stays visible, and even that one can be hidden: the last layer of a step can request layer 0 for the *next* step.

# %% [markdown]
# ### Exercise 1: is a third layer worth its room?
#
# Above, there was room for two layers. Now there is room for `room` layers, and each load and each work has a time of its own. Layers load one at a time, in order; a load begins as soon as
# the load before it has ended and there is room. A layer takes up room from the beginning of its load to the end of its work. When is the last layer done?


# %% tags=["exercise"]
def finish(loads, works, room):
    """loads, works: ticks of each layer. room: how many layers there is room for. Returns the tick
    at which all is done, a float."""
    raise NotImplementedError


# %% tags=["check"]
exercises.finish.check(finish)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def finish(loads, works, room):
#     arrived, done = [0.0], [0.0] * room  # before the first layer
#     for load, work in zip(loads, works):
#         arrived.append(max(arrived[-1], done[-room]) + load)
#         done.append(max(arrived[-1], done[-1]) + work)
#     return float(done[-1])
# ```
#
# </details>

# %%
for name, loads_, works_ in (
    ("layers all alike", [2, 2, 2, 2], [3, 3, 3, 3]),
    ("slow loads, all alike", [3, 3, 3, 3], [2, 2, 2, 2]),
    ("one load is long", [1, 1, 9, 1], [5, 5, 1, 1]),
):
    ends = [exercises.finish.reference(loads_, works_, room) for room in (1, 2, 3)]
    print(f"{name:22} done after {ends} ticks with room for 1, 2 and 3 layers")
    assert (ends[1] == ends[2]) == ("alike" in name)

# %% [markdown]
# Where all layers are alike, as they are in most models, two are enough: a third never helps. It can help where one layer's load is longer than the work
# before it.

# %% [markdown]
# ## 4. The package's cache: who asks for what, and when
#
# `Offloaded` is put in front of another cache class: `class OffloadedStaticCache(Offloaded, StaticCache)`. When that class asks for the tensors of the layer at work, `tensors`
# fetches them. Then, before attention begins, `store` requests the next layer and sends the new rows down:

# %%
code(Offloaded.tensors)
code(Offloaded.store)

# %% [markdown]
# **Claim.** The next layer is always requested before this one attends. So at each update two layers are **resident**, that is, here in fast memory.
#
# **Predict.** The model has 3 layers. Write down the order of `read` (a layer is requested) and `attend` (a layer is ready) in one decode step. Does it begin with `read 0`?


# %%
class Log(Observer):
    """Notes when a layer is asked for, and when it is ready to attend."""

    def __init__(self, cache):
        super().__init__(cache)
        self.events, self.here_now, read = [], [], cache.storage.read

        def asked(layer):
            self.events.append(f"read {layer}")
            return read(layer)

        cache.storage.read = asked

    def update(self, k, v, layer):
        kept = super().update(k, v, layer)
        self.events.append(f"attend {layer}")
        self.here_now.append([each for each in range(L) if self.here(each)])
        return kept


log = Log(make_cache("offloaded_static", model.config, max_cache_len=60, dtype=torch.float64))
offloaded = fed(log, sizes)
first_step = log.events[: 2 * L + 1]
print("prefill:", ", ".join(first_step))
print("decode: ", ", ".join(log.events[2 * L + 1 : 4 * L + 1]))
print("here at each update of a step:", log.here_now[-L:])
assert torch.allclose(offloaded, uncached, atol=1e-10)
assert log.events[2 * L + 1 : 4 * L + 1] == [
    *("read 1", "attend 0", "read 2", "attend 1", "read 0", "attend 2")
]
assert all(len(here) == 2 for here in log.here_now)

# %% [markdown]
# **Answer.** No: read 1, attend 0, read 2, attend 1, read 0, attend 2. Layer 0 is here already, and the last read is for the next step. This is an order, not a
# time: on any machine the next layer is on its way before this one attends.

# %% [markdown]
# ## 5. Here and moved, layer by layer
#
# **Claim.** Two of GPT-2's 12 layers are here at a time. For each decoded token much more comes up than goes down.
#
# **Predict.** GPT-2 stores 36,864 bytes per token. With 501 tokens held, how many megabytes come up for one new token? How many go down?

# %%
seen = moves(prompt=500, new=2)  # GPT-2's sizes, bfloat16, zeros in place of numbers
picture = ladder(seen)
show(picture, picture.alt)
up = seen.up[-1] - seen.up[-13]  # of the last 12 updates: one step
down = seen.down[-1] - seen.down[-13]
print(f"the last token: {up:,} bytes up, {down:,} down")
assert {len(here) for here in seen.here[1:]} == {2}
assert max(seen.resident) * 6 == seen.total
assert down == 36864
assert 501 * 36864 < up < 502 * 36864

# %% [markdown]
# **Answer.** 18.5 MB come up, 501 tokens and a little of the next; 36,864 bytes go down, one token. The upper half of the figure shows, update by update, which layer is at work (dark) and which is prefetched
# (light). The lower half shows the bytes that are here, which step up once, where the room doubles, and those that have moved so far. The prefill brings almost nothing up: nothing is stored yet. From
# then on each step brings everything up. After the prefill, *down* is nearly flat: each row goes down once.
#
# (The bytes held count room for 1,000 tokens, since the dynamic cache inside has doubled. Empty slots are not moved.)

# %% [markdown]
# ## 6. Bytes up, bytes down
#
# **Claim.** The number of rows that go down grows with the length of the text; the number that come up grows with its square.
#
# **Predict.** A prompt of 50 tokens is fed, then 10 more, one at a time. How many rows come up, how many go down?

# %%
cache = make_cache("offloaded_static", model.config, max_cache_len=60, dtype=torch.float64)
fed(cache, sizes)
row = 2 * L * model.config.n_embd * 8  # bytes of a token: keys and values, float64
for_next_step = row * 60 // L  # layer 0 has been prefetched for a step that doesn't come
up, down = cache.moved
up -= for_next_step
print(f"up:   {up:10,} bytes = {up // row} rows of all layers, for {len(sizes)} steps")
print(f"down: {down:10,} bytes = {down // row} rows")
assert down == 60 * row
assert up == sum(range(50, 60)) * row

# %% [markdown]
# **Answer.** 545 rows come up: none in the prefill, 50 in the first of the 10 steps after it, and one more in each later step. 60 go down, one for each token. (Layer 0, prefetched for a step that doesn't
# come, is left out.)

# %% [markdown]
# ### Exercise 2: find the bug
#
# Below, a file is a list of numbers, and a row is several of them. `broken_write` should write rows into the slots from `first` on, leave all others as they are, and return the whole file. It
# works for a prompt, which begins at slot 0. Fix it.


# %%
def broken_write(file, first, rows):
    """[1, 2, 3, 4], 2, [[5, 6]] -> [1, 2, 3, 4, 5, 6]"""
    new = [number for row in rows for number in row]
    at = max(first - 1, 0) * len(rows[0])
    return file[:at] + new + file[at + len(new) :]


assert broken_write([], 0, [[1, 2], [3, 4]]) == [1, 2, 3, 4]


# %% tags=["exercise"]
def mended_write(file, first, rows):
    """[1, 2, 3, 4], 2, [[5, 6]] -> [1, 2, 3, 4, 5, 6]"""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(mended_write)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# It is the mutant *new rows are written one slot too early* of the test suite: each decoded token overwrites the one before it, and the end of the file
# stays empty.
#
# ```python
# def mended_write(file, first, rows):
#     new = [number for row in rows for number in row]
#     at = first * len(rows[0])
#     return file[:at] + new + file[at + len(new) :]
# ```
#
# Appending would not do: after a `crop` new rows overwrite old ones.
#
# </details>

# %% [markdown]
# ## 7. What is hidden, and what isn't
#
# A load is hidden if a layer's work takes at least as long. In decoding, that work is mostly reading: the layer's weights, keys and values, from the
# GPU's own memory. A load brings the same number of keys and values over the slower link.
#
# **Claim.** For one text, the loads are hidden up to some length; beyond it, every token makes the step slower. More texts at once make that length shorter.
#
# **Predict.** Take the bandwidths of section 1. With Llama 3 8B and one text, is that length in the hundreds of tokens, the thousands, or the tens of thousands?

# %%
gpu, link = (rungs[name][1] * 10**9 for name in ("memory of the GPU", "memory of the CPU"))
of_a_layer = int(weights) // 32, nbytes(llama, 1) // 32  # bytes of its weights, and of a token
longest = {}
for batch in (1, 4, 16):
    longest[batch] = exercises.hidden_up_to.reference(*of_a_layer, batch, gpu, link)
    loading = nbytes(llama, 8192, batch) / link
    working = (weights + nbytes(llama, 8192, batch)) / gpu
    print(
        f"{batch:2} texts: hidden up to {longest[batch]:5,} tokens of each; "
        f"at 8,192 loading takes {loading:.3f} s, working {working:.3f}"
    )
    assert loading > working
assert longest[1] > longest[4] > longest[16]

# %% [markdown]
# **Answer.** Thousands: 3,149 tokens for one text, and only 196 for each of 16. Weights are read once for all texts of a batch, keys and values once for
# each text. This is arithmetic with round figures, not a measurement, but the lesson holds wherever the link is much slower than the memory: offloading buys
# *room*, and past some length the price is time. In prefill it is nearly free: there is much work, and nothing comes up.

# %% [markdown]
# ### Exercise 3: when does it stop hiding?
#
# The printed lengths came from a formula: find it. While a layer's keys and values (of `batch` texts of n tokens each) come over the link, the GPU
# reads a layer's weights and the same number of keys and values. What is the largest n for which loading takes no longer than reading? The link is slower than the GPU's memory.


# %% tags=["exercise"]
def hidden_up_to(weights, token, batch, gpu, link):
    """weights, token: bytes of a layer's weights, and of a token's keys and values in a layer.
    batch: texts. gpu, link: bytes a second. All are whole numbers. Returns the most tokens of each
    text, a whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.hidden_up_to.check(hidden_up_to)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Loading takes n * batch * token / link, working (weights + n * batch * token) / gpu. Multiply both by gpu * link, and bring n to one side:
#
# ```python
# def hidden_up_to(weights, token, batch, gpu, link):
#     return weights * link // (batch * token * (gpu - link))
# ```
#
# </details>

# %% [markdown]
# ### With a clock
#
# Hiding can be tested without a GPU if we make both slow on purpose: a load sleeps for 20 ms in the reading thread, and a layer's
# work for 20 ms in ours. (Sleeping stands in for a slow disk and for a large model.)


# %%
class Works(Observer):
    def update(self, k, v, layer):
        kept = super().update(k, v, layer)
        time.sleep(0.02)
        return kept


def without_prefetch(storage):
    def fetch(layer):
        if layer not in storage.near:
            storage.near = {layer: storage.read(layer)}
        return storage.near[layer].result()

    storage.fetch, storage.prefetch = fetch, lambda layer: None


real_load = layer_files.load


def slow_load(*what):
    time.sleep(0.02)
    return real_load(*what)


# %% tags=["timed"]
seconds, logits = {}, {}
for how in ("without", "with"):
    with mock.patch.object(layer_files, "load", slow_load):
        cache = make_cache(
            "offloaded_static", model.config, max_cache_len=60, dtype=torch.float64
        )
        if how == "without":
            without_prefetch(cache.storage)
        begin = time.perf_counter()
        logits[how] = fed(Works(cache), [50] + [1] * 10)
        seconds[how] = (time.perf_counter() - begin) / 11
    print(f"{how:7} a prefetch: {1000 * seconds[how]:.0f} ms a step")
assert torch.allclose(logits["with"], logits["without"], atol=1e-12)
assert seconds["without"] > 1.2 * seconds["with"]

# %% [markdown]
# On a GPU the package's cache keeps the layers in **pinned memory**, CPU memory that the system never moves, and copies on a **stream** of its own, a second queue of the GPU's work. So the copy and
# the work run side by side:

# %%
code(PinnedLayers.read)

# %% [markdown]
# ## 8. Offloaded static
#
# **Claim.** Offloading works the same in front of the static cache of notebook 04, which keeps its rules: attention is given all slots, so shapes stay fixed, and what doesn't fit is refused.
#
# **Predict.** Of the static cache's 60 slots 50 are filled, and one token is fed. Does it have more bytes here than the dynamic one, offloaded too? Do more come up?


# %%
class Shapes(Observer):
    def update(self, k, v, layer):
        keys, values, k_pos = super().update(k, v, layer)
        self.slots = keys.shape[1]
        return keys, values, k_pos


for name, options in {"offloaded": {}, "offloaded_static": {"max_cache_len": 60}}.items():
    cache = Shapes(make_cache(name, model.config, dtype=torch.float64, **options))
    fed(cache, [50])
    before = cache.moved[0]
    with torch.no_grad():
        model(ids[:, 50:51], cache=cache)
    rows_up = (cache.moved[0] - before) / row
    print(
        f"{name:16} room {cache.room:3} slots, "
        f"held {cache.nbytes:7,} bytes, here {cache.resident_nbytes:7,}\n"
        f"{'':16} up for one token: {rows_up:.1f} rows, given to attention: {cache.slots} slots"
    )
    assert cache.resident_nbytes * L == cache.nbytes * 2
    assert cache.slots == options.get("max_cache_len", 51)
with refused(CacheFull):
    fed(
        make_cache("offloaded_static", model.config, max_cache_len=40, dtype=torch.float64),
        sizes,
    )

# %% [markdown]
# **Answer.** No to both: here 245,760 bytes against 409,600, and 50.3 rows up against 67.0. Only filled slots move; but the dynamic one has just doubled its room, so layer 0, prefetched at the old size, was
# fetched again. The static cache of notebook 04 fixes shapes and addresses. Here shapes stay fixed, but addresses don't: each layer comes into a new buffer. What doesn't fit
# is refused, as there.

# %% [markdown]
# ## 9. Without a GPU: files
#
# On a machine with a GPU, transformers' offloaded caches use the CPU's memory; without one they stop with an error. Ours go one rung down even there: the layers wait in files, in the `folder` that you name.
#
# **Claim.** Two caches in one folder never interfere, and they leave nothing behind.
#
# **Predict.** Two caches of 3 layers each keep their layers in one folder. How many files can be seen in it?

# %%
place = tempfile.TemporaryDirectory()
folder = Path(place.name) / "kept"
folder.mkdir()


def say(error):
    said = f"{type(error).__name__}: {error}".replace(str(folder.resolve()), "FOLDER")
    print(textwrap.fill(said.replace("\\", "/"), WIDTH))


options = {"max_cache_len": 60, "dtype": torch.float64, "folder": folder}
cache, other = (make_cache("offloaded_static", model.config, **options) for _ in range(2))
both = [fed(cache, [50]), fed(other, [40, 10])]
print("while they live:   ", list(folder.iterdir()))
assert all(torch.allclose(each, uncached[:, :50], atol=1e-10) for each in both)

del cache, other
gc.collect()
print("left in the end:   ", list(folder.iterdir()))
assert not list(folder.iterdir())

# %% [markdown]
# **Answer.** None, and none is left in the end. The files have no names (where the system requires one, as Windows does, the file is deleted with the cache): no other cache can open them, and however the program ends, the
# system frees their bytes.
#
# One thing to know when measuring: what was just written to a file is usually still in the system's memory, so a small cache never
# waits for the disk. And the system's temporary folder may itself lie in memory.

# %% [markdown]
# ## 10. Break it: a full disk, a lost folder, a short file
#
# Disks fail in the middle of a step, when some layers have been written and others not.
#
# **Claim.** Whatever fails, the error says so, and no wrong number comes out. A write that fails leaves the cache as it was before the step, and the cache works again when the trouble is over.
#
# **Predict.** The disk is full when the *second* layer writes its new row. The first layer's row is in its file already. What must be done about that row?
#
# The full disk is simulated, so nothing on your machine is harmed: the second write finds no room.

# %%
cache = make_cache("offloaded_static", model.config, **options)
fed(cache, [50])
write, writes = cache.storage.write, []


def full_disk(layer, first, rows):
    writes.append(layer)
    if layer == 1:
        raise OSError(errno.ENOSPC, "No space left on device")
    write(layer, first, rows)


with mock.patch.object(cache.storage, "write", full_disk), refused(CacheError), torch.no_grad():
    model(ids[:, 50:51], cache=cache)
print("layers that tried to write:", writes, "tokens held:", cache.length)
assert cache.length == 50
with torch.no_grad():
    again = model(ids[:, 50:], cache=cache)  # there is room again
print(
    "afterwards equal to the uncached logits:",
    torch.allclose(again, uncached[:, 50:], atol=1e-10),
)
assert torch.allclose(again, uncached[:, 50:], atol=1e-10)

# %% [markdown]
# **Answer.** Nothing: that row lies in a slot beyond the end of the text, and is overwritten later.
#
# Now the folder is gone (this is simulated, too). Files without names don't need it, so the cache still works. New files do: `reset` makes some, and is refused.

# %%
cache.crop(-10)
with mock.patch.object(Path, "is_dir", return_value=False):
    with torch.no_grad():
        again = model(ids[:, 50:55], cache=cache)
    try:
        cache.reset()
    except CacheError as error:
        say(error)
    else:
        raise AssertionError("nobody missed the folder")
assert torch.allclose(again, uncached[:, 50:55], atol=1e-10)
assert cache.length == 55

# %% [markdown]
# Last, a file really loses its end: we cut it short.

# %%
cache.storage.near.clear()
cache.storage.files[1].file.truncate(40 * row // L)
with refused(CacheError), torch.no_grad():
    model(ids[:, 55:56], cache=cache)
print("tokens held:", cache.length)
assert cache.length == 55
cache = None
gc.collect()
place.cleanup()

# %% [markdown]
# This can't be repaired, since the numbers are lost; but no wrong logits came out. A **memory-mapped** file, which the system presents as if it were memory, would have crashed the whole process here. So the
# cache uses ordinary reads and writes.

# %% [markdown]
# ## What to take away
#
# - A pass needs one layer's keys and values at a time. With a prefetch, two are here; the rest may be anywhere.
# - Each row goes down once. Everything comes up, at every step.
# - A prefetch hides the shorter of loading and working. In decoding, the loads of long texts and large batches are not hidden.
# - Nothing is rounded: the logits are those of the uncached model.
# - A step that fails leaves the cache as it was. Bytes that a disk has lost stay lost, but the loss is noticed.
#
# Next, notebook 08: which cache for what.
