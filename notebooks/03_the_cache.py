# %% [markdown]
# # 03 The cache
#
# We keep the keys and values, first in a few lines, then in a form that copies little. Then we hold it to its promise: the same
# logits as without a cache, for one text and for several, token by token and in pieces. At the end you know what
# a cache saves, what it can't save, and the three mistakes that nearly everyone makes.

# %% [markdown]
# **中文提要**　本节把键和值保存下来：先是只有几行的 `torch.cat` 版本，再是每次就地写入、容量翻倍的动态缓存，两者的 `store` 只有三行不同（由真实源码比对得出），另有一个方法腾出空间、给出写入的位置。
# 有了缓存，每一步只需输入一个新词元；结果与不用缓存相同，只差舍入误差：float64 最小，float32 大一些，bfloat16 更大；遇到近似并列的得分，选出的词元就可能不同。
# 缓存省去的是重复计算，省不掉的是每一步都要读完整个缓存。最后是位置、左填充，以及一次输入多个新词元时的因果掩码。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | KV cache | 键值缓存（KV 缓存） | the kept keys and values of all tokens so far |
# | dynamic cache | 动态缓存 | one that grows with the text |
# | slot | 槽位 | the place of one token in a cache |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, a new token each |
# | chunk | 分块 | a piece of a prompt, fed at once |
# | position | 位置 | the place of a token in its text, which the model reads beside the token |
# | left padding | 左填充 | filling up short texts of a batch at their beginning |
# | attention mask | 注意力掩码 | 1 where a token is real, 0 where it is padding |
# | causal mask | 因果掩码 | hides from each token all that comes after it |
# | batch | 批次 | several texts computed together |
# | logits | logits（未归一化得分） | a number for each token of the vocabulary: the higher, the likelier it comes next |
# | rounding error | 舍入误差 | what is lost because a number has so many bits and no more |
# | near tie | 近似并列 | two logits so close that a rounding error decides between them |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import time

import torch
import torch.nn.functional as F

from minigpt import GPT, CacheError, load_tokenizer, make_cache
from minigpt.arguments import plan
from minigpt.attention import NEVER, attend, sees
from minigpt.cache import Cache, ConcatCache, DynamicCache
from minigpt.cache.dynamic import grow
from minigpt.exercises import e03_caching as exercises
from minigpt.model import Attention
from minigpt.show.notebook import changed, code, grid, refused, show, source_of

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
tokenizer = load_tokenizer("recall")
ids = torch.tensor([tokenizer.encode("HAMLET.\nTo be").ids])

# %% [markdown]
# ## 1. Keep them
#
# **Claim.** Add one line to the loop of notebook 02 and change another, and each token is read once.
#
# **Predict.** Which part of the text must the model be fed at the first step? Which at the second?


# %%
@torch.no_grad()
def generate(model, ids, new_tokens):
    for _ in range(new_tokens):
        logits = model(ids)
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return ids


@torch.no_grad()
def generate_cached(model, ids, new_tokens):
    cache = make_cache("concat", model.config, dtype=model.dtype)
    for _ in range(new_tokens):
        logits = model(ids[:, cache.length :], cache=cache)
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return ids


lines = changed(generate, generate_cached)
assert [line[0] for line in lines if "def " not in line] == ["+", "-", "+"]
assert torch.equal(generate_cached(model, ids, 20), generate(model, ids, 20))

# %% [markdown]
# `cache.length` is how many tokens the cache has taken in. At first it is zero, so the whole prompt is fed: **prefill**. From then on one token is
# fed at each step: **decode**. Here is all that is special to this cache, and the line of the model that calls it.
# (`kv[layer]` are the keys and values of a layer. `length` counts the new tokens already, and `text.new` is how many they are: `admit` has taken note of
# them before any layer writes.)

# %%
code(ConcatCache)
print()
code(Attention.forward)
assert source_of(Attention.forward).count("cache.") == 1

# %% [markdown]
# `cache.update` takes the new keys and values of a layer and returns all of them, old and new, and their positions, `k_pos`; it ends in the cache's
# `store`. From the positions `sees` makes the mask, as in notebook 01. The query `q` stays as short as what was fed. That is all that a layer knows of a cache.

