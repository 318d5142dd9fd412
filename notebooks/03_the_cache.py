# %% [markdown]
# # 03 The cache
#
# We store the keys and values, first in a few lines, then in a form that copies little. Then we check its promise: the same
# logits as without a cache, for one text and for several, token by token and in pieces. At the end you know what a cache
# saves, what it can't save, which three mistakes nearly everyone makes, and what else the stored rows are good for.

# %% [markdown]
# **中文提要**　本节把键和值保存下来：先是只有几行的 `torch.cat` 版本，再是每次就地写入、容量翻倍的动态缓存，两者的 `store` 只有三行不同（由真实源码比对得出），另有一个方法腾出空间、给出写入的位置。
# 有了缓存，每一步只需输入一个新词元；结果与不用缓存相同，只差舍入误差：float64 最小，float32 大一些，bfloat16 更大；遇到几乎并列的得分，选出的词元就可能不同。
# 缓存省去的是重复计算，省不掉的是每一步都要读完整个缓存。然后是位置、左填充，以及一次输入多个新词元时的因果掩码。
# 新建的缓存不能缩短预填充；上一次调用留下的缓存可以，因为只需计算它还没有的那几行。最后是取回（`crop`，用于投机解码）、
# 选行（`select`，用于束搜索），以及交叉注意力的缓存：它只算一次，从不增长。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | KV cache | 键值缓存（KV 缓存） | the stored keys and values of all tokens so far |
# | dynamic cache | 动态缓存 | one that grows with the text |
# | slot | 槽位 | the place of one token in a cache |
# | prompt | 提示词 | the text that is given, before anything is generated |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, one new token each |
# | chunk | 分块 | a piece of a prompt, fed at once |
# | position | 位置 | the place of a token in its text, which the model is given with the token |
# | rotary position | 旋转位置编码 | a position expressed by rotating queries and keys, in each layer |
# | left padding | 左填充 | filling up short texts of a batch at their beginning |
# | attention mask | 注意力掩码 | 1 where a token is real, 0 where it is padding |
# | causal mask | 因果掩码 | hides from each token all that comes after it |
# | batch | 批次 | several texts processed together |
# | logits | logits（未归一化得分） | a number for each token of the vocabulary: the higher, the more likely it comes next |
# | rounding error | 舍入误差 | what is lost because a number has only so many bits |
# | near tie | 几乎并列 | two logits so close that a rounding error decides between them |
# | prompt reuse | 提示词复用 | keeping the rows of a prompt for the next text that begins with it |
# | speculative decoding | 投机解码 | a cheap model drafts some tokens, the real one checks all of them in one pass |
# | beam search | 束搜索 | generating several texts at once, and continuing with the most likely ones |
# | cross-attention | 交叉注意力 | attention whose keys and values come from another text |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import math
import textwrap
import time
from itertools import zip_longest

import torch
import torch.nn.functional as F

from minigpt import GPT, CacheError, load_tokenizer, make_cache
from minigpt.arguments import plan
from minigpt.attention import NEVER, attend
from minigpt.cache import Cache, ConcatCache, DynamicCache
from minigpt.cache.dynamic import grow
from minigpt.exercises import e03_caching as exercises
from minigpt.measure.counted.meter import Meter
from minigpt.model import Attention
from minigpt.show.notebook import changed, code, refused, show, source_of
from minigpt.show.plots.slots import filling, slots
from minigpt.show.plots.time_a_token import recorded_times, time_a_token
from minigpt.show.plots.triangles import masks, triangles

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
tokenizer = load_tokenizer("recall")
ids = torch.tensor([tokenizer.encode("HAMLET.\nTo be").ids])

# %% [markdown]
# ## 1. Keep them
#
# **Claim.** Add one line to the loop of notebook 02 and change another, and each token is read once. (The third change below is the new
# name.)
#
# **Predict.** Which part of the text must be fed to the model at the first step? Which at the second?


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
# **Answer.** At first the whole prompt: `cache.length`, the number of tokens that the cache has been given, is zero. That is
# **prefill**. From then on one token at each step, the newest: **decode**.
#
# Here is all that is specific to this cache, and the line of the model that calls it. Before any layer writes, `admit` has
# registered the new tokens: `text.new` is their number, and `length` already includes them. So `old` is the number of tokens
# before. `kv[layer]` holds the keys and values of a layer; `[:, :old]` takes the first `old` of them, which is all of them
# unless some were taken back (`crop`, section 9).

