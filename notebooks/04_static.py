# %% [markdown]
# # 04 The static cache
#
# All slots are there from the start, and nothing ever moves. We look at the addresses and shapes that each step sees, hide
# the empty slots, count how often a compiler must start again, generate with a compiled step, and let the cache overflow. At
# the end you know how addresses and shapes both stay fixed, what that is for, and what it costs.

# %% [markdown]
# **中文提要**　静态缓存一开始就分配好全部槽位，地址从此不变。地址不变与形状不变是两回事：若只返回已填的槽位（视图），地址固定而形状逐步增长；
# 返回全部槽位，形状才也固定，本项目的静态缓存正是这样。这时空槽位必须用掩码遮住，因为全零的键得分是 0，而 exp(0) 等于 1，空槽位照样会分到权重；缓存把空槽位的位置报为 NEVER，掩码便遮住它们。
# 实验用编译器的计数器数出各自需要多少张计算图，并打印出一张计算图：只剩一串运算，Python 已不在其中；`compile=True` 让整个解码步骤成为一张图，生成的文本与逐步执行时相同。代价是每一步都要计算并读取全部槽位，占用的内存与文本长短无关。容量不够时必须明确报错，而不是悄悄丢掉词元。

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
# | guard | 守卫 | what must still hold for a graph to be used again |
# | overflow | 溢出 | more tokens than slots |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import itertools
import math
import textwrap
import time

import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters
from torch.fx.experimental.proxy_tensor import make_fx

from minigpt import GPT, GPTConfig, load_tokenizer, make_cache
from minigpt.attention import NEVER, attend, sees
from minigpt.cache import Cache, CacheError, CacheFull, DynamicCache, StaticCache
from minigpt.exercises import e04_preallocating as exercises
from minigpt.measure.counted.observer import Observer
from minigpt.measure.counted.trace import trace
from minigpt.show.notebook import WIDTH, changed, code, grid, refused, show

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
ids = torch.tensor([load_tokenizer("recall").encode("To be, or not to be, that is").ids])

# %% [markdown]
# ## 1. Nothing moves
#
# The dynamic cache of notebook 03 moves to larger tensors when its **slots** (places for one token each) run out. The
# **static cache** allocates all the memory that it will ever need at once: **preallocation**. The number of its slots is its
# **capacity**.
#
# **Claim.** The static cache needs no code that makes room, and no key or value ever moves.
#
# **Predict.** 8 tokens, fed one at a time. How often do the keys move if each step concatenates, and if the room doubles whenever it is full?

# %%
lines = changed(DynamicCache.place, StaticCache.place)
assert [line[0] for line in lines] == ["-"] * 4 + ["+"]


# %%
class Watched(Observer):
    """Passes everything on, and writes down what layer 0 is given: the keys' shapes and
    addresses, the positions."""

    def __init__(self, cache):
        super().__init__(cache)
        self.shapes, self.addresses, self.k_pos = [], [], []

    def update(self, k, v, layer):
        k, v, k_pos = super().update(k, v, layer)
        if layer == 0:
            self.shapes.append(tuple(k.shape))
            self.addresses.append(k.data_ptr())
            self.k_pos.append(k_pos)
        return k, v, k_pos


@torch.no_grad()
def steps_of(cache, tokens=8):
    """Feeds a token at a time. What was seen on the way, and the logits."""
    watched = Watched(cache)
    logits = [model(ids[:, t : t + 1], cache=watched) for t in range(tokens)]
    return watched, torch.cat(logits, dim=1)


def moves_of(addresses):
    return sum(one != other for one, other in itertools.pairwise(addresses))


found = {}
for name, options in {"concat": {}, "dynamic": {}, "static": {"max_cache_len": 16}}.items():
    found[name] = steps_of(make_cache(name, model.config, dtype=model.dtype, **options))
    print(f"{name:8} the keys moved {moves_of(found[name][0].addresses)} times in 8 steps")
assert [moves_of(watched.addresses) for watched, _ in found.values()] == [7, 3, 0]
assert torch.allclose(found["static"][1], found["dynamic"][1], atol=1e-12)

# %% [markdown]
# **Answer.** 7 times if each step concatenates, 3 times if the room doubles; and never if all of it was there from the start.
# Of `place`, which says where the new tokens go, only the index is left. It is a tensor, `at`, made once per pass; section 5
# says why.