# %% [markdown]
# ## 2. Why only one token is fed
#
# **Claim.** What you feed to a model with a cache is taken for *new* tokens. Feed the whole text again, and the model reads it twice.
#
# **Predict.** The cache holds 7 tokens. We feed all 8 tokens of the text. How many does it hold then?

# %%
text = generate(model, ids, 1)  # 8 tokens
with torch.no_grad():
    right = model(text)[:, -1]

    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    model(text[:, :7], cache=cache)
    once = model(text[:, 7:], cache=cache)[:, -1]

    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    model(text[:, :7], cache=cache)
    twice = model(text, cache=cache)[:, -1]

print("one token fed: equal to the uncached logits:", torch.allclose(once, right, atol=1e-12))
print("all fed again: equal to the uncached logits:", torch.allclose(twice, right, atol=1e-12))
print(
    "the cache now holds", cache.length, "tokens, at the positions", cache.positions[0].tolist()
)
assert torch.allclose(once, right, atol=1e-12)
assert not torch.allclose(twice, right, atol=0.1)
assert cache.length == 15

# %% [markdown]
# Nothing crashed: the model found a text of 15 tokens plausible too. `model.generate(text, cache=cache)` is more careful. It takes
# the *whole* text, compares it with what the cache holds, and feeds what is missing. A cache that holds more than the text is refused:

# %%
with refused(CacheError):
    model.generate(text, cache=cache)

# %% [markdown]
# ### Exercise 1: prefill in pieces
#
# A long prompt need not be read at once. Feed it in **chunks** of `size` tokens (the last one may be shorter) through one cache, and return the
# logits of all tokens. `make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)` makes the cache.


# %% tags=["exercise"]
@torch.no_grad()
def prefill(model, ids, size):
    """(B, T) -> logits (B, T, V), the prompt fed in chunks."""
    raise NotImplementedError


# %% tags=["check"]
exercises.prefill.check(prefill)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# @torch.no_grad()
# def prefill(model, ids, size):
#     cache = make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)
#     return torch.cat([model(piece, cache=cache) for piece in ids.split(size, dim=1)], dim=1)
# ```
#
# </details>

# %% [markdown]
# ## 3. From concat to dynamic: three lines
#
# `torch.cat` makes a new tensor and copies all that was kept into it, at every step, in every layer. The **dynamic cache** has room to
# spare: a **slot** for each token so far and as many empty ones. A new token is written into the next empty slot. When
# they run out, the room is doubled.
#
# **Claim.** Three lines of `store` change, `place` is new, and the copying for a text of n tokens falls from about n²/2 rows to fewer than 2n.
#
# **Predict.** From one token to 200, doubling each time: how often must the room grow?

# %%
lines = changed(ConcatCache.store, DynamicCache.store)
assert sum(line.startswith("+") for line in lines) == 3
assert DynamicCache.store is Cache.store  # one for all caches that write in place

# %% [markdown]
# `store` asks `place` for the index of the new tokens' slots and `tensors` for what the layer is kept in (here that is `kv[layer]`), writes, and returns a view of the slots
# that are filled: no copy. The copying happens in `place`, and seldom:

# %%
code(DynamicCache.place)
print()
code(grow)

# %% [markdown]
# Count the copying: whenever the keys of layer 0 have moved to another place in memory, all that was held has been copied.

# %%
many = torch.randint(
    model.config.vocab_size, (1, 400), generator=torch.Generator().manual_seed(0)
)
copied, moves = {}, {}
for name in ("concat", "dynamic"):
    cache = make_cache(name, model.config, dtype=model.dtype)
    copied[name] = moves[name] = 0
    with torch.no_grad():
        for t in range(200):
            place, held = cache.kv[0][0].data_ptr(), cache.length
            model(many[:, t : t + 1], cache=cache)
            if held and cache.kv[0][0].data_ptr() != place:
                copied[name], moves[name] = copied[name] + held, moves[name] + 1
    print(f"{name:7}: {moves[name]:3} moves, {copied[name]:6,} rows copied in each layer")
assert copied == {"concat": sum(range(200)), "dynamic": 1 + 2 + 4 + 8 + 16 + 32 + 64 + 128}
assert copied["dynamic"] < 2 * 200

# %% [markdown]
# 8 moves in place of 199. The price: up to half of the slots are empty. `cache.nbytes` counts them too.

