# %% [markdown]
# # 01 Attention, step by step
#
# Three tokens, worked out by hand. Then the same numbers again: row by row, as matrices, with several heads, and in one fused
# call. At the end you know what attention computes, and which of its numbers never change. A KV cache needs nothing else.

# %% [markdown]
# **中文提要**　本节从头手算三个词元的注意力：先用 Python 循环，再逐行计算，再写成矩阵，最后是多头与融合算子，每一步得到的数都相同。
# 要点有二：第一，每个词元的查询只看自己和它之前的键（因果掩码）；第二，新词元到来时，旧词元的那几行一个数也不变。
# 所以旧的键和值只需算一次：这就是键值缓存（KV 缓存）的全部依据。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | token | 词元 | a piece of text, a word or part of one, which the model reads as a number |
# | query | 查询 | what a token asks of the tokens before it |
# | key | 键 | what a token is found by |
# | value | 值 | what a token gives to those that find it |
# | score | 得分 | query times key: how well they match |
# | softmax | softmax（归一化指数函数） | turns scores into weights that are positive and add up to one |
# | attention | 注意力 | the mean of the values, weighted by how well each key matches the query |
# | causal mask | 因果掩码 | hides from each token all that comes after it |
# | position | 位置 | the place of a token in its text |
# | head | 注意力头 | one of several attentions side by side, each with channels of its own |
# | channel | 通道 | one number of a vector |
# | batch | 批次 | several texts processed together |
# | grouped-query attention | 分组查询注意力 | several query heads share one key head and one value head |
# | fused kernel | 融合算子 | one call that does several operations without storing the results between them |
# | KV cache | 键值缓存（KV 缓存） | the stored keys and values of all tokens so far |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import math
import time

import torch

from minigpt.attention import (
    NEVER,
    attend,
    attend_as_matrices,
    attend_by_hand,
    attend_by_rows,
    sees,
)
from minigpt.exercises import e01_attention as exercises
from minigpt.show.notebook import code, grid, show
from minigpt.show.plots.growth import growing_weights, growth

torch.set_num_threads(1)  # small numbers: more threads would only wait for each other

# %% [markdown]
# ## 1. Token 1 sees only itself
#
# A language model reads **tokens**: pieces of text. Inside, each token is a vector, a list of numbers. Attention makes three
# shorter vectors from it, with three learned matrices:
#
# - the **query** `q`: what this token asks;
# - the **key** `k`: what it is found by;
# - the **value** `v`: what it gives to whoever finds it.
#
# Here we take these vectors as given, two numbers each; notebook 02 makes them from a real model's matrices.
#
# Token 1 compares its query with its key: it multiplies them number by number and adds up. That gives a **score**. The
# **softmax** turns scores into weights that are positive and add up to one. Then the values are added up, each multiplied by
# its weight:
#
# `Attn₁ = softmax(q₁ k₁ᵀ / √D) v₁`
#
# `D` is the length of these vectors. Dividing by its square root keeps the scores from growing with it. The Chinese article
# that this course is based on, about KV caching in transformers, explains attention with the same three tokens, but leaves
# out the root. So do many texts; real models don't.
#
# **Claim.** The attention of token 1 doesn't depend on its query or its key.
#
# **Predict.** Then what is it? Decide before you run the cell. (What is the softmax of a single score?)

# %%
q = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]  # of tokens 1, 2 and 3
k = [[1.0, 1.0], [2.0, 0.0], [0.0, 1.0]]
v = [[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]]