# %% tags=["on-slide"]
code(ConcatCache)
code(Attention.forward)
assert source_of(Attention.forward).count("cache.") == 1

# %% [markdown]
# `cache.update` takes the new keys and values of a layer and returns all of them, old and new, and their positions, `k_pos`;
# it ends by calling the cache's `store`. From the positions `sees` makes the mask, as in notebook 01. `q` holds the queries
# of the fed tokens only. That is all that a layer knows about a cache.

# %% [markdown]
# ## 2. Why only one token is fed
#
# **Claim.** A model with a cache takes everything that you feed it for *new* tokens.
#
# **Predict.** The cache holds 7 tokens. We feed all 8 tokens of the text. How many does it hold then? Does anything
# crash?

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
print("the cache now holds", cache.length, "tokens, at the positions:")
print(*cache.positions[0].tolist())
assert torch.allclose(once, right, atol=1e-12)
assert not torch.allclose(twice, right, atol=0.1)
assert cache.length == 15

# %% [markdown]
# **Answer.** 15: the 7 old ones, and after them all 8 again, at new positions. Nothing crashed: to the model this is just a
# text of 15 tokens. `model.generate(text, cache=cache)` is more careful. It takes the *whole* text, compares it with what the
# cache holds, and feeds what is missing. A cache that holds more than the text is refused:

# %%
with refused(CacheError):
    model.generate(text, cache=cache)

# %% [markdown]
# ### Exercise 1: prefill in pieces
#
# A long prompt need not be read in one pass. Feed it in **chunks** of `size` tokens (the last one may be shorter), and return
# the logits of all its tokens, as if it had been fed whole. The check also looks at what you feed.
# `make_cache("dynamic", model.config, batch_size=len(ids), dtype=model.dtype)` makes a cache.


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
# `torch.cat` makes a new tensor and copies everything stored so far into it, at every step, in every layer. The **dynamic
# cache** allocates more room than it needs, divided into **slots**, one for each token. A new token is written into the next
# free slot. When the slots run out, their number is doubled:

# %%
picture = slots(filling())
show(picture, picture.alt)

# %% [markdown]
# **Claim.** Three lines of `store` change, `place` is new, and the copying for a text of n tokens falls from about n²/2 rows to fewer than 2n.

# %%
lines = changed(ConcatCache.store, DynamicCache.store)
assert sum(line.startswith("+") for line in lines) == 3
assert DynamicCache.store is Cache.store  # one for all caches that write in place

# %% [markdown]
# `store` asks `place` for the index of the new tokens' slots and `tensors` for the tensors of the layer (here `kv[layer]`),
# writes, and returns the filled slots as a view: a part of a tensor, without a copy. Copying happens only in `place`, and
# rarely:

# %%
code(DynamicCache.place)
code(grow)

# %% [markdown]
# **Predict.** From one token to 200, doubling each time: how often must the room grow?
#
# We count the copying: whenever the keys of layer 0 have moved to another place in memory, everything held has been copied.

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
# **Answer.** 8 times, instead of 199. The price: up to half of the slots are free. `cache.nbytes` counts them too.

# %% [markdown]
# ### Exercise 2: a few slots more
#
# Doubling wastes room. Suppose instead that the room grows by `step` slots each time that it is full. A text of `tokens`
# tokens is fed one token at a time, into a cache that has no slots at first. How many rows are copied in each layer, over the
# whole text?


# %% tags=["exercise"]
def copied_rows(tokens, step):
    """Rows copied, in one layer."""
    raise NotImplementedError


# %% tags=["check"]
exercises.copied.check(copied_rows)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def copied_rows(tokens, step):
#     return sum(range(step, tokens, step))
# ```
#
# At the first move `step` rows are held, at the second twice as many. So the total still grows with the square of the length,
# only divided by `step`; `step` 1 is `torch.cat`. Whatever the step, a text that is long enough makes it slow. When the room
# grows by a *factor*, the copying is proportional to the length. The factor need not be two: a smaller one wastes less room,
# and copies more.
#
# </details>