# %% [markdown]
# ### Exercise 2: find the bug
#
# This `grow` has a bug of one character. A text that fits the first room never shows it.


# %%
def broken_grow(buffer, used, slots):
    """A longer buffer (B, slots or more, ...), with the first `used` slots of this one copied."""
    slots = max(slots, 2 * buffer.shape[1])
    longer = buffer.new_zeros(buffer.shape[0], slots, *buffer.shape[2:])
    longer[:, 1:used] = buffer[:, 1:used]
    return longer


assert torch.equal(broken_grow(torch.zeros(1, 0, 2), 0, 4), grow(torch.zeros(1, 0, 2), 0, 4))


# %% tags=["exercise"]
def mended_grow(buffer, used, slots):
    """A longer buffer (B, slots or more, ...), with the first `used` slots of this one copied."""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(mended_grow)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Slot 0, the oldest token, is lost each time the room grows: the mutant *growing loses the oldest token* of the test suite.
#
# ```python
# def mended_grow(buffer, used, slots):
#     slots = max(slots, 2 * buffer.shape[1])
#     longer = buffer.new_zeros(buffer.shape[0], slots, *buffer.shape[2:])
#     longer[:, :used] = buffer[:, :used]
#     return longer
# ```
#
# </details>

# %% [markdown]
# ## 4. Equal, to rounding
#
# One token at a time, the same sums are made in another order than for the whole text at once, and a computer's sums depend on the
# order a little: a **rounding error**. How large it is depends on the number format.
#
# **Claim.** The cached logits are the uncached ones, to about the last digit that the format has: float64, float32, bfloat16.
#
# **Predict.** The logits are as large as 13. Will float32 agree to three digits, to five, to eight?

# %%
story = model.generate(ids, max_new_tokens=193)  # 200 tokens
bounds = {torch.float64: 1e-12, torch.float32: 1e-3, torch.bfloat16: 0.5}
logits = {}
for dtype, bound in bounds.items():
    gpt = GPT.from_pretrained("recall", dtype=dtype)
    cache = make_cache("dynamic", gpt.config, dtype=dtype)
    with torch.no_grad():
        uncached = gpt(story)
        pieces = [gpt(story[:, :7], cache=cache)]
        pieces += [gpt(story[:, t : t + 1], cache=cache) for t in range(7, 200)]
    cached = torch.cat(pieces, dim=1)
    logits[dtype] = uncached[0].double(), cached[0].double()
    difference = (logits[dtype][0] - logits[dtype][1]).abs().max().item()
    print(f"{dtype}: all logits agree to {bound}: {difference < bound}")
    assert difference < bound
print(f"the largest logit: {logits[torch.float64][0].abs().max():.0f}")

# %% [markdown]
# The bounds are generous, so that they hold on any machine. On yours the differences are:

# %% tags=["timed"]
for dtype, (uncached, cached) in logits.items():
    difference, other = (
        (uncached - cached).abs().max().item(),
        (uncached.argmax(-1) != cached.argmax(-1)).sum(),
    )
    print(
        f"{dtype}: largest difference {difference:.1e}, "
        f"another token chosen at {other} of 200 places"
    )

# %% [markdown]
# ### A near tie flips
#
# Greedy decoding takes the highest logit. When the two highest are closer together than the rounding error (a **near tie**), the cached
# and the uncached run may take different ones; from there on they write different texts. In bfloat16 this happens by itself now and then.
# In float32 we must help: we look for the place where rounding moved the gap between the two highest logits most, and handicap the
# first by a number between the two gaps, as a penalty for repetition might.

# %%
uncached, cached = logits[torch.float32]
top = uncached.topk(2).indices  # (T, 2)
gap, gap_cached = (
    x.gather(1, top) @ torch.tensor([1.0, -1.0], dtype=torch.float64)
    for x in (uncached, cached)
)
at = (gap - gap_cached).abs().argmax()
handicap = (gap[at] + gap_cached[at]) / 2
first, second = top[at].tolist()
choices = [
    first if x[at, first] - handicap > x[at, second] else second for x in (uncached, cached)
]
print("the gap moved by less than 0.001:", bool((gap[at] - gap_cached[at]).abs() < 0.001))
print("uncached and cached choose the same token:", choices[0] == choices[1])
assert choices[0] != choices[1]