# %% [markdown]
# ## 2. A fixed address is not a fixed shape
#
# The dynamic cache returns the slots that are filled, as a **view**: a part of a tensor without a copy. The static one could
# do so too. It returns all its slots instead (`read` is their number, except in the compiled step of section 5):

# %% tags=["on-slide"]
code(StaticCache.store)

# %% [markdown]
# **Claim.** What attention gets from our static cache always has the same address and the same shape. If only the filled
# slots were returned, the address would stay, but the shape would grow by one slot at each step. The logits are the same.
#
# **Predict.** There are 16 slots and 1 token, and attention is given 16 keys. What keeps it from looking at the empty ones?


# %%
class Filled(StaticCache):
    """Returns the filled slots only, as the dynamic cache does."""

    store = Cache.store


for kind in (Filled, StaticCache):
    seen, logits = steps_of(kind(model.config, max_cache_len=16, dtype=model.dtype))
    print(
        f"{kind.__name__:11}", *seen.shapes[:2], "...", seen.shapes[-1]
    )  # (B, S, heads, channels)
    assert len(set(seen.addresses)) == 1
    assert len(set(seen.shapes)) == {Filled: 8, StaticCache: 1}[kind]
    assert torch.allclose(logits, found["dynamic"][1], atol=1e-12)

for k_pos in seen.k_pos[:3]:
    first = ("NEVER" if position == NEVER else position for position in k_pos[0, :8].tolist())
    print("positions of the slots:", *first, "...")
assert [(k_pos != NEVER).sum() for k_pos in seen.k_pos] == list(range(1, 9))

# %% [markdown]
# **Answer.** Their positions do. An empty slot is reported at the position `NEVER`, in every token's future. So causality
# hides it, and it needs no rule of its own.
#
# Padding was hidden in the same way in notebook 03. transformers' static cache returns all slots, too.

# %% [markdown]
# ### Exercise 1: what the slots hold
#
# The static cache must report for each slot which position it holds. Write that report, given the positions of the filled
# slots.


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
# `StaticCache.admit` does just this, once per pass, for all layers.
#
# </details>

# %% [markdown]
# ## 3. Empty slots must be hidden
#
# **Claim.** A slot full of zeros takes part in attention unless it is hidden.
#
# **Predict.** The score of a key of zeros is 0. What weight does the softmax give it, compared with a real key whose score is
# 0?

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
# **Answer.** The same weight: exp(0) is 1, and nothing in the formula knows that zeros mean "nobody". Here 0.29 of the weight
# goes to empty slots. So they must be hidden.
#
# Here is the mask of the first steps with 8 slots, from the positions that our cache reports:

# %%
seen, _ = steps_of(make_cache("static", model.config, max_cache_len=8, dtype=model.dtype), 5)
rows = [sees(torch.tensor([[t]]), k_pos)[0, 0, 0] for t, k_pos in enumerate(seen.k_pos)]
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
    "Five steps downwards, eight slots across. Ones from the left up to the token's own slot, "
    "zeros in all empty slots after it.",
)
assert mask.sum(-1).tolist() == [1, 2, 3, 4, 5]

# %% [markdown]
# The picture shows five steps: each row has one more 1 than the row above it, but is no wider. What used to grow in the shape
# now grows in the mask.

# %% [markdown]
# ## 4. Hidden is not harmless
#
# **Claim.** It matters what a hidden slot contains. So preallocate zeros, never `torch.empty`.
#
# **Predict.** A hidden slot has weight 0. What could it hold that still corrupts the sum?

# %%
spoiled = v.clone()
spoiled[:, 5] = math.nan  # an empty slot that was never written
out = attend(q, k, spoiled, sees(torch.tensor([[2]]), positions))
print("0 * nan =", 0 * math.nan, "  0 * inf =", 0 * math.inf)
print("the row of attention is NaN:", bool(out.isnan().all()))
assert out.isnan().all()

# %% [markdown]
# **Answer.** NaN ("not a number"): 0 times NaN is NaN, and so is the whole sum. Infinity would do it, too. `torch.empty`
# returns whatever was in that memory before, and that can be either.