# %% [markdown]
# ## 4. Equal, to rounding
#
# One token at a time, the same sums are computed in another order than for the whole text at once, and the result of a sum of
# floats depends a little on the order: a **rounding error**. How large it is depends on the number format.
#
# **Claim.** The cached logits equal the uncached ones, up to about the last digit of the number format: float64, float32 or
# bfloat16.
#
# **Predict.** The largest logit is about 16. To how many digits after the point will the float32 logits agree: three, five,
# eight?

# %%
story = model.generate(ids, max_new_tokens=193, do_sample=True, seed=0)  # 200 tokens
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
# The bounds are generous, so that they hold on any machine. On this one the differences were:

# %% tags=["timed"]
for dtype, (uncached, cached) in logits.items():
    difference, other = (
        (uncached - cached).abs().max().item(),
        (uncached.argmax(-1) != cached.argmax(-1)).sum(),
    )
    print(f"{dtype}: off by up to {difference:.1e}; at {other} of 200 places another token")

# %% [markdown]
# **Answer.** About five. A number in float32 has about seven digits, and two of them stand before the point; the last digit,
# or the last but one, is off by a little. bfloat16 has two or three digits in all, and float64 about sixteen.

# %% [markdown]
# ### A near tie flips
#
# Greedy decoding takes the highest logit. When the two highest are closer together than the rounding error, a **near tie**,
# the cached and the uncached run may choose different tokens; from there on they write different texts. In bfloat16 this
# happens by itself now and then. Here are three prompts, each continued both ways:


# %% tags=["timed"]
def in_a_line(tokens):
    return " / ".join(filter(None, tokenizer.decode(tokens).split("\n")))


def compare(uncached, cached):
    """Print the words that two texts have in common, up to 30, and how each goes on."""
    one, other = (in_a_line(tokens).split() for tokens in (uncached, cached))
    same = next((n for n, (a, b) in enumerate(zip_longest(one, other)) if a != b), None)
    start = max(0, (same or 0) - 30)
    lines = {"both:    ": "... " * (start > 0) + " ".join(one[start:same])}
    if same is None:
        lines["both:    "] += " (the same to the end)"
    else:
        lines["uncached:"] = " ".join(["...", *one[same:]])
        lines["cached:  "] = " ".join(["...", *other[same:]])
    for name, said in lines.items():
        print(textwrap.fill(f"{name} {said}", 76, subsequent_indent=10 * " "))
    print()


coarse = GPT.from_pretrained("recall", dtype=torch.bfloat16)
for start in ("JULIET.\n", "To be, or not", "KING.\nMy lord"):
    begin = torch.tensor([tokenizer.encode(start).ids])
    compare(
        *(
            coarse.generate(begin, max_new_tokens=48, use_cache=use_cache)[0].tolist()
            for use_cache in (False, True)
        )
    )

# %% [markdown]
# Where two texts part, a rounding error decided. Whether and where this happens depends on the machine. In float32 it is
# rare, so we force it. We look for the place where rounding changed the gap between the two highest logits most. There we
# lower the highest logit by a number between the two gaps, as a repetition penalty might: then one run still chooses it and
# the other doesn't.

# %% tags=["timed"]
uncached, cached = logits[torch.float32]
top = uncached.topk(2).indices  # (T, 2)
gap, gap_cached = (
    x.gather(1, top) @ torch.tensor([1.0, -1.0], dtype=torch.float64)
    for x in (uncached, cached)
)
at = int((gap - gap_cached).abs().argmax())
penalty = (gap[at] + gap_cached[at]) / 2
first, second = top[at].tolist()
chosen = [
    first if x[at, first] - penalty > x[at, second] else second for x in (uncached, cached)
]
assert abs(gap[at] - gap_cached[at]) < 0.001  # the gap moved by no more than that
assert chosen[0] != chosen[1]

begun = [torch.cat([story[:, : at + 1], torch.tensor([[token]])], dim=1) for token in chosen]
compare(*(model.generate(text, max_new_tokens=20)[0].tolist() for text in begun))

# %% [markdown]
# Two texts, from a difference smaller than a thousandth. So "the same tokens" is not a fair test of a cache in low precision,
# and "different tokens" is not proof of a bug. This project compares *logits*, in float64.