# %% [markdown]
# So "the same tokens" is no fair test of a cache in low precision, and "different tokens" no proof of a bug. This project
# compares *logits*, in float64.

# %% [markdown]
# ## 5. What it saves, what it still pays
#
# **Claim.** A cache takes 2 (keys and values) x layers x heads x channels numbers for each token. And a step still reads all of them.
#
# **Predict.** Our model has 3 layers and 2 heads of 64 channels; in float64 a number has 8 bytes. How many bytes for each token?

# %%
cache = make_cache("concat", model.config, dtype=model.dtype)
for end in (100, 400):
    with torch.no_grad():
        model(many[:, cache.length : end], cache=cache)
    print(
        f"{cache.length} tokens: {cache.nbytes:,} bytes, "
        f"{cache.nbytes // cache.length:,} for each token"
    )
config = model.config
assert cache.nbytes == 400 * 2 * config.n_layer * config.n_kv_head * config.head_size * 8

# %% [markdown]
# Every one of these bytes is read for each new token: its query meets all keys, its weights all values. So a step with a cache
# still takes longer on a longer text; on our small model and short texts that is hardly to be measured, beside what is saved.
# The time of one step, both ways:


# %% tags=["timed"]
def timed(step):
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


@torch.no_grad()
def one_step(length):
    """Seconds of the step that reads token `length`, without and with a cache; the best of five."""
    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    model(many[:, : length - 6], cache=cache)
    model(many[:, length - 6 : length - 5], cache=cache)  # the room grows here, not below
    cached = [timed(lambda: model(many[:, :1], cache=cache)) for _ in range(5)]
    uncached = [timed(lambda: model(many[:, :length])) for _ in range(5)]
    return min(uncached), min(cached)


for length in (50, 100, 200, 400):
    uncached, cached = one_step(length)
    print(
        f"token {length:3}: uncached {1000 * uncached:6.2f} ms, cached {1000 * cached:5.2f} ms"
    )
assert uncached > 2 * cached

# %% [markdown]
# The first token is not helped at all: prefill computes the whole prompt, cache or no cache. Notebook 08 counts all of this.

# %% [markdown]
# ## 6. Several texts: positions and left padding
#
# Texts of a batch have different lengths, and a tensor has one. The short ones are filled up on the left, **left padding**, so that all
# end together, where the new tokens come. An **attention mask** says which tokens are real.
#
# Two things follow. Each row has its own **positions**: its first *real* token stands at zero. And no one may see the padding.
# The package does both at once: a pad stands at the position `NEVER`, a number that no text is long enough to reach; it lies in everyone's future, and
# causality hides it.
#
# **Claim.** A row of a padded batch gives what it gives alone.
#
# **Predict.** The second text is 3 tokens shorter. What is the position of its first real token? What goes wrong if we say 3?

# %%
long, short = (
    tokenizer.encode(text).ids for text in ("To be, or not to be, that is", "HAMLET.\nTo be")
)
pads = len(long) - len(short)
batch = torch.tensor([long, [0] * pads + short])
mask = torch.tensor([[1] * len(long), [0] * pads + [1] * len(short)])
positions = plan(model, batch, mask, max_new_tokens=1)[1][:, :-1]  # as `generate` makes them
for row in positions.tolist():
    print(*(f"{'NEVER' if position == NEVER else position:>6}" for position in row))

together = model.generate(batch, mask, max_new_tokens=12)
alone = model.generate(torch.tensor([short]), max_new_tokens=12)
assert torch.equal(together[1, pads:], alone[0])
assert pads == 3

with torch.no_grad():
    right = model(torch.tensor([short]))[0, -1]
    ours = model(batch, positions)[1, -1]
    naive = model(batch)[1, -1]  # positions 0, 1, 2, ... for every row, padding and all
print("with its own positions: equal to alone:", torch.allclose(ours, right, atol=1e-12))
print("counted from the padding on:            ", torch.allclose(naive, right, atol=1e-12))
assert torch.allclose(ours, right, atol=1e-12)
assert not torch.allclose(naive, right, atol=0.1)

# %% [markdown]
# The naive row is wrong twice: it stands 3 positions too far right, and it sees 3 tokens that are not there.

