# %% [markdown]
# # 04 The static cache
#
# All slots are there from the start, and nothing ever moves. We look at the addresses and shapes that each step meets, hide the
# empty slots, count how often a compiler must begin again, and let the cache overflow. At the end you know what fixed
# shapes are for, what they cost, and which of the two our own static cache gives you.

# %% [markdown]
# **中文提要**　静态缓存一开始就分配好全部槽位，地址从此不变。地址不变与形状不变是两回事：本项目的静态缓存只返回已填的槽位（视图），地址固定而形状逐步增长；
# 返回整个缓冲区才能使形状也固定，这时空槽位必须用掩码遮住，因为零键的得分是 0，而 exp(0) 等于 1，空槽位照样会分到权重。
# 实验用编译器的计数器数出各自需要多少张计算图。代价是每一步都要读全部槽位，占用的内存与文本长短无关。容量不够时必须明确报错，而不是悄悄丢掉词元。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | static cache | 静态缓存 | one whose size is fixed from the start |
# | preallocation | 预分配 | taking all the memory before it is needed |
# | slot | 槽位 | the place of one token in a cache |
# | capacity | 容量 | how many slots there are |
# | view | 视图 | a part of a tensor, without a copy |
# | attention mask | 注意力掩码 | 1 where a token is real, 0 where it is padding |
# | compiler | 编译器 | turns a step into fast code, for the shapes that it has seen |
# | graph | 计算图 | what a compiler makes of a step: its operations, without the Python |
# | overflow | 溢出 | more tokens than slots |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import itertools
import math

import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounter

from minigpt import GPT, load_tokenizer, make_cache
from minigpt.attention import NEVER, attend, sees
from minigpt.cache import CacheFull, DynamicCache, StaticCache
from minigpt.exercises import preallocating as exercises
from minigpt.show.notebook import changed, code, grid, refused, show

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
ids = torch.tensor([load_tokenizer("recall").encode("To be, or not to be, that is").ids])

# %% [markdown]
# ## 1. Nothing moves
#
# The dynamic cache of notebook 03 moves into a larger room when its **slots** (places for one token each) run out. The **static cache** takes
# all that it will ever need at once: **preallocation**. The number of its slots is its **capacity**.
#
# **Claim.** Writing and reading are the very same lines in both caches. Only the way they get room differs.
#
# **Predict.** What must `make_room` do when nothing may grow?

# %%
assert changed(DynamicCache.store, StaticCache.store) == []  # no line differs
code(StaticCache.make_room)


# %%
@torch.no_grad()
def steps_of(cache, tokens=8):
    """Feeds a token at a time. What each step met: the address of the keys of layer 0, and the logits."""
    addresses, logits = [], []
    for t in range(tokens):
        logits.append(model(ids[:, t : t + 1], cache=cache))
        addresses.append(cache.keys[0].data_ptr())
    return addresses, torch.cat(logits, dim=1)


def moves_of(addresses):
    return sum(one != other for one, other in itertools.pairwise(addresses))


found = {}
for name, options in {"concat": {}, "dynamic": {}, "static": {"max_cache_len": 16}}.items():
    found[name] = steps_of(make_cache(name, model.config, dtype=model.dtype, **options))
    print(f"{name:8} the keys moved {moves_of(found[name][0])} times in 8 steps")
assert [moves_of(addresses) for addresses, _ in found.values()] == [7, 3, 0]
assert torch.allclose(found["static"][1], found["dynamic"][1], atol=1e-12)

# %% [markdown]
# ## 2. A fixed address is not a fixed shape
#
# Look at the last line of `store` above: it returns the slots that are filled, a **view**, which is a part of a tensor without a copy.
#
# **Claim.** What attention gets from our static cache stands at one address, but is one slot longer at each step.
#
# **Predict.** What would have to be returned for the shape to stay?


# %%
class Watched(StaticCache):
    """A static cache that writes down the shape and the address of the keys that layer 0 is given."""

    def reset(self):
        super().reset()
        self.shapes, self.addresses = [], []

    def update(self, k, v, layer):
        keys, values = super().update(k, v, layer)
        if layer == 0:
            self.shapes.append(tuple(keys.shape))
            self.addresses.append(keys.data_ptr())
        return keys, values


class Whole(Watched):
    """Returns all slots, filled or not. An empty one is reported as NEVER, so that no one sees it."""

    def admit(self, positions, ids=None):
        held = super().admit(positions, ids)
        return F.pad(held, (0, self.capacity - held.shape[1]), value=NEVER)

    def store(self, k, v, layer):
        super().store(k, v, layer)
        return self.keys[layer], self.values[layer]


for kind in (Watched, Whole):
    cache = kind(model.config, max_cache_len=16, dtype=model.dtype)
    _, logits = steps_of(cache)
    print(
        f"{kind.__name__:8} (B, S, heads, channels):",
        *cache.shapes[:3],
        "...",
        cache.shapes[-1],
    )
    assert len(set(cache.addresses)) == 1
    assert len(set(cache.shapes)) == {Watched: 8, Whole: 1}[kind]
    assert torch.allclose(logits, found["dynamic"][1], atol=1e-12)

