# %% [markdown]
# # 05 The sliding window
#
# A model that looks back a fixed number of tokens needs to keep no more than these. We turn the ring by hand, count its slots,
# take one away and see it break, give the first tokens a place of their own, and ask what has been forgotten. At the end
# you know what a window saves, and what it costs the model.

# %% [markdown]
# **中文提要**　滑动窗口缓存是一个环：新词元写进再也没有查询会看到的旧词元的槽位，所以内存不随文本增长。
# 环恰好需要“窗口 + 分块 - 1”个槽位；少一个，每块的第一个查询就会丢掉它应看到的最早的键，而短文本看不出这个错误。
# “看得到多远”是模型的规则，不是缓存的规则：环与带同样掩码、不用缓存的模型相同，只差舍入误差。实验还显示汇聚词元（开头几个始终可见的词元）为什么有用，
# 窗口之外的事实怎样被忘记，信息又怎样逐层传到窗口之外，以及为什么环不能让学习到的位置超出上下文。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | sliding window | 滑动窗口 | a token sees itself and so many before it, and no others |
# | ring | 环形缓冲区 | slots that are used again from the start once the end is reached |
# | slot | 槽位 | the place of one token in a cache |
# | chunk | 分块 | a piece of a prompt, fed at once |
# | sink | 汇聚词元 | one of the first tokens, which everyone keeps seeing |
# | oracle | 基准（不用缓存的参照） | the uncached model with the same rule, which a cache must equal |
# | recall | 回忆率 | the share of memory questions answered right |
# | context | 上下文长度 | the most tokens that the model has learned positions for |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import torch
import torch.nn.functional as F

from minigpt import GPT, CacheError, load_tokenizer, make_cache
from minigpt.attention import sees
from minigpt.cache import SlidingWindowCache
from minigpt.exercises import e05_windowing as exercises
from minigpt.recall.corpus import held_out
from minigpt.recall.exam import chance_by_distance, right_by_distance
from minigpt.show.notebook import grid, refused, show
from minigpt.show.plots.ring import ring, turns

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
many = torch.randint(
    model.config.vocab_size, (1, 100), generator=torch.Generator().manual_seed(0)
)

# %% [markdown]
# ## 1. Who sees whom
#
# With a **sliding window** of 4 a token sees itself and the 3 before it. This is a rule of the *model*, and has nothing to do with a cache: it
# stands in the mask.
#
# **Claim.** No row of the mask has more than 4 ones, however long the text.
#
# **Predict.** Which is the last token to see token 0?

# %%
positions = torch.arange(8)[None]
mask = sees(positions, positions, window=4)[0, 0]
names = [str(t) for t in range(8)]
show(
    grid(mask.double(), [f"query {t}" for t in range(8)], names, "A window of 4", digits=0),
    "Eight queries downwards, eight keys across: a diagonal band of ones, four wide, and zeros everywhere else.",
)
assert mask.sum(-1).tolist() == [1, 2, 3, 4, 4, 4, 4, 4]
assert mask[:, 0].nonzero().max() == 3

# %% [markdown]
# The picture is a band. Token 3 is the last to see token 0; after it nobody will, and its key and value could go.

# %% [markdown]
# ### Exercise 1: the mask
#
# Write the mask, with **sinks**: so many of the first tokens stay visible to all that come after them (section 5 says why).


# %% tags=["exercise"]
def window_mask(count, window, sinks):
    """(count, count), True where the query (row) may look at the key (column)."""
    raise NotImplementedError


# %% tags=["check"]
exercises.window_mask.check(window_mask)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def window_mask(count, window, sinks):
#     q, k = torch.arange(count)[:, None], torch.arange(count)[None, :]
#     return (k <= q) & ((k > q - window) | (k < sinks))
# ```
#
# With `>=` in place of `>` it would be the mutant *the window is one too wide* of the test suite.
#
# </details>

# %% [markdown]
# ## 2. The ring turns
#
# So write each new token over the oldest one: slot = arrival mod slots. That is a **ring**.
#
# **Claim.** The ring holds just what the newest token may see. Nothing is moved, and the order of the slots does not matter.
#
# **Predict.** 5 slots, tokens 0 to 7 have come. Which tokens stand in the slots, from the first on?

# %%
slots = [None] * 5
for arrival in range(8):
    slots[arrival % 5] = arrival
print("by hand:", slots)

turned = turns(window=5, sinks=0, steps=14)
print("the package:", turned.held[7].tolist())
assert slots == turned.held[7].tolist() == [5, 6, 7, 3, 4]
show(
    ring(turned),
    "Fourteen steps across, five slots downwards, in each the token that it holds: "
    "the newest goes down the slots and begins again at the top, over the oldest.",
)

