# %% [markdown]
# # 05 The sliding window
#
# A model that looks back a fixed number of tokens needs to store only those. We fill a ring of slots by hand, count them,
# take one away and see it break, give the first tokens a place of their own, and ask what is remembered and what is
# forgotten. At the end you know what a window saves, and what it costs the model.

# %% [markdown]
# **中文提要**　滑动窗口缓存是一个环：新词元写进再也没有查询会看到的旧词元的槽位，所以内存不随文本增长。
# 环恰好需要“窗口 + 分块 - 1”个槽位；少一个，每块的第一个查询就会丢掉它应看到的最早的键，而短文本看不出这个错误。
# “看得到多远”是模型的规则，不是缓存的规则：环形缓存的结果与使用同样掩码的无缓存模型一致，只差舍入误差。实验还显示：注意力汇点（开头几个始终可见的词元）使窗口模型的文字更通顺，
# 也记得住恰好写在汇点里的事实，窗口之外的其他事实则被忘记；信息怎样逐层传到窗口之外；只在部分层用窗口的混合模型为什么仍能记住；以及为什么环形缓存不能让学习得到的位置编码超出上下文长度。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | sliding window | 滑动窗口 | a token sees itself and a fixed number of tokens before it, and no others |
# | ring | 环形缓冲区 | slots that are reused from the first one on once the last one is full |
# | slot | 槽位 | the place of one token in a cache |
# | chunk | 分块 | a piece of a prompt, fed at once |
# | sink | 注意力汇点（attention sink）词元 | one of the first tokens, which all later ones keep seeing |
# | oracle | 参照（oracle） | the uncached model with the same rule, which a cache must equal |
# | recall | 事实记忆正确率 | the share of memory questions answered right |
# | context | 上下文长度 | the number of tokens for which the model has learned positions |
# | hybrid model | 混合模型 | one that has a window in only some of its layers |
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
from minigpt.measure.counted.observer import Observer
from minigpt.recall.corpus import held_out
from minigpt.recall.exam import chance_by_distance, right_by_distance
from minigpt.recall.questions import questions
from minigpt.show.notebook import grid, refused, show
from minigpt.show.plots.recall import recall_by_distance
from minigpt.show.plots.recorded import recorded_quality
from minigpt.show.plots.ring import ring, turns

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
tokenizer = load_tokenizer("recall")
many = torch.randint(
    model.config.vocab_size, (1, 100), generator=torch.Generator().manual_seed(0)
)

# %% [markdown]
# ## 1. Who sees whom
#
# With a **sliding window** of 4 a token sees itself and the 3 before it. This is a rule of the *model*, and has nothing to do
# with a cache: it is in the mask.
#
# **Claim.** No row of the mask has more than 4 ones, however long the text.
#
# **Predict.** Which is the last token to see token 0?

# %%
positions = torch.arange(8)[None]
mask = sees(positions, positions, window=4)[0, 0]
queries, keys = ([f"{name} {t}" for t in range(8)] for name in ("query", "key"))
show(
    grid(mask.double(), queries, keys, "A window of 4", digits=0),
    "Eight queries downwards, eight keys across: a diagonal band of ones, four wide, "
    "and zeros everywhere else.",
)
assert mask.sum(-1).tolist() == [1, 2, 3, 4, 4, 4, 4, 4]
assert mask[:, 0].nonzero().max() == 3

# %% [markdown]
# **Answer.** Token 3, as the band shows. After it no token sees token 0, so its key and value can go.

# %% [markdown]
# ### Exercise 1: the mask
#
# Write the mask, with **sinks**: the first `sinks` tokens stay visible to all that come after them (section 5 says why).


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
# With `>=` instead of `>` it would be the mutant *the window is one too wide*, one of the bugs that were written on purpose
# to see that the test suite finds them.
#
# </details>

# %% [markdown]
# ## 2. The ring turns
#
# So write each new token over the oldest one: of S slots, token n goes to slot n mod S. That is a **ring**.
#
# **Claim.** The ring holds just what the newest token may see, and nothing is ever moved.
#
# **Predict.** Tokens 0 to 7 have been written to a ring of 5 slots. Which tokens are in the slots, from the first slot on?

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
# The picture has a column for each step: the newest token (dark) moves down the slots, and begins again at the top. So the
# slots are not in the order of the text. Does that matter? We shuffle all that attention is given, keys, values and positions
# together:


# %%
class Shuffled(Observer):
    """Passes everything on, but gives attention the slots in another order, a new one each
    time."""

    def update(self, k, v, layer):
        k, v, k_pos = super().update(k, v, layer)
        if k_pos is None:  # one token that sees every slot
            k_pos = self.cache.positions
        order = torch.randperm(k.shape[1])
        return k[:, order], v[:, order], k_pos[:, order]


windowed = model.with_window(8)
with torch.no_grad():
    oracle = windowed(many)  # uncached
    ring_of_8 = make_cache("sliding_window", windowed.config, chunk=1, dtype=model.dtype)
    shuffled = Shuffled(ring_of_8)
    logits = torch.cat([windowed(new, cache=shuffled) for new in many.split(1, dim=1)], dim=1)
difference = (logits - oracle).abs().max().item()
print("shuffled at every step, in every layer; equal to rounding:", difference < 1e-10)
assert difference < 1e-10

# %% [markdown]
# **Answer.** `[5, 6, 7, 3, 4]`. Their order does not matter: shuffled, they give the same logits, up to rounding. Attention
# is a sum, whose terms may come in any order; and the mask is made from positions, which the cache reports for each slot.

# %% [markdown]
# ### Exercise 2: shuffle the ring itself
#
# Now the slots of the ring are shuffled *in the cache*, once, between two tokens. The ring has as many slots as the window is
# wide; tokens are fed one at a time, `length` have been read, and all slots are full. After the shuffle, slot `s` holds what
# slot `order[s]` held: key, value and position. At least one slot has changed. Then the text goes on. Return how many of the
# next tokens still see all that they should, before the first that does not.


# %% tags=["exercise"]
def right_tokens(order, length):
    """order: a list, one entry a slot. length: tokens taken in before the shuffle."""
    raise NotImplementedError


# %% tags=["check"]
exercises.right_tokens.check(right_tokens)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The order does not matter to reading, but it does to writing: token n goes to slot n mod S, where it should find the oldest
# token, which no token needs any more. If another one is there, it is lost, though token n should still see it.
#
# ```python
# def right_tokens(order, length):
#     right = 0
#     while order[(length + right) % len(order)] == (length + right) % len(order):
#         right += 1
#     return right
# ```
#
# </details>

# %% [markdown]
# ## 3. Verify and measure
#
# **Claim.** The ring gives the same logits as the **oracle**, the uncached model with the same window, and its memory does
# not grow.
#
# **Predict.** 100 tokens are fed one at a time, with a window of 8. How many slots are needed?


# %%
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
# **Answer.** 8: a token sees itself and the 7 before it. The logits are the oracle's, and all the bytes were there before the
# first token.

# %% [markdown]
# ## 4. Break it: window + chunk - 1, and one less
#
# A prompt is fed in **chunks**, several tokens at once. All of a chunk's keys are written before its first query reads.
#
# **Claim.** A ring needs exactly window + chunk - 1 slots. With one less it is wrong, but short texts don't show it.
#
# **Predict.** A window of 8, chunks of 4, and a ring that is one slot too short. The chunk of tokens 8 to 11 is fed. Which
# token does token 8 look for in vain?


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
    print(f"{kind.__name__}, {cache.room} slots:")
    print(
        *(f"  {count} tokens {'right' if fine else 'WRONG'}" for count, fine in right.items())
    )
    enough = kind is SlidingWindowCache
    assert [*right.values()] == [True, True, enough, enough]

# %% [markdown]
# **Answer.** Token 1. Token 8 looks back to it, and the chunk ends at token 11: that takes 11 slots. With 10, token 11
# overwrites token 1 before token 8 has seen it. With 8 and even with 11 tokens (whose last chunk is not full) nothing is
# wrong; with 12 it is.
#
# A **sink** (section 5) has a slot of its own in addition to these.