# %% [markdown]
# ## 5. What it saves, what it still pays
#
# **Claim.** A cache stores 2 (keys and values) x layers x key/value heads x channels numbers for each token. And each step
# still reads all of them.
#
# **Predict.** Our model has 3 layers and 2 key/value heads of 64 channels; in float64 a number has 8 bytes. How many bytes for each
# token?

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
# **Answer.** 6,144 bytes. It is the number of *key/value* heads that counts: in a model with grouped-query attention (notebook 01) there
# are fewer of them than query heads, and the cache is smaller.
#
# Every one of these bytes is read for each new token: its query meets all keys, its weights all values. So a step with a
# cache still takes longer on a longer text; with our small model and short texts that is little, compared with what is saved.
# Here is the time of one step, both ways:


# %% tags=["timed"]
def timed(step):
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


@torch.no_grad()
def one_step(length):
    """Seconds of the step that reads token `length`, without and with a cache; the best of
    twenty."""
    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    model(many[:, : length - 21], cache=cache)
    model(many[:, length - 21 : length - 20], cache=cache)  # the room grows here, not below
    cached = [timed(lambda: model(many[:, :1], cache=cache)) for _ in range(20)]
    uncached = [timed(lambda: model(many[:, :length])) for _ in range(20)]
    return min(uncached), min(cached)


print("one step, our model, float64")
for length in (50, 100, 200, 400):
    uncached, cached = one_step(length)
    print(
        f"token {length:3}: uncached {1000 * uncached:6.2f} ms, cached {1000 * cached:5.2f} ms"
    )
assert uncached > 2 * cached

# %% [markdown]
# And for GPT-2, from a recorded run:

# %%
picture = time_a_token(recorded_times())
show(picture, picture.alt)

# %% [markdown]
# The lines are lower bounds, given by that machine's arithmetic and memory; notebook 08 derives them.
#
# A new cache does not help the first token at all: prefill computes the whole prompt, cache or no cache. One that is kept from an
# earlier call does, as section 8 shows. Notebook 08 counts all of this.

# %% [markdown]
# ## 6. Several texts: positions and left padding
#
# The texts of a batch have different lengths, but a tensor has only one. So the shorter ones are filled up on the left
# (**left padding**): all texts then end at the same place, where the new tokens are added. An **attention mask** says which
# tokens are real.
#
# Two things follow. Each text has its own **positions**. And no token may see the padding. The package does both at once:
# padding gets the position `NEVER`, a number that no text is long enough to reach. So it lies in every token's future, and
# causality hides it.
#
# **Claim.** A text in a padded batch gives the same result as alone.
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
for places in positions.tolist():
    print(*(f"{'NEVER' if position == NEVER else position:>6}" for position in places))

together = model.generate(batch, mask, max_new_tokens=12)
alone = model.generate(torch.tensor([short]), max_new_tokens=12)
assert torch.equal(together[1, pads:], alone[0])
assert pads == 3

with torch.no_grad():
    right = model(torch.tensor([short]))[0, -1]
    ours = model(batch, positions)[1, -1]
    naive = model(batch)[1, -1]  # positions 0, 1, 2, ... for each text, padding and all
print("with its own positions: equal to alone:", torch.allclose(ours, right, atol=1e-12))
print("counted from the padding on:            ", torch.allclose(naive, right, atol=1e-12))
assert torch.allclose(ours, right, atol=1e-12)
assert not torch.allclose(naive, right, atol=0.1)

# %% [markdown]
# **Answer.** 0. If we say 3, the text is wrong twice: it stands 3 positions too far to the right, and it sees 3 tokens that
# don't belong to it.
#
# Our model adds a learned vector for its position to each token, before the first layer. Many models have **rotary
# positions** instead (RoPE, arXiv 2104.09864): each layer rotates its queries and keys by angles that grow with the position.
# Their keys are stored *after* this rotation. So no old key is rotated again, and a stored key belongs to its position there
# too: to move the token to another position, its key must be rotated further.

# %% [markdown]
# ### Exercise 3: the next positions
#
# A padded batch has been read; `mask` says which of its tokens are real. Now each text gets `new` more tokens. What are their
# positions?


# %% tags=["exercise"]
def next_positions(mask, new):
    """(B, T) of 0 and 1, padded on the left -> (B, new), int64"""
    raise NotImplementedError