# %% [markdown]
# ## 5. Why fixed shapes compile
#
# A **compiler** (`torch.compile`) records the operations of a step as a **graph**, and makes fast code of it. The graph is
# valid for the shapes that were seen: new shapes need a new graph. What makes the code, the *backend*, can be exchanged: here
# it only counts graphs.
#
# **Claim.** A cache that returns all its slots needs one graph, however long the text.
#
# **Predict.** Now only the filled slots are returned, in 6 steps. How many graphs are needed, if the compiler may leave a
# length open, as it does by default?


# %%
def step(q, q_pos, k, v, k_pos):
    return attend(q, k, v, sees(q_pos, k_pos))


tiny = GPTConfig(vocab_size=1, context=8, n_layer=1, n_head=1, n_embd=4)


def graphs(kind, dynamic):
    """That attention needs for 6 steps, with what such a cache returns."""
    torch._dynamo.reset()
    counter, cache = CompileCounter(), kind(tiny)
    compiled = torch.compile(step, backend=counter, dynamic=dynamic)
    for t in range(6):
        new, q_pos = torch.ones(1, 1, 1, 4), torch.tensor([[t]])
        cache.admit(q_pos)
        compiled(new, q_pos, *cache.update(new, new, 0))
    return counter.frame_count


counts = {}
for kind in (Filled, StaticCache):
    counts[kind] = graphs(kind, dynamic=False), graphs(kind, dynamic=None)
    print(
        f"{kind.__name__:11} graphs: {counts[kind][0]}; with lengths left open: {counts[kind][1]}"
    )
assert counts[StaticCache] == (1, 1)
assert counts[Filled][0] == 6
assert 1 < counts[Filled][1] < 6

# %% [markdown]
# **Answer.** 3; or 6, one for each length, if it may leave nothing open. When all slots are returned, one is enough either
# way. So "static compiles once" is right, and "dynamic compiles at each step" is only half right: a compiler may notice that
# a length changes, and leave it open.

# %% [markdown]
# ### What a graph is
#
# **Claim.** A graph is a list of operations, recorded once. The Python around them (functions, loops, conditions) ran while
# it was recorded, and is gone.
#
# **Predict.** `step` above calls two functions, and both have conditions: is there a window, do heads share keys? How many of
# these are in the graph?


# %%
def listing(graph, inputs):
    """A backend that prints the list, and runs it as it is."""
    calls = [node.target for node in graph.graph.nodes if node.op.startswith("call")]
    print(*(call if isinstance(call, str) else call.__name__ for call in calls), sep="\n")
    return graph.forward


torch._dynamo.reset()
new, slots = torch.ones(1, 1, 1, 4), torch.ones(1, 8, 1, 4)
inputs = new, torch.tensor([[2]]), slots, slots, torch.arange(8)[None]
assert torch.equal(torch.compile(step, backend=listing)(*inputs), step(*inputs))

# %% [markdown]
# **Answer.** None. `sees` has become four `unsqueeze` and a comparison, `attend` the fused attention with `transpose` before
# and after it. No window was given and each head has its own keys, so the other branches aren't there. A condition whose
# result may change becomes a **guard**: it is checked before the graph runs, and where the result differs, another graph is
# needed. Shapes are guarded in this way.

# %% [markdown]
# ### A recording replays what it saw
#
# On a GPU one can go further: a CUDA graph is a recording of a step's operations, with the addresses they worked on, and is
# replayed without any Python. A recording can leave nothing open. We have no GPU here, but `make_fx` records operations in
# the same way: a tensor is read anew in each replay, a Python number stays as it was.
#
# **Claim.** Whether a write is still right in a replay depends on how it is told the slot. The wrong one raises no error.
#
# **Predict.** Both writes below are recorded for token 0, which goes to slot 0, and replayed for tokens 0, 1 and 2. Which
# token is in which slot then, in each case?


# %%
def by_number(keys, k, at, n):
    keys[:, n : n + 1] = k  # as the dynamic cache does


def by_tensor(keys, k, at, n):
    keys[:, at] = k  # as the static cache does


def recorded(write):
    """A call of it for token 0, as a list of operations."""

    def call(keys, k, at):
        write(keys, k, at, n=0)

    return make_fx(call)(torch.zeros(1, 4, 1, 2), torch.ones(1, 1, 1, 2), torch.tensor([0]))