# %% [markdown]
# ### Exercise 3: find the bug
#
# `ShortRing` above is wrong. A test must feed it a text long enough to show that. Return the length of the shortest such
# text, when only full chunks are fed.


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
# The weights of a softmax add up to 1: a head with nothing to look for must put them somewhere, and many learn to put them on
# the first tokens, called **sinks** (StreamingLLM: Xiao et al., arXiv 2309.17453). A window drops these tokens. So they get
# slots of their own, outside the ring. (StreamingLLM also counts positions *within the cache*, as if nothing had been
# dropped. Ours keeps the positions of the text.) We compare how many bits the model needs to write down a token of a play,
# given its predictions: the fewer, the better.
#
# **Claim.** With a model that was trained without a window, 4 sinks help more than a window that is 4 tokens wider. They
# don't make it as good as without a window.
#
# **Predict.** With which window do sinks help more: 16 or 128?

# %%
gpt = GPT.from_pretrained("recall")
play = torch.from_numpy(held_out().ids.astype("int64"))[: 10 * 512].view(10, 512)


@torch.no_grad()
def loss(model):
    """On ten pieces of a play that the model has not seen: the lower, the better predicted."""
    logits = model(play[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), play[:, 1:]).item()


without = loss(gpt)
print("more bits a token than without a window:")
for window in (16, 64, 128):
    sizes = (window,), (window + 4,), (window, 4)
    plain, wider, sinks = (loss(gpt.with_window(*size)) / without - 1 for size in sizes)
    print(f"window {window:3}: {plain:5.1%}   4 wider: {wider:5.1%}   4 sinks: {sinks:5.1%}")
    assert 0 < sinks < wider < plain

# %% [markdown]
# **Answer.** With 16: the smaller the window, the more sinks help. With 64, the play takes 9.7% more bits without sinks, 9.5%
# with a window that is 4 wider, and 7.2% with 4 sinks: better, but not as good as without a window.

# %% [markdown]
# ### What stands in the sinks is remembered
#
# Prose is one thing, memory another. A **memory question** tells a fact in four tokens (`[Give Romeo ruby.]`), goes on with
# prose and other facts, and asks: `[Give Romeo`. **Recall** is the share answered right. Here the fact asked for is at the
# very start of a text of 300 tokens, and the question at its end.

# %%
asked = questions(0, (151, 200), count=80, length=300)


def told_at(start):
    """The prompts, with the fact asked for moved to `start`: all else keeps its order."""
    moved = []
    for prompt, distance in zip(asked.prompts, asked.distances.tolist(), strict=True):
        at = len(prompt) - distance - 2  # of the fact, whose third token is the value
        rest = torch.cat([prompt[:at], prompt[at + 4 :]])
        moved.append(torch.cat([rest[:start], prompt[at : at + 4], rest[start:]]))
    return torch.stack(moved)


@torch.no_grad()
def answers(reader, prompts):
    return reader(prompts)[:, -1].argmax(-1)


def told(said, prompts):
    """For each answer, whether it is the value of some fact in its prompt."""
    opening, values = prompts[:, :-2] == prompts[0, -2], prompts[:, 2:]  # of `[Give`
    return (opening & (values == said[:, None])).any(1)


# %% [markdown]
# **Claim.** What is in the sinks is remembered; what is between them and the window is not.
#
# **Predict.** A window of 64, and the fact in tokens 0 to 3. How many sinks does it take to answer: four, or fewer?


# %%
def score(reader, start):
    """Right answers, and answers that are the value of another fact."""
    prompts = told_at(start)
    said = answers(reader, prompts)
    right = said == asked.answers
    return right.sum().item(), (told(said, prompts) & ~right).sum().item()


readers = {"no window": gpt}
readers |= {f"window 64, {sinks} sinks": gpt.with_window(64, sinks) for sinks in range(5)}
in_front = {name: score(reader, start=0) for name, reader in readers.items()}
print("of 80 answers, if the fact is tokens 0 to 3:")
for name, (right, others) in in_front.items():
    print(f"  {name:18}: {right:2} right, {others:2} the value of another fact")
behind = score(readers["window 64, 4 sinks"], start=4)
print("if it is tokens 4 to 7:")
print(f"  window 64, 4 sinks: {behind[0]:2} right, {behind[1]:2} the value of another fact")
rights = [right for right, _ in in_front.values()]
assert [right > 75 for right in rights] == [True, False, False, False, True, True]
assert max(behind[0], *rights[1:4]) < 5
assert all(24 < others < 56 for right, others in in_front.values() if right < 5)

# %% [markdown]
# One of the questions, in words:

# %%
prompt = told_at(0)[:1]
words = [tokenizer.decode(piece) for piece in (prompt[0, :4].tolist(), prompt[0, -2:].tolist())]
print("told: ", words[0], end="")
print("asked:", words[1])
for name in ("no window", "window 64, 4 sinks", "window 64, 0 sinks"):
    print(f"{name:18}:", tokenizer.decode(answers(readers[name], prompt).tolist()))

# %% [markdown]
# **Answer.** Three sinks are enough, two are not. What must stay is the row of the third token, the value. When this row was
# computed it could still see the name before it, so it says both *cloak* and *for Juliet*. Without it about half of the
# answers are the value of another fact, as here, and the others are the value of none. A fact that begins four tokens later
# is lost in spite of 4 sinks. So a good place for what must not be forgotten is the very start, where a system prompt is; but
# only as much of it is safe as there are sinks.

# %% [markdown]
# ### Exercise 4: where may the fact stand?
#
# A text of `length` tokens ends with the question, which is two tokens long; the fact, of four tokens, begins at token
# `start` and must end before the question. Assume that it is remembered just when the last token of the question still sees
# the value's row. Return the list of all such `start`, in increasing order.


# %% tags=["exercise"]
def remembered_starts(length, window, sinks):
    """The places from which the fact is remembered."""
    raise NotImplementedError


# %% tags=["check"]
exercises.remembered_starts.check(remembered_starts)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def remembered_starts(length, window, sinks):
#     last = length - 1
#     return [
#         start
#         for start in range(length - 2 - 4 + 1)
#         if start + 2 < sinks or start + 2 > last - window
#     ]
# ```
#
# The test suite asks the model itself: it answers nearly all questions about facts in these places, and almost none about
# facts next to them.
#
# </details>

# %% [markdown]
# ## 6. What is forgotten
#
# Now the facts are anywhere in the text.
#
# **Claim.** A model remembers as far as its window reaches. Sinks don't change that.
#
# **Predict.** 40 facts were told 51 to 100 tokens ago, 40 were told 151 to 200 ago. How many of each does a window of 128 get
# right? (Guessing gets 7.)

# %%
bins, count = [(51, 100), (151, 200)], 40
rules = {
    "all tokens": (gpt, "dynamic"),
    "window 128": (gpt.with_window(128), "sliding_window"),
    "window 128, 4 sinks": (gpt.with_window(128, sinks=4), "sliding_window"),
}
right = {}
print(f"right of {count}, told 51-100 / 151-200 tokens ago:")
for name, (reader, kept) in rules.items():
    right[name] = right_by_distance(reader, kept, questions=count, bins=bins)
    print(f"  {name:19}: {right[name][100]:2} / {right[name][200]:2}")
chance = chance_by_distance(questions=count)
print(f"  {'by chance':19}: {chance[100] * count:2.0f} / {chance[200] * count:2.0f}")
assert all(found[100] > 0.8 * count for found in right.values())
assert right["all tokens"][200] > 0.8 * count
assert all(
    right[name][200] <= chance[200] * count for name in ("window 128", "window 128, 4 sinks")
)


# %% [markdown]
# One of the far ones, in words:

# %%
far = questions(0, bins[1], count=count)
prompt, distance = far.prompts[0], far.distances[0].item()
at = len(prompt) - distance - 2
print("told: ", tokenizer.decode(prompt[at : at + 4].tolist()), end="")
print(f'asked: "{tokenizer.decode(prompt[-2:].tolist())}", {distance} tokens later')
said = {name: answers(reader, far.prompts) for name, (reader, _) in rules.items()}
for name, ids in said.items():
    print(f"{name:19}:", tokenizer.decode(ids[:1].tolist()))
others = told(said["window 128"], far.prompts).sum().item()
print(f"Of all {count} far ones, window 128 answers {others} with the value of another fact.")
assert 12 < others < 28

# %% [markdown]
# **Answer.** All 40 near ones, and none of the far ones. Sinks do not help: they hold the start of the text, and these facts
# are in its middle. Some wrong answers look as good as a right one. (Recall is below chance, because the model need not
# answer with one of the values.)
#
# Here is the same for more distances, from a recorded run, next to caches that store *all* tokens in fewer bits
# (notebook 06):

# %%
picture = recall_by_distance(recorded_quality())  # with 95% intervals
show(picture, picture.alt)