# %% tags=["check"]
exercises.next_positions.check(next_positions)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def next_positions(mask, new):
#     return mask.sum(1, keepdim=True) + torch.arange(new)
# ```
#
# Positions begin at 0, so the next one is the number of real tokens so far: not the number of slots that the text takes up in
# the cache, and not the same for every text.
#
# </details>

# %% [markdown]
# ## 7. Break it: the mask of several new tokens
#
# A single new token sees everything (except padding), so the mask hides nothing. When several are fed at once after those in
# the cache (a chunk of a prompt, the next turn of a chat), each must see all old tokens, and the new ones up to itself.
#
# **Claim.** The triangle of the mask belongs in the lower *right* corner. PyTorch's `is_causal=True` puts it in the upper
# *left*.
#
# **Predict.** One new token, 5 old ones, `is_causal=True`: which keys does it see?

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
# **Answer.** Key 0 only. The newest token sees the oldest one and nothing else, and again nothing crashes. Here are both masks, for
# 3 new tokens:


# %%
def picture(held, new):
    figure = triangles(*masks(held, new))
    show(figure, figure.alt)


picture(held=5, new=3)
right, wrong = masks(5, 3)
assert right.sum(-1).tolist() == [6, 7, 8]
assert wrong.sum(-1).tolist() == [1, 2, 3]

# %% [markdown]
# With `sees`, all 3 queries see all 5 old keys, and the triangle is on the right. With `is_causal=True` it starts on the
# left, as if no token came before. The two are the same only for an empty cache, which is why a test with only a prompt finds
# nothing.
#
# If you like to play with it, here is a slider; nothing below needs it:

# %% tags=["skip-execution"]
from ipywidgets import interact

interact(picture, held=(0, 5), new=(1, 4))

# %% [markdown]
# ## 8. A cache that is kept: prompt reuse
#
# A new cache saves nothing in prefill: it holds no rows yet. But a cache need not be thrown away after a call. The next text
# often begins like the last one: a chat goes on, or a long document stays and the question changes.
#
# **Claim.** A cache that is kept shortens the wait for the first token, and the logits are the same.
#
# **Predict.** A prompt of 400 tokens begins with 390 that an earlier call has read. How many rows does each layer compute for the first
# new token, with a new cache, and with the kept one?

# %%
caches = {
    name: make_cache("dynamic", model.config, dtype=model.dtype) for name in ("new", "kept")
}
model.generate(many[:, :390], max_new_tokens=1, cache=caches["kept"])  # the earlier call
rows = {}
for name, cache in caches.items():
    meter = Meter(cache, model.config)  # a cache that wraps a cache and counts the rows
    text = model.generate(many, max_new_tokens=1, cache=meter)
    rows[name] = int(meter.times[0].sum())
    print(f"{name:4} cache: {rows[name]} of {many.shape[1]} rows computed in each layer")
    with torch.no_grad():
        logits = model(text[:, -1:], cache=cache)[:, -1]
        assert torch.allclose(logits, model(text)[:, -1], atol=1e-12)
assert rows == {"new": 400, "kept": 10}

# %% [markdown]
# **Answer.** 400 and 10. Both times `generate` is given the whole text, and feeds what the cache lacks. Both times the next
# logits are those of the uncached model. And here is the wait for one new token after 400:


# %% tags=["timed"]
def first_token(held):
    """Seconds until one new token, with a cache that holds the first `held` tokens."""
    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    if held:
        model.generate(many[:, :held], max_new_tokens=1, cache=cache)
    return timed(lambda: model.generate(many, max_new_tokens=1, cache=cache))


new, kept = (min(first_token(held) for _ in range(5)) for held in (0, 390))
print(f"new cache {1000 * new:.1f} ms, kept cache {1000 * kept:.1f} ms")
assert new > 2 * kept

# %% [markdown]
# The tokens in the cache must be exactly the beginning of the new text. Where they are not, `generate` refuses, and says
# which token differs first. Suppose that the text goes on, and that its token 380 was edited:

# %%
edited = torch.cat([text, many[:, :9]], dim=1)  # 410 tokens
edited[0, 380] = (edited[0, 380] + 1) % model.config.vocab_size
with refused(CacheError):
    model.generate(edited, max_new_tokens=1, cache=caches["kept"])