filled = {}
for write in (by_number, by_tensor):
    recording, keys = recorded(write), torch.zeros(1, 4, 1, 2)
    for token in range(3):
        recording(keys, torch.full((1, 1, 1, 2), token + 1.0), torch.tensor([token]))
    filled[write] = keys[0, :, 0, 0].int().tolist()
    held = [number - 1 if number else "-" for number in filled[write]]
    print(f"{write.__name__}: tokens in slots 0 to 3:", *held)
assert filled == {by_number: [3, 0, 0, 0], by_tensor: [1, 2, 3, 0]}

# %% [markdown]
# **Answer.** With a Python number, all three are written to slot 0, each over the one before. With a tensor they go to slots
# 0, 1 and 2. That is why our static cache makes its index a tensor, `at`: keys and values stay where they are, and what
# changes from step to step is a few numbers in tensors of fixed shape, which can be copied in.

# %% [markdown]
# ### Exercise 2: a write that counts for itself
#
# Better still if nothing needs to be copied in: let the recording count. `count` is a tensor that holds the number of tokens
# so far. Write `k` into the next token's slot, starting again at the first slot whenever the last one is full, and increase
# `count`, so that every replay of the same recording does the right thing. Return nothing: the check records one call,
# replays it, and looks at `keys` and `count`. (A recording has no numbers to give to Python: `int(count)` raises an error.)


# %% tags=["exercise"]
def write(keys, k, count):
    """keys: (slots, D), all there is. k: (1, D), of the new token. count: (1,), int64."""
    raise NotImplementedError


# %% tags=["check"]
exercises.write.check(exercises.replayed(write))

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def write(keys, k, count):
#     keys[count % keys.shape[0]] = k
#     count += 1
# ```
#
# `count += 1` changes the tensor in place, at its address; `count = count + 1` would make a new one, and each replay would
# start from the old one again.
#
# </details>

# %% [markdown]
# ### The whole step as one graph
#
# With `compile=True`, `generate` runs each decode step in this way: all layers, including the cache's writes, are one graph.
# The prompt is read uncompiled, as before.
#
# **Claim.** It gives the same text as the eager (uncompiled) step, with one graph for all texts; and it is refused where
# shapes aren't fixed.
#
# **Predict.** Two prompts of different lengths are given 40 new tokens each, then the first once more. Which calls take
# seconds?

# %%
single = GPT.from_pretrained("recall", dtype=torch.float32)
prompts = ids, ids[:, :4]


def generated(prompt, **how):
    return single.generate(
        prompt, max_new_tokens=40, max_cache_len=64, cache_implementation="static", **how
    )


with refused(CacheError):
    single.generate(ids, compile=True)  # dynamic

# %% [markdown]
# On a CPU the compiler writes C++, so a C++ compiler must be installed. Where there is none, `generate` says so before any
# work, and this cell prints only that:

# %% tags=["timed"]
torch._dynamo.reset()
counters.clear()
try:
    for prompt in (*prompts, ids):
        begin = time.perf_counter()
        text = generated(prompt, compile=True)
        took, made = time.perf_counter() - begin, counters["stats"]["unique_graphs"]
        print(f"{prompt.shape[1]:2} tokens of prompt: {took:6.2f} s, graphs so far: {made}")
        assert torch.equal(text, generated(prompt))
        assert made == 1
    print(load_tokenizer("recall").decode(text[0].tolist()))
except ValueError as error:
    print(*textwrap.wrap(str(error), WIDTH), sep="\n")

# %% [markdown]
# **Answer.** Only the first, which compiles. After it all lengths use the same graph: it is given only the slots in use, and
# leaves their number open. The count of graphs stays at one. Without compiling, Python would start each of the graph's
# operations, one by one; notebook 08 measures what that costs.

# %% [markdown]
# ## 6. What fixed shapes cost
#
# **Claim.** What the mask hides is computed and read all the same.
#
# **Predict.** 8 tokens, fed one at a time, and 16 slots. By what factor does a layer read more slots than if only the filled
# ones were returned: two, or more?