# %% [markdown]
# Both give the right logits. Slicing by an integer that Python knows saves work, and that is what the package does. transformers'
# static cache does what `Whole` does: all slots, each time.

# %% [markdown]
# ### Exercise 1: what the slots hold
#
# `Whole.admit` must say for each slot which position it holds. Write that, given the positions of the filled slots.


# %% tags=["exercise"]
def slots_reported(held, capacity):
    """(B, n) positions of the filled slots -> (B, capacity), NEVER where a slot is empty."""
    raise NotImplementedError


# %% tags=["check"]
exercises.slots_reported.check(slots_reported)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def slots_reported(held, capacity):
#     report = torch.full((held.shape[0], capacity), NEVER)
#     report[:, : held.shape[1]] = held
#     return report
# ```
#
# </details>

# %% [markdown]
# ## 3. Empty slots must be hidden
#
# **Claim.** A slot full of zeros takes part in attention unless it is hidden.
#
# **Predict.** The score of a key of zeros is 0. Which weight does the softmax give it, beside a score of 0 of a real key?

# %%
torch.manual_seed(0)
q = torch.randn(1, 1, 1, 8, dtype=torch.float64)
k, v = torch.zeros(2, 1, 8, 1, 8, dtype=torch.float64)
k[:, :3], v[:, :3] = torch.randn(2, 1, 3, 1, 8, dtype=torch.float64)  # 3 tokens, 5 empty slots

right = attend(q, k[:, :3], v[:, :3], None)
positions = F.pad(torch.arange(3)[None], (0, 5), value=NEVER)
hidden = attend(q, k, v, sees(torch.tensor([[2]]), positions))
open_to_all = attend(q, k, v, None)
weights = ((q[0, :, 0] @ k[0, :, 0].T) / math.sqrt(8)).softmax(-1)
print(f"weight that leaks into 5 empty slots: {weights[0, 3:].sum():.2f}")
print(
    "hidden:",
    torch.allclose(hidden, right),
    "  not hidden:",
    torch.allclose(open_to_all, right),
)
assert torch.allclose(hidden, right)
assert not torch.allclose(open_to_all, right, atol=0.01)

# %% [markdown]
# Nothing in the formula knows that zeros mean "nobody": exp(0) is 1. Here is the mask of the first steps with 8 slots:

# %%
rows = [
    sees(torch.tensor([[t]]), F.pad(torch.arange(t + 1)[None], (0, 7 - t), value=NEVER))[
        0, 0, 0
    ]
    for t in range(5)
]
mask = torch.stack(rows).double()
names = [f"slot {s}" for s in range(8)]
show(
    grid(
        mask,
        [f"token {t}" for t in range(5)],
        names,
        "Filled slots are seen, empty ones are hidden",
        digits=0,
    ),
    "Five steps downwards, eight slots across. Ones from the left up to the token's own slot, zeros in all empty slots after it.",
)
assert mask.sum(-1).tolist() == [1, 2, 3, 4, 5]

# %% [markdown]
# The picture shows five steps: the ones grow by one, the width of the row stays. What grew in the shape has become a number in the mask.

# %% [markdown]
# ## 4. Hidden is not harmless
#
# **Claim.** A hidden slot still spoils everything if it holds NaN ("not a number"). So preallocate zeros, never `torch.empty`.
#
# **Predict.** A hidden slot has weight 0. What is 0 times NaN?

# %%
spoiled = v.clone()
spoiled[:, 5] = math.nan  # an empty slot that was never written
out = attend(q, k, spoiled, sees(torch.tensor([[2]]), positions))
print("0 * nan =", 0 * math.nan, "  the row of attention is NaN:", bool(out.isnan().all()))
assert out.isnan().all()

# %% [markdown]
# ## 5. Why fixed shapes compile
#
# A **compiler** (`torch.compile`) records the operations of a step as a **graph**, and makes fast code of it. The graph holds for the shapes that were
# seen. New shapes, new graph. We need no fast code to count them: this backend only counts.
#
# **Claim.** All slots and a mask: one graph, whatever the text. Filled slots only: a graph for each length.
#
# **Predict.** 6 steps. How many graphs each way? And if the compiler is allowed to leave a length open, as it does by default?


# %%
def step(q, k, v, mask):
    scores = (q @ k.transpose(-1, -2)).masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ v


def graphs(whole, dynamic):
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(step, backend=counter, dynamic=dynamic)
    keys, values, query = torch.zeros(1, 8, 4), torch.zeros(1, 8, 4), torch.zeros(1, 1, 4)
    for t in range(6):
        slots = 8 if whole else t + 1
        compiled(
            query, keys[:, :slots], values[:, :slots], torch.arange(slots) <= torch.tensor(t)
        )
    return counter.frame_count


counts = {}
for what, whole in {"filled slots": False, "all slots": True}.items():
    counts[what] = graphs(whole, dynamic=False), graphs(whole, dynamic=None)
    print(f"{what:12}: {counts[what][0]} graphs; with lengths left open: {counts[what][1]}")