caches["kept"].crop(380 - caches["kept"].length)  # takes back all from token 380 on
meter = Meter(caches["kept"], model.config)
text = model.generate(edited, max_new_tokens=1, cache=meter)
print("rows computed after the crop:", meter.fed[0], "of", edited.shape[1])
assert meter.fed == [30]
assert torch.equal(text, model.generate(edited, max_new_tokens=1, use_cache=False))

# %% [markdown]
# ### Exercise 4: a chat
#
# In each turn of a chat the model reads the whole conversation so far, ending with the new question, and answers. `turns` is
# a list of (tokens asked, tokens answered). How many rows does each layer compute over all turns: without a cache; with a new
# cache for each turn; with one cache that is kept? The chat ends with the last answer.


# %% tags=["exercise"]
def rows_of_a_chat(turns):
    """A list of (asked, answered) -> (without a cache, with a new one in each turn, with a kept
    one)."""
    raise NotImplementedError


# %% tags=["check"]
exercises.chat.check(rows_of_a_chat)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def rows_of_a_chat(turns):
#     length = without = renewed = 0
#     for asked, answered in turns:
#         length += asked
#         without += sum(range(length, length + answered))  # each step reads all there is
#         length += answered
#         renewed += length - 1  # the last token of an answer is not read in its own turn
#     return without, renewed, length - 1  # the kept cache reads it in the next
# ```
#
# In turns of equal length, the rows that new caches compute grow with the square of the number of turns; those of the kept
# cache grow with the length of the conversation.
#
# </details>

# %% [markdown]
# ## 9. Take back, and choose: `crop` and `select`
#
# A cache has two more operations, which plain generation never needs. In **speculative decoding** (arXiv 2211.17192) a cheap
# model drafts a few tokens; the real one reads them all in one pass, which shows what it would have chosen at each place. The
# draft is good up to the first token that differs. From there on the cache holds rows of tokens that are not in the text:
# `crop(-n)` takes the last n tokens back.
#
# **Claim.** What was taken back leaves no trace: the text is that of greedy decoding, and the logits are those of the uncached model.
#
# **Predict.** A draft of 4 tokens is checked. The model would have chosen its first 2 too, but not the third. How many tokens has the
# text gained after this one pass?
#
# As the cheap model we use our own, with each layer limited to the last 8 tokens. (It is no cheaper here: we count only the
# passes of the real model.)

# %%
draft_model = model.with_window(8)


def words(tokens):
    return repr(tokenizer.decode(tokens[0].tolist()))


@torch.no_grad()
def speculate(text, new_tokens, size=4):
    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    end, passes = text.shape[1] + new_tokens, 0
    while text.shape[1] < end:
        draft = draft_model.generate(text, max_new_tokens=size)[:, -size:]
        logits = model(torch.cat([text, draft], dim=1)[:, cache.length :], cache=cache)
        # the model's own choice behind the text, and behind each token of the draft
        choices = logits[:, -size - 1 :].argmax(-1)
        good = int((choices[:, :-1] == draft).cumprod(1).sum())
        cache.crop(good - size)
        gain = torch.cat([draft[:, :good], choices[:, good : good + 1]], dim=1)
        text, passes = torch.cat([text, gain], dim=1), passes + 1
        print(f"drafted {words(draft):16} {good} good; the text gains {words(gain)}")
    return text, cache, passes


sped, cache, passes = speculate(ids, 24)
gained = sped.shape[1] - ids.shape[1]
print(f"{gained} new tokens in {passes} passes of the real model")
assert torch.equal(sped, model.generate(ids, max_new_tokens=gained))
with torch.no_grad():  # what was taken back has left no trace
    logits = model(sped[:, cache.length :], cache=cache)
    assert torch.allclose(logits[:, -1], model(sped)[:, -1], atol=1e-12)
assert passes < gained

# %% [markdown]
# **Answer.** 3: the two good ones, and the model's own choice at the third place, which the same pass gave. (The last line is
# such a pass.) Even a bad draft gains one token, as an ordinary step does. And with each pass saved, the weights and the
# cache are read one time less.
#
# `select(rows)` replaces text i of a cache's batch by text `rows[i]`. **Beam search** needs it: it generates several texts at
# once, here two, and after each step continues with the two most likely of all their continuations. Both may come from the
# same text; then the cache must hold that text twice, and drop the other.