# %%
read, flops, nbytes = {}, {}, {}
for name, options in {"dynamic": {}, "static": {"max_cache_len": 16}}.items():
    read[name] = sum(shape[1] for shape in found[name][0].shapes)
    passes = trace(model, ids[:, :1], 8, name, **options).passes  # counts everything
    flops[name] = sum(each.flops.attention for each in passes)
    nbytes[name] = sum(sum(each.read) for each in passes)
    print(
        f"{name:7}: {read[name]:3} slots read in a layer; "
        f"attention, in all: {flops[name]:,} FLOPs, {nbytes[name]:,} bytes read"
    )
assert read == {"dynamic": sum(range(1, 9)), "static": 8 * 16}
for counted in (flops, nbytes):
    assert counted["static"] * read["dynamic"] == counted["dynamic"] * read["static"]

# %% [markdown]
# **Answer.** By more than three: 128 slots against 36. Attention's FLOPs (multiplications and additions) and the bytes that
# it reads grow by the same factor. Each step pays for the whole capacity, even that of the second token. Only attention pays:
# the other parts of a step process just the new token.

# %% [markdown]
# ### Exercise 3: how large a capacity pays
#
# Nobody knows how long the text will be. So begin with `block` slots, and add `block` more whenever a token finds no room.
# Each capacity needs its own graph, and making one takes as long as reading `graph` slots. Tokens are fed one at a time, and
# each step reads all slots that there are, including that of the new token. Return the cost of `tokens` tokens, including the
# graphs, in slots read.


# %% tags=["exercise"]
def block_cost(tokens, block, graph):
    """A whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.block_cost.check(block_cost)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def block_cost(tokens, block, graph):
#     read = sum(math.ceil(held / block) * block for held in range(1, tokens + 1))
#     return read + math.ceil(tokens / block) * graph
# ```
#
# Small blocks pay for graphs, large ones for empty slots; the best block size grows with the square root of `graph`.
#
# </details>

# %% [markdown]
# For 1,000 tokens, and graphs that cost as much as reading 5,000 slots:

# %%
costs = {
    block: exercises.block_cost.reference(1000, block, 5000) for block in (1, 10, 100, 1000)
}
print({block: f"{cost:,}" for block, cost in costs.items()})
assert min(costs, key=costs.get) == 100

# %% [markdown]
# Neither a graph for each length nor one for all: of these four, blocks of 100 slots are best.

# %% [markdown]
# ## 7. Break it: overflow
#
# **Claim.** Our cache refuses a token too many before anything is written: it stays as it was.
#
# **Predict.** What if nobody checked? There are 4 slots, all filled. What does `keys[:, 4:5] = k` do?

# %%
keys, k = torch.zeros(1, 4, 1, 2), torch.ones(1, 1, 1, 2)
keys[:, 4:5] = k  # the slice is empty, and one row broadcasts into nothing
print("after the write of a fifth token, slots that hold it:", int((keys == 1).all(-1).sum()))
assert (keys == 0).all()
with refused(IndexError):
    keys[:, torch.tensor([4])] = k

cache = make_cache("static", model.config, max_cache_len=4, dtype=model.dtype)
with torch.no_grad():
    model(ids[:, :4], cache=cache)
    before = cache.kv[0][0].clone()
    with refused(CacheFull):
        model(ids[:, 4:5], cache=cache)
assert cache.length == 4
assert torch.equal(cache.kv[0][0], before)

# %% [markdown]
# **Answer.** It writes nothing and raises no error: the token is lost. With a tensor as the index there is an error, but in
# the middle of a pass, when something may already have been written. Our cache checks beforehand, in `admit`, so that nothing
# is half done.

# %% [markdown]
# ## 8. Allocated against live
#
# **Claim.** A static cache takes the same memory for one token as for a full text.
#
# **Predict.** 16 of 512 slots are filled. What share of the memory is in use?

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
# **Answer.** 3.1%. Servers with many users divide the memory into small blocks instead, and hand them out as texts grow
# ("paged" attention).

# %% [markdown]
# ## What to take away
#
# - A fixed address comes from preallocation; a fixed shape comes from returning all slots. Positions hide the empty ones.
# - Zeros get weight too: hide them. NaN can't be hidden: never preallocate with `empty`.
# - A graph is a list of operations without the Python. One shape, one graph; and a recording replays Python's numbers as they
#   were. The price: the memory is taken from the start, and each step computes and reads the whole capacity (unless a graph
#   leaves the length open).
# - Refuse before anything is written.
#
# Next, notebook 05: a cache that forgets.