def softmaxed(scores):
    powers = [math.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


score = (q[0][0] * k[0][0] + q[0][1] * k[0][1]) / math.sqrt(2)
(weight,) = softmaxed([score])
attention_1 = [weight * v[0][0], weight * v[0][1]]
print(f"score {score:.3f}, weight {weight}, attention {attention_1}")
assert attention_1 == v[0]

# %% [markdown]
# **Answer.** It is `v₁`, the value of token 1. The softmax of a single score is 1, whatever the score is: the weights add up
# to one, and there is only this one.

# %% [markdown]
# ## 2. Token 2: two keys, two weights
#
# `Attn₂ = s₁ v₁ + s₂ v₂`, with `s₁, s₂ = softmax(q₂ k₁ᵀ / √D, q₂ k₂ᵀ / √D)`
#
# **Claim.** Token 2 does not change the attention of token 1.
#
# **Predict.** `q[1]` is `[0, 2]`; the keys are `[1, 1]` and `[2, 0]`. Which of the two values will get the larger weight?


# %%
def row(t):
    """The attention of token t (counted from 0, as Python does), which sees tokens 0 to t."""
    scores = [sum(a * b for a, b in zip(q[t], k[s])) / math.sqrt(2) for s in range(t + 1)]
    weights = softmaxed(scores)
    return [sum(weights[s] * v[s][d] for s in range(t + 1)) for d in range(2)], weights


attention_2, weights_2 = row(1)
print("weights  ", [f"{weight:.3f}" for weight in weights_2])
print("attention", [f"{number:.3f}" for number in attention_2])
assert weights_2[0] > weights_2[1]
assert row(0)[0] == attention_1

# %% [markdown]
# **Answer.** The first. The query of token 2 is nonzero only in the second **channel** (a channel is one number of a vector).
# There the first key has a 1, and the second a 0. The attention of token 1 is what it was.

# %% [markdown]
# ## 3. Token 3: what is new, and what is not
#
# `Attn₃ = s₁ v₁ + s₂ v₂ + s₃ v₃`, with `s₁, s₂, s₃ = softmax(q₃ k₁ᵀ / √D, q₃ k₂ᵀ / √D, q₃ k₃ᵀ / √D)`
#
# **Claim.** A new token adds a row, its own attention, and changes none of the rows above it.
#
# **Predict.** The attention of token 3 reads keys and values. Which of them did the attention of token 2 read too? Which old
# queries does it read?

# %%
attention_3, weights_3 = row(2)
by_hand = [attention_1, attention_2, attention_3]
for number, line in enumerate(by_hand, start=1):
    print(f"attention of token {number}:", "  ".join(f"{x:.3f}" for x in line))

k_before, v_before = [list(key) for key in k], [list(value) for value in v]
k[2], v[2] = [9.0, -9.0], [7.0, 7.0]  # another third token ...
assert [row(0)[0], row(1)[0]] == by_hand[:2]  # ... leaves rows 1 and 2 as they were
assert row(2)[0] != by_hand[2]
k, v = k_before, v_before

# %% [markdown]
# **Answer.** The keys and values of tokens 1 and 2: the attention of token 2 read them, and that of token 3 reads them again. It reads
# no old query, only its own. Remember two sentences:
#
# - Rows 1 and 2 don't depend on token 3. That is why a cache is *allowed*.
# - Row 3 needs the *keys and values* of tokens 1 and 2, but not their *queries*. That is why a cache stores only K and V.
#
# Here is the same in a real model, the small GPT that comes with the package. Each triangle was computed from scratch:

# %%
show(
    growth(growing_weights()),
    "Triangles of attention weights for tokens 1 to 3, each with one new row at the bottom; "
    "the rows above it are those of the triangle before.",
)

# %% [markdown]
# ### Exercise 1: the same token twice
#
# By mistake a token is read twice: its key and value appear twice in a row, and a later query sees both copies. You are given
# the weights of that query's row as they should be, with each token read once. What are they when token `at` (counted from 0)
# is read twice? Return a list that is one number longer.


# %% tags=["exercise"]
def doubled(weights, at):
    """The row of weights when token `at` stands there twice."""
    raise NotImplementedError


# %% tags=["check"]
exercises.doubled.check(doubled)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def doubled(weights, at):
#     longer = weights[: at + 1] + weights[at:]
#     return [weight / sum(longer) for weight in longer]
# ```
#
# Both copies have the same score, so the same exponential in the softmax, and the sum that all are divided by has grown by
# one of them. All other tokens lose weight. Nothing crashes: the weights still add up to one. Notebook 03 shows how easily
# this happens with a cache.
#
# </details>

# %% [markdown]
# ## 4. The same, as a function of the package
#
# The package has four implementations of attention. The first is what you just did, with loops. Its arguments have four axes,
# **B T H D**: texts of a **batch** (several texts processed together), tokens, heads (section 7), channels. For now there is
# one text and one head.
#
# **Claim.** `attend_by_hand` gives our three rows.
#
# **Predict.** It takes a `mask` that says who sees whom, with a row for each query and a column for each key. Which of its
# nine entries are True?

# %%
# one text, one head: (3, 2) becomes (1, 3, 1, 2)
Q, K, V = (torch.tensor(x, dtype=torch.float64)[None, :, None] for x in (q, k, v))
positions = torch.arange(3)[None]  # (1, 3)
mask = sees(positions, positions)  # (1, 1, 3, 3)
print(mask[0, 0])
out = attend_by_hand(Q, K, V, mask)
print(out[0, :, 0])
assert torch.allclose(out[0, :, 0], torch.tensor(by_hand, dtype=torch.float64), atol=1e-12)

# %% [markdown]
# **Answer.** Those on the diagonal and below it, six of nine: token 1 sees one key, token 2 two, token 3 three. This is the
# **causal mask**. In the package it comes from one rule, which needs only the **position** of each token: its place in the
# text, counted from 0.

# %%
code(sees)

# %% [markdown]
# Leave `window` and `sinks` for notebook 05. One position is special: `NEVER`, given to everything that is not a token of the
# text. It is so large that it comes after every query, so the same rule hides it. Here the second key is taken out:

# %%
print("NEVER is", NEVER)
taken_out = sees(positions, torch.tensor([[0, NEVER, 2]]))[0, 0]
print(taken_out)
assert not taken_out[:, 1].any()
assert torch.equal(taken_out[:, [0, 2]], mask[0, 0][:, [0, 2]])

# %% [markdown]
# ## 5. Row by row: one query, all keys at once
#
# For one query, the loops over keys and channels are products of a vector and a matrix.
#
# **Claim.** Row 3 can be computed alone, without the queries of rows 1 and 2.
#
# **Predict.** Give `attend_by_rows` only the last query, all three keys and values, and the last row of the mask. What shape
# comes back?

# %%
last = attend_by_rows(Q[:, 2:], K, V, mask[:, :, 2:])
print(tuple(last.shape), last[0, 0, 0])
assert torch.allclose(last[0, 0, 0], torch.tensor(attention_3, dtype=torch.float64), atol=1e-12)
assert torch.allclose(attend_by_rows(Q, K, V, mask), out, atol=1e-12)

# %% [markdown]
# **Answer.** `(1, 1, 1, 2)`: one text, one token, one head, two channels. One row comes back for each query. This is just
# what a model with a cache does for each new token.

# %% [markdown]
# ## 6. As matrices: all rows at once
#
# All scores together are one product, `Q Kᵀ`. Where the mask is False, the score is set to minus infinity, and `exp(-inf)` is zero:
#
# `Attn = softmax(Q Kᵀ / √D, -inf where the mask is False) V`
#
# **Claim.** The matrix holds our three rows of weights, and zeros where a token would look ahead.
#
# **Predict.** How many of the nine weights are zero? What does each row add up to?

# %%
scores = Q[0, :, 0] @ K[0, :, 0].T / math.sqrt(2)
weights = scores.masked_fill(~mask[0, 0], -math.inf).softmax(-1)
picture = grid(
    weights,
    ["query 1", "query 2", "query 3"],
    ["key 1", "key 2", "key 3"],
    "Each row adds up to 1",
)
show(
    picture,
    "Three queries by three keys: weights on the diagonal and below it, zeros above it.",
)
assert (weights == 0).sum() == 3
assert torch.allclose(weights.sum(-1), torch.ones(3, dtype=torch.float64))
assert torch.allclose(attend_as_matrices(Q, K, V, mask), out, atol=1e-12)

# %% [markdown]
# **Answer.** Three weights are zero, those above the diagonal, and each row adds up to 1. The rows are those of sections 1, 2 and
# 3. The triangle of zeros is wasted work: the price of computing all rows at once.

# %% [markdown]
# ### Exercise 2: a tree of tokens
#
# Positions are not always enough. Two continuations of one text, say `the cat sat` and `the dog`, can share one tensor,
# `the cat sat dog`: `dog` must see `the` and itself, but neither `cat` nor `sat`. So let each token name its parent, the
# token before it in its own text: here `[-1, 0, 1, 0]`, where -1 means none. A parent always comes before its children. Write
# the mask.


# %% tags=["exercise"]
def tree_mask(parents):
    """A list of T parents -> (T, T), bool, True where the token of the row sees the token of
    the column."""
    raise NotImplementedError


# %% tags=["check"]
exercises.tree.check(tree_mask)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def tree_mask(parents):
#     mask = torch.eye(len(parents), dtype=torch.bool)
#     for token, parent in enumerate(parents):
#         if parent >= 0:
#             mask[token] |= mask[parent]
#     return mask
# ```
#
# A token sees itself and everything that its parent sees. A new token adds one row, and the loop writes just that row.
# Programs that try several continuations in one pass use such masks (tree attention, as in Medusa, arXiv 2401.10774).
#
# </details>

# %% [markdown]
# ### Exercise 3: two halves of the keys
#
# The keys of a long text may lie in two places, or be too many to process at once. Attend to each half by itself, and keep
# one more number for each query: the logarithm of the sum of `exp(score)`, the sum by which the softmax divides.


# %%
def attention_of(q, k, v):
    """(T, D), (S, D), (S, D) -> what attention gives (T, D), and the logarithm of the sum
    (T,)"""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


one, log_one = attention_of(Q[0, :, 0], K[0, :1, 0], V[0, :1, 0])  # key 1 alone
other, log_other = attention_of(Q[0, :, 0], K[0, 1:, 0], V[0, 1:, 0])  # keys 2 and 3

# %% [markdown]
# Join the two results into attention over all keys. Nothing is masked here, and scores may be in the thousands. Is the result
# exact?


# %% tags=["exercise"]
def joined(one, log_one, other, log_other):
    """(T, D), (T,), (T, D), (T,) -> (T, D)"""
    raise NotImplementedError


# %% tags=["check"]
exercises.joined.check(joined)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def joined(one, log_one, other, log_other):
#     shares = torch.stack([log_one, log_other]).softmax(0)[..., None]
#     return shares[0] * one + shares[1] * other
# ```
#
# It is exact, up to rounding: each half was divided by its own sum, so it is multiplied by its share of the two sums. The
# shares are again a softmax, of the logarithms, and like any softmax it can subtract the larger one first. So attention never
# needs a whole row of weights at once. Fast implementations process the keys in pieces this way (FlashAttention,
# arXiv 2205.14135), and when a long cache is read for one new token, the pieces are read in parallel (flash-decoding).
#
# </details>

# %% [markdown]
# ## 7. Heads: the same, several times side by side
#
# A model splits its vectors into **heads**: each attends by itself, with its own channels, and the results are put side by
# side again. With **grouped-query attention** several query heads share one key head and one value head, so there are fewer
# keys and values to store.
#
# **Claim.** Four implementations, one result: by hand, by rows, as matrices, and `attend`, one **fused kernel** that never
# stores the matrix of weights.
#
# **Predict.** With 4 query heads over 2 key heads, which key head does query head 3 read? (Both counted from 0.)

# %%
torch.manual_seed(0)
B, T, H, key_heads, D = 2, 6, 4, 2, 8
q4 = torch.randn(B, T, H, D, dtype=torch.float64)
k4, v4 = torch.randn(2, B, T, key_heads, D, dtype=torch.float64)
causal_mask = sees(*[torch.arange(T).expand(B, T)] * 2)

want = attend_by_hand(q4, k4, v4, causal_mask)
for form in (attend_by_rows, attend_as_matrices, attend):
    difference = (form(q4, k4, v4, causal_mask) - want).abs().max().item()
    print(f"{form.__name__:20} differs from by hand by less than 1e-12: {difference < 1e-12}")
    assert difference < 1e-12

# query head 3 alone, with key head 1
alone = attend_by_hand(q4[:, :, 3:], k4[:, :, 1:], v4[:, :, 1:], causal_mask)
assert torch.equal(alone[:, :, 0], want[:, :, 3])

# %% [markdown]
# **Answer.** Key head 1. Query heads 0 and 1 read key head 0, query heads 2 and 3 read key head 1. So only half as many keys
# and values need to be stored as with one key head for each query head.

# %% [markdown]
# ## 8. Measure: the same numbers, not the same time
#
# **Claim.** The same numbers can take very different amounts of time: Python loops are far slower than one call with
# matrices.
#
# **Predict.** By what factor, for 32 tokens? Ten, a hundred, a thousand?

# %% tags=["timed"]
T, H, D = 32, 4, 16
q5, k5, v5 = torch.randn(3, 1, T, H, D)
long_mask = sees(*[torch.arange(T)[None]] * 2)
seconds = {}
for form in (attend_by_hand, attend_by_rows, attend_as_matrices, attend):
    form(q5, k5, v5, long_mask)  # once to warm up
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        form(q5, k5, v5, long_mask)
        took.append(time.perf_counter() - begin)
    seconds[form] = min(took)
for form, took in seconds.items():
    print(
        f"{form.__name__:20} {1000 * took:8.3f} ms, "
        f"{seconds[attend_by_hand] / took:6.0f} times as fast as by hand"
    )
assert seconds[attend_by_hand] > 10 * seconds[attend_as_matrices]

# %% [markdown]
# **Answer.** About a hundred or more, depending on the machine; the cell asserts only ten. Python handles one number at a
# time, a product of matrices many. The fused kernel does in one call what the matrices do in several, and is usually faster
# still.

# %% [markdown]
# ## 9. Break it
#
# Here is a mask that looks right. It was seen in public code: its author thought of generation, where one token at a time is
# new, and compared with the *last* position of all tokens fed.
#
# **Claim.** With one new token nobody notices. With two it is wrong.
#
# **Predict.** For the new tokens 3 and 4, which entries of the mask are wrong?


# %%
def broken(q_pos, k_pos):
    return (k_pos <= q_pos.max()).expand(len(q_pos), len(k_pos))


for q_pos in (torch.tensor([3]), torch.tensor([3, 4])):
    k_pos = torch.arange(int(q_pos.max()) + 1)
    right, wrong = sees(q_pos[None], k_pos[None])[0, 0], broken(q_pos, k_pos)
    for t, position in enumerate(q_pos.tolist()):
        print(
            f"{len(q_pos)} new, query {position}: "
            f"right {right[t].int().tolist()}, broken {wrong[t].int().tolist()}"
        )
    assert torch.equal(right, wrong) == (len(q_pos) == 1)

# %% [markdown]
# **Answer.** One: query 3 sees key 4, which comes after it. The text still looks plausible, and nothing crashes. Only a
# comparison with the correct attention shows it, and only where more than one token is fed at once.

# %% [markdown]
# ### Exercise 4: find the bug
#
# This function splits a model's vectors into heads. It returns the right shape, and with one head the right numbers. With
# two, a token sees its own future, and no mask can prevent it. Find out why, and fix it.


# %%
def broken_heads(x, heads):
    """(T, C) -> (heads, T, C / heads): the first head gets the first channels of each token,
    and so on."""
    return x.view(heads, len(x), -1)


x = torch.arange(12).view(3, 4)  # of 3 tokens, 4 channels
assert torch.equal(broken_heads(x, 1)[0], x)
print(broken_heads(x, 2))


# %% tags=["exercise"]
def mended_heads(x, heads):
    """(T, C) -> (heads, T, C / heads): the first head gets the first channels of each token,
    and so on."""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(mended_heads)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `view` reads the numbers in the order in which they lie in memory: token by token. So the first head gets *all* channels of
# the first tokens, and its row 1 holds the rest of token 0. Split the channels first, then swap the axes.
#
# ```python
# def mended_heads(x, heads):
#     return x.view(len(x), heads, -1).transpose(0, 1)
# ```
#
# A reshape that mixes axes never crashes. To find it, change one token and see which rows change, as notebook 02 does.
#
# </details>

# %% [markdown]
# ## What to take away
#
# - Attention of a token: the values of all tokens up to it, weighted by how well their keys match its query.
# - A new token adds a row. The rows before it don't change.
# - The new row needs the old keys and values, and no old query.
#
# Next, notebook 02: a model that generates text computes all those old keys and values again at each step. We watch it.