# %%
with torch.no_grad():
    cache = make_cache("dynamic", model.config, dtype=model.dtype)
    scores, tokens = model(ids, cache=cache)[0, -1].log_softmax(-1).topk(2)
    cache.select([0, 0])  # one text becomes two
    beams = torch.cat([ids.expand(2, -1), tokens[:, None]], dim=1)
    parents = []
    for _ in range(10):
        logits = model(beams[:, -1:], cache=cache)[:, -1]  # (2, V)
        assert torch.allclose(logits, model(beams)[:, -1], atol=1e-12)
        totals = scores[:, None] + logits.log_softmax(-1)
        scores, best = totals.flatten().topk(2)
        rows, tokens = best // model.config.vocab_size, best % model.config.vocab_size
        cache.select(rows)
        beams = torch.cat([beams[rows], tokens[:, None]], dim=1)
        parents.append(rows.tolist())
print("texts chosen at each step:", *parents)
for beam in beams:
    print(repr(tokenizer.decode(beam.tolist())))
assert not (beams == model.generate(ids, max_new_tokens=11)).all(1).any()
assert [0, 0] in parents  # a text was doubled, the other dropped
assert [1, 0] in parents  # they changed places

# %% [markdown]
# Whatever was duplicated, dropped or swapped, the next logits were those of the uncached model: the cell asserts it at each
# step. Neither text is the greedy one.

# %% [markdown]
# ## 10. Cross-attention: a cache that never grows
#
# A model that translates text or transcribes speech often has two parts. An **encoder** reads the given text, which is
# complete from the start; a decoder writes another one, and in **cross-attention** its queries look at keys and values of the
# *encoder's* text.
#
# **Claim.** The keys and values of cross-attention are computed once. They never grow, and no causal mask is needed.
#
# **Predict.** A text of 6 tokens is translated into 20. How many K/V rows does a layer's cross-attention compute, without a cache and
# with one?

# %%
torch.manual_seed(0)
encoded = torch.randn(6, 16, dtype=torch.float64)  # what the encoder made of the given text
W_Q, W_K, W_V = torch.randn(3, 16, 16, dtype=torch.float64) / 4


def attention(q, k, v):
    return (q @ k.T / math.sqrt(k.shape[-1])).softmax(-1) @ v


kept_k, kept_v = encoded @ W_K, encoded @ W_V  # before the first step, and never again
with_cache, without = len(kept_k), 0
for _ in range(20):
    q = torch.randn(1, 16, dtype=torch.float64) @ W_Q  # of the newest token
    k, v = encoded @ W_K, encoded @ W_V
    without += len(k)
    assert torch.equal(attention(q, kept_k, kept_v), attention(q, k, v))
print(f"rows: {without} without a cache, {with_cache} with one")
assert (without, with_cache) == (120, 6)

# %% [markdown]
# **Answer.** 120 and 6. The given text is complete before the first step, so its keys can't change, though the encoder looks
# both ways (notebook 02, section 5). Such a decoder has two caches in each layer: this one, and the growing one of its own
# tokens.

# %% [markdown]
# ## What to take away
#
# Three mistakes to remember: feeding what the cache already has; counting padding in the positions; a triangle in the wrong
# corner. None of them crashes.
#
# - Feed only what is new.
# - Writing in place beats `torch.cat`: the copying grows with the length of the text, no longer with its square.
# - Cached and uncached logits are equal to rounding, and only to rounding.
# - Work is saved; reading is not. A new cache saves nothing in prefill, a kept one everything that it holds.
# - Each row belongs to a position, and the mask is made from positions.
# - A cache can be taken back and rearranged: `crop` for drafts and edits, `select` for beams.
#
# All this was about one text, or one batch. A server holds many texts of many users at once. vLLM divides their caches into
# pages of a few tokens, so that a text takes just the room it needs, wherever some is free (paged attention,
# arXiv 2309.06180); SGLang stores them in a tree, so that texts that begin alike share the rows of their beginning (prefix
# sharing, arXiv 2312.07104).
#
# Next, notebook 04: a cache whose size is fixed from the start.