# %% [markdown]
# ### Exercise 3: positions
#
# Write the positions for any attention mask with padding on the left. `cumsum` adds up along an axis.


# %% tags=["exercise"]
def positions_of(mask):
    """(B, T) of 0 and 1 -> (B, T): 0, 1, 2, ... from each row's first real token on, NEVER before it."""
    raise NotImplementedError


# %% tags=["check"]
exercises.positions_of.check(positions_of)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def positions_of(mask):
#     return (mask.cumsum(1) - 1).masked_fill(mask == 0, NEVER)
# ```
#
# </details>

# %% [markdown]
# ## 7. Break it: the mask of several new tokens
#
# When one token is decoded it sees everything, and the mask hides nothing. When several are fed at once behind a filled cache
# (a chunk of a prompt, the next turn of a chat), each must see all old tokens, and of the new ones those up to itself.
#
# **Claim.** The triangle of the mask ends in the lower *right* corner. PyTorch's `is_causal=True` puts it into the upper *left*.
#
# **Predict.** One new token, 5 old ones, `is_causal=True`: which keys does it see?


# %%
def mask_of(held, new):
    """What `new` tokens may see that are fed at once behind `held` ones: (new, held + new)."""
    return sees(torch.arange(held, held + new)[None], torch.arange(held + new)[None])[0, 0]


def picture(held, new):
    mask = mask_of(held, new).double()
    rows, columns = (
        [f"{name} {t}" for t in range(first, held + new)]
        for name, first in (("query", held), ("key", 0))
    )
    what = f"What {new} new tokens may see behind {held} old ones"
    alt = f"{what}: {new} queries by {held + new} keys, all ones but for a triangle of zeros in the upper right."
    show(grid(mask, rows, columns, what, digits=0), alt)


picture(held=5, new=3)
assert mask_of(5, 3).sum(-1).tolist() == [6, 7, 8]

# %% [markdown]
# The picture has a one where a query may look. All 5 old keys are open to all; the triangle stands at the right. If you like to
# play with it, here is a slider; nothing below needs it.

# %% tags=["skip-execution"]
from ipywidgets import interact

interact(picture, held=(0, 12), new=(1, 6))

# %% [markdown]
# And this is what `is_causal=True` does with one new token behind 5 old ones:

# %%
torch.manual_seed(0)
k, v = torch.randn(2, 1, 6, 1, 8, dtype=torch.float64)
q = torch.randn(1, 1, 1, 8, dtype=torch.float64)  # one new token behind five
wrong = F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True)
print(
    "is_causal=True gives just the value of token 0:", torch.equal(wrong[0, 0, 0], v[0, 0, 0])
)
assert torch.equal(wrong[0, 0, 0], v[0, 0, 0])
assert not torch.allclose(attend(q, k, v, None)[0, 0, 0], v[0, 0, 0])

# %% [markdown]
# The newest token sees the oldest one and nothing else, and again nothing crashes.

# %% [markdown]
# ### Exercise 4: the mask of a chunk
#
# Write that mask, without `sees`. `held` and `new` are numbers.


# %% tags=["exercise"]
def chunk_mask(held, new):
    """(new, held + new), True where a new token may look. `held` tokens came before."""
    raise NotImplementedError


# %% tags=["check"]
exercises.chunk_mask.check(chunk_mask)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def chunk_mask(held, new):
#     return torch.arange(held + new)[None, :] <= torch.arange(held, held + new)[:, None]
# ```
#
# Or `torch.ones(new, held + new, dtype=torch.bool).tril(held)`: the diagonal moved right by what is held. Leaving out
# that `held` is the mutant *the causal mask is aligned to the upper left* of the test suite.
#
# </details>

# %% [markdown]
# ## What to take away
#
# Three mistakes to remember: feeding what the cache has already; counting positions from the padding on; a triangle in the
# wrong corner. None of them crashes.
#
# - Feed only what is new.
# - Writing in place beats `torch.cat`: the copying of a text falls from a square to a line.
# - Cached and uncached logits are equal to rounding, and only to rounding.
# - Work is saved; reading is not. Prefill is not.
# - Positions belong to rows, the mask to positions.
#
# Next, notebook 04: a cache whose size is fixed from the start.