# %% [markdown]
# The picture has a column for each step: the newest token (dark) goes down the slots, and begins again at the top. Attention is a sum, so
# the order of its terms is of no concern; the mask asks for positions, and the cache reports them for each slot.

# %% [markdown]
# ## 3. Verify and measure
#
# **Claim.** The ring gives what the **oracle** gives, the uncached model with the same window; its memory stays flat.
#
# **Predict.** 100 tokens, a window of 8, one token at a time. How many slots?

# %%
windowed = model.with_window(8)
with torch.no_grad():
    oracle = windowed(many)


@torch.no_grad()
def worst(cache, chunk, count=100):
    """The largest difference from the oracle, when the text is fed in chunks."""
    pieces = [windowed(piece, cache=cache) for piece in many[:, :count].split(chunk, dim=1)]
    return (torch.cat(pieces, dim=1) - oracle[:, :count]).abs().max().item()


cache = make_cache("sliding_window", windowed.config, chunk=1, dtype=model.dtype)
full = make_cache("static", model.config, max_cache_len=100, dtype=model.dtype)
empty, difference = cache.nbytes, worst(cache, 1)
print(f"slots: {cache.room}; equal to the oracle: {difference < 1e-10}")
print(f"bytes: {cache.nbytes:,}, and {full.nbytes:,} for all 100 tokens")
assert difference < 1e-10
assert cache.room == 8
assert cache.nbytes == empty
assert cache.nbytes * 100 == full.nbytes * 8

# %% [markdown]
# ## 4. Break it: window + chunk - 1, and one less
#
# A prompt is fed in **chunks**, several tokens at once. All of a chunk's keys are written before its first query looks.
#
# **Claim.** A ring needs exactly window + chunk - 1 slots. With one less it is wrong, and on short texts nobody notices.
#
# **Predict.** A window of 8, chunks of 4. The chunk 8 ... 11 comes. How far back does token 8 look, how far ahead is the last key written, and how many tokens is that?