# %% [markdown]
# A window's line falls in the bin that contains its width (some of that bin's facts are still inside the window), and stays
# down. Whiskers are 95% intervals. Storing fewer bits has no such edge: facts are remembered at all distances, or, with 1
# bit, at none.

# %% [markdown]
# ## 7. Further than the window
#
# **Claim.** The influence of a token reaches further than the window, but not without end.
#
# **Predict.** 3 layers, a window of 8. We change token 0. Which is the last token whose logits change?

# %%
other = many.clone()
other[0, 0] = (other[0, 0] + 1) % model.config.vocab_size
with torch.no_grad():
    moved = (windowed(other) - oracle).abs().amax((0, 2)) > 1e-12
reach = moved.nonzero().max().item()
print("the last token whose logits change:", reach)
assert reach == model.config.n_layer * (8 - 1)

# %% [markdown]
# **Answer.** Token 21. It never sees token 0, but it sees tokens that saw tokens that saw it: influence reaches up to
# `layers x (window - 1)` tokens. That a token *can* be influenced doesn't mean that it remembers: see section 6.

# %% [markdown]
# ## 8. Past the context
#
# **Claim.** A ring never overflows, but this model still ends at its **context** of 512 tokens: it has learned no positions
# after these.
#
# **Predict.** We ask for 600 tokens. An error at the start, in the middle, or garbage from 512 on?

# %%
ids = torch.tensor([load_tokenizer("recall").encode("HAMLET.\nTo be").ids])
with refused(ValueError):
    gpt.with_window(64, sinks=4).generate(
        ids, max_new_tokens=600, cache_implementation="sliding_window"
    )
print("and without a window, where a ring would forget silently:")
with refused(ValueError):
    gpt.generate(ids, max_new_tokens=20, cache_implementation="sliding_window")

# %% [markdown]
# **Answer.** An error at the start, before any work. Models with relative positions (rotary ones, as in Mistral) can go on;
# the ring was made for them. So was StreamingLLM, which counts positions within the cache so that they never exceed those
# that the model knows.

# %% [markdown]
# ## 9. What can't be taken back
#
# **Claim.** From a ring that has started to overwrite, as many tokens as a chunk has can be taken back. One more is refused.
#
# **Predict.** With chunks of 4, why can't it simply forget the last 5 tokens?

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
# **Answer.** The tokens to be taken back have overwritten some of what the next token would then have to see. It is the extra
# slots for chunks that make a few steps back possible.

# %% [markdown]
# ## 10. A window in some layers only
#
# A **hybrid model** has a window in some of its layers, and sees all tokens in the others (Gemma 2 alternates:
# arXiv 2408.00118, section 2). Its cache has rings in the former, and grows in the latter.
#
# **Claim.** One layer that sees all tokens can be enough to remember, if it is the right one.
#
# **Predict.** 3 layers, windows of 64 in two of them. Which one must see all tokens to answer a question whose fact was told 151 to 200 tokens ago?

# %%
found = {}
for full in (None, 0, 1, 2):
    hybrid = gpt.with_window([None if layer == full else 64 for layer in range(3)])
    found[full] = right_by_distance(
        hybrid, "sliding_window", questions=40, bins=[(151, 200)], length=300
    )[200]
    cache = make_cache("sliding_window", hybrid.config, chunk=1)
    with torch.no_grad():
        for piece in play[:1, :300].split(1, dim=1):
            hybrid(piece, cache=cache)
    sees_all = "no layer" if full is None else f"layer {full}"
    print(
        f"{sees_all:8} sees all: {found[full]:2} of 40 right; {cache.nbytes:,} bytes at 300 tokens"
    )
assert found[1] > 36
assert max(found[None], found[0], found[2]) < 5

# %% [markdown]
# **Answer.** The middle one, layer 1: that is where this model looks the fact up. Layer 0 only needs to see the name beside
# the value, and layer 2 works on what has been found. In a large model nobody knows beforehand which layers look far back, so
# it is trained as a hybrid from the start.

# %% [markdown]
# ## What to take away
#
# - How far back a token looks is a rule of the model; the ring just stores no more than that.
# - window + chunk - 1 slots, exactly. A test with short texts proves nothing.
# - Sinks partly restore the prose of a model that was not trained with a window. What is in them is remembered; what has left
#   the window is not.
# - Constant memory doesn't mean endless text: learned positions end.
#
# Next, notebook 06: keep all tokens, in fewer bits.