assert counts["all slots"] == (1, 1)
assert counts["filled slots"][0] == 6
assert 1 < counts["filled slots"][1] < 6

# %% [markdown]
# So "static compiles once" is right, and "dynamic compiles at each step" is only half right: a compiler may notice that a length changes
# and leave it open. But a recording that replays fixed addresses, as CUDA graphs do on a GPU, can leave nothing open.
# Our `StaticCache` has fixed addresses and no fixed shapes: it would need the form of `Whole` here, and its bookkeeping in tensors too.

# %% [markdown]
# ## 6. What fixed shapes cost
#
# **Claim.** With all slots, each step reads the whole capacity, even for the second token.
#
# **Predict.** 8 tokens, fed one at a time, 16 slots. How many slots are read each way?

# %%
read = {}
for kind in (Watched, Whole):
    cache = kind(model.config, max_cache_len=16, dtype=model.dtype)
    steps_of(cache)
    read[kind.__name__] = sum(shape[1] for shape in cache.shapes)
print(read)
assert read == {"Watched": sum(range(1, 9)), "Whole": 8 * 16}

# %% [markdown]
# 128 against 36. A capacity chosen far too large is paid for at each step.

# %% [markdown]
# ### Exercise 2: slots read
#
# All slots are returned. A prompt is read in one step, then each new token but the last is read in one. How many slots does a layer read?


# %% tags=["exercise"]
def slots_read(prompt, new_tokens, capacity):
    """Slots, over all steps."""
    raise NotImplementedError


# %% tags=["check"]
exercises.slots_read.check(slots_read)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def slots_read(prompt, new_tokens, capacity):
#     return capacity * new_tokens
# ```
#
# One step for the prompt, which gives the first new token, and one for each other: as many steps as new tokens.
#
# </details>

# %% [markdown]
# ## 7. Break it: overflow
#
# **Claim.** Without a check, one token too many is lost without an error. With it, the call is refused and the cache is as it was.
#
# **Predict.** 4 slots, all filled. What does `keys[:, 4:5] = k` do?

# %%
keys, k = torch.zeros(1, 4, 1, 2), torch.ones(1, 1, 1, 2)
keys[:, 4:5] = k  # the slice is empty, and one row broadcasts into nothing
print("after the write of a fifth token, slots that hold it:", int((keys == 1).all(-1).sum()))
assert (keys == 0).all()

cache = make_cache("static", model.config, max_cache_len=4, dtype=model.dtype)
with torch.no_grad():
    model(ids[:, :4], cache=cache)
    before = cache.keys[0].clone()
    with refused(CacheFull):
        model(ids[:, 4:5], cache=cache)
assert cache.length == 4
assert torch.equal(cache.keys[0], before)

# %% [markdown]
# The check stands before anything is written, in `admit`, so that nothing is half done.

# %% [markdown]
# ### Exercise 3: find the bug
#
# This check has a bug that texts shorter than the capacity never show. Mend it.


# %%
def broken_fits(held, new, capacity):
    """Whether `new` tokens fit behind `held` ones."""
    return held + new <= capacity + 1


assert broken_fits(0, 3, 4)
assert broken_fits(3, 1, 4)
assert not broken_fits(4, 3, 4)


# %% tags=["exercise"]
def mended_fits(held, new, capacity):
    """Whether `new` tokens fit behind `held` ones."""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(mended_fits)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The broken one is the mutant *overflow is noticed one token late* of the test suite. The opposite mistake is there too: the mutant *the last slot is never used*.
#
# ```python
# def mended_fits(held, new, capacity):
#     return held + new <= capacity
# ```
#
# </details>

# %% [markdown]
# ## 8. Allocated against live
#
# **Claim.** A static cache takes the same memory for one token as for a full text.
#
# **Predict.** 16 of 512 slots are filled. Which share of the memory is in use?

# %%
cache = make_cache("static", model.config, max_cache_len=512, dtype=model.dtype)
many = torch.zeros(1, 512, dtype=torch.int64)
token_bytes = 2 * model.config.n_layer * model.config.n_kv_head * model.config.head_size * 8
for end in (16, 128, 512):
    with torch.no_grad():
        model(many[:, cache.length : end], cache=cache)
    live = cache.length * token_bytes
    print(
        f"{end:3} tokens: {cache.nbytes:,} bytes allocated, {live:,} live: {live / cache.nbytes:.1%}"
    )
    assert cache.nbytes == 512 * token_bytes
assert live == cache.nbytes

# %% [markdown]
# At 16 tokens it is 3.1%. Servers with many users divide the memory into small blocks instead, and give them out as texts grow ("paged" attention).

# %% [markdown]
# ## What to take away
#
# - A fixed address comes from preallocation; a fixed shape comes from returning all slots and hiding the empty ones.
# - Zeros are not nobody: hide them. NaN can't be hidden: never preallocate with `empty`.
# - One shape, one graph. The price: each step reads the whole capacity, and the memory is taken from the start.
# - Refuse before anything is written.
#
# Next, notebook 05: a cache that forgets.