# %%
class ShortRing(SlidingWindowCache):
    """One slot too few."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rings = [ring - 1 for ring in self.rings]
        self.reset()


for kind in (SlidingWindowCache, ShortRing):
    right = {}
    for count in (8, 11, 12, 100):
        cache = kind(windowed.config, chunk=4, dtype=model.dtype)
        right[count] = worst(cache, 4, count) < 1e-10
    print(f"{kind.__name__:18} {cache.room} slots; right on the first so many tokens:", right)
    assert list(right.values()) == [
        True,
        True,
        kind is SlidingWindowCache,
        kind is SlidingWindowCache,
    ]

# %% [markdown]
# Token 8 looks back to token 1 and the chunk ends at token 11: 11 slots. With 10, token 11 takes the place of token 1 before token 8 has seen it.
# On 8 and even on 11 tokens (whose last chunk is not full) nothing is wrong, and with 12 it is.

# %% [markdown]
# ### Exercise 2: how many slots?


# %% tags=["exercise"]
def slots_needed(window, chunk, sinks):
    """Slots of a layer; each sink has one of its own."""
    raise NotImplementedError


# %% tags=["check"]
exercises.slots_needed.check(slots_needed)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def slots_needed(window, chunk, sinks):
#     return window + chunk - 1 + sinks
# ```
#
# The first query sees window - 1 tokens before it, and by then the whole chunk stands there.
#
# </details>

# %% [markdown]
# ### Exercise 3: find the bug
#
# `ShortRing` above is wrong. A test must feed it a text long enough to show that. Write how long the shortest such text is, when only
# full chunks are fed.


# %% tags=["exercise"]
def first_failure(window, chunk):
    """Tokens, a multiple of chunk."""
    raise NotImplementedError


# %% tags=["check"]
exercises.first_failure.check(first_failure)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The mutant *the ring is one slot short* of the test suite. The first query of a chunk at `start` looks back to
# `start - window + 1`; where that is before the text's beginning, there is nothing to lose. So we need the first chunk with `start >= window - 1`.
#
# ```python
# def first_failure(window, chunk):
#     start = 0
#     while start < window - 1:
#         start += chunk
#     return start + chunk
# ```
#
# </details>

# %% [markdown]
# ## 5. Sinks
#
# The weights of a softmax add up to 1: a head with nothing to look for must put them somewhere, and many learn to put them on the first
# tokens, called **sinks** (Xiao et al., arXiv 2309.17453). A window drops them. So they get slots of their own, outside the ring.
#
# **Claim.** On a model that was trained without a window, 4 sinks help more than 4 tokens more of window.
#
# **Predict.** With which window do sinks help more: 16 or 128?

# %%
gpt = GPT.from_pretrained("recall")
play = torch.from_numpy(held_out().ids.astype("int64"))[: 10 * 512].view(10, 512)


@torch.no_grad()
def loss(model):
    """Nats a token on ten pieces of a play that the model has not seen: the lower, the better foretold."""
    logits = model(play[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), play[:, 1:]).item()


print(f"no window: {loss(gpt):.2f}")
for window in (16, 64, 128):
    plain, wider, sinks = (
        loss(gpt.with_window(*size)) for size in ((window,), (window + 4,), (window, 4))
    )
    print(f"window {window:3}: {plain:.2f}   4 wider: {wider:.2f}   4 sinks: {sinks:.2f}")
    assert sinks < wider < plain

# %% [markdown]
# They help most where the window is small. Prose is one thing, memory another:

# %% [markdown]
# ## 6. What is forgotten
#
# A **memory question** tells a fact (`[Give Romeo ruby.]`), goes on with prose, and asks: `[Give Romeo`. **Recall** is the share
# answered right.
#
# **Claim.** Within the window the model remembers. Outside it recall falls to chance or below, and sinks do not help.
#
# **Predict.** A window of 128, and facts told 51 to 100 and 151 to 200 tokens ago. And what if 4 sinks stay?

# %%
bins, asked = [(51, 100), (151, 200)], 40
rules = {
    "all tokens": (gpt, "dynamic"),
    "window 128": (gpt.with_window(128), "sliding_window"),
    "window 128, 4 sinks": (gpt.with_window(128, sinks=4), "sliding_window"),
}
right = {}
for name, (reader, kept) in rules.items():
    right[name] = right_by_distance(reader, kept, questions=asked, bins=bins)
    print(f"{name:19}: right of {asked}:", right[name])
chance = chance_by_distance(questions=asked)
print("by chance:", {high: round(chance[high] * asked) for _, high in bins})
assert all(found[100] > 0.8 * asked for found in right.values())
assert right["all tokens"][200] > 0.8 * asked
assert all(
    right[name][200] <= chance[200] * asked for name in ("window 128", "window 128, 4 sinks")
)

# %% [markdown]
# Sinks keep the text fluent, not its contents: fluent and forgetful look alike until someone asks. (Below chance, because nothing makes the model
# guess among the values.)

# %% [markdown]
# ## 7. Further than the window
#
# **Claim.** Through L layers, news travels up to L x (window - 1) tokens.
#
# **Predict.** 3 layers, a window of 8. We change token 0. Which is the last token whose logits change?

# %%
other = many.clone()
other[0, 0] = (other[0, 0] + 1) % model.config.vocab_size
with torch.no_grad():
    moved = (windowed(other) - oracle).abs().amax((0, 2)) > 1e-12
reach = moved.nonzero().max().item()
print("the last token that notices:", reach)
assert reach == model.config.n_layer * (8 - 1)

# %% [markdown]
# Token 21 never sees token 0, but tokens that saw tokens that saw it. That it *can* notice is no promise that it remembers: see section 6.

# %% [markdown]
# ## 8. Past the context
#
# **Claim.** A ring never runs full, but this model still ends at its **context** of 512 tokens: it has learned no positions after these.
#
# **Predict.** We ask for 600 tokens. An error at the start, in the middle, or rubbish from 512 on?

# %%
ids = torch.tensor([load_tokenizer("recall").encode("HAMLET.\nTo be").ids])
with refused(ValueError):
    gpt.with_window(64, sinks=4).generate(
        ids, max_new_tokens=600, cache_implementation="sliding_window"
    )
print("and without a window, in place of forgetting without a word:")
with refused(ValueError):
    gpt.generate(ids, max_new_tokens=20, cache_implementation="sliding_window")

# %% [markdown]
# At the start, before any work. Models with relative positions (rotary ones, as in Mistral) can go on; the ring was made for them.

# %% [markdown]
# ## 9. What can't be taken back
#
# **Claim.** As many tokens as a chunk can be taken back from a ring that has turned. One more is refused.
#
# **Predict.** Why can't it simply forget the last 5 tokens, with chunks of 4?

# %%
cache = make_cache("sliding_window", windowed.config, chunk=4, dtype=model.dtype)
worst(cache, 4)
with refused(CacheError):
    cache.crop(-5)
assert cache.length == 100
cache.crop(-4)
with torch.no_grad():
    again = windowed(many[:, 96:], cache=cache)
assert (again - oracle[:, 96:]).abs().max() < 1e-10

# %% [markdown]
# What the next token would see had been overwritten by the tokens that were taken back. The slack that chunks need is what
# makes a few steps back possible.

# %% [markdown]
# ## What to take away
#
# - How far a token looks belongs to the model; the ring only keeps no more than that.
# - window + chunk - 1 slots, exactly. A test with short texts proves nothing.
# - Sinks mend the prose of a model that was not trained with a window. They remember nothing.
# - Flat memory is no endless text: learned positions end.
#
# Next, notebook 06: keep all tokens, with fewer bits.
