# %% [markdown]
# # 02 The same keys again
#
# A model writes a text, one token at a time, without a cache. We record every key and value that it computes on the way. Most
# of them it has computed before, and they are the same numbers. At the end you know why they must be, in which models they
# are not, and why nobody caches the queries.

# %% [markdown]
# **中文提要**　本节不用缓存逐个生成词元，并把每一步算出的键和值都记下来：绝大多数行以前算过，而且除舍入误差外，数值完全一样。
# 原因是因果性：每一层里，一个词元只依赖它自己和它之前的词元，所以后来的词元改变不了它的键和值。
# 双向模型（如 BERT）不满足这一点，实验会显示它的键每一步都在变。查询不必缓存：一行算完，它的查询就再也用不到。
# 本项目所依据的那篇文章说重复计算的是 `K_iᵀ V_i`，这不对：softmax 注意力里没有这个乘积，重复计算的是键 `k_i` 和值 `v_i`（由第 i 个词元的向量经归一化、乘 `W_K` 或 `W_V`、加偏置得到），以及下面各层中这些词元的全部计算。
# 不用缓存时，行数随长度的平方增长，注意力随立方增长。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | token | 词元 | a piece of text, which the model reads as a number |
# | prompt | 提示词 | the text that is given, before anything is generated |
# | generation | 生成 | predicting the next token, adding it to the text, and repeating |
# | greedy decoding | 贪心解码 | taking the most likely token at each step |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, one new token each |
# | logits | logits（未归一化得分） | a number for each token of the vocabulary: the higher, the more likely it comes next |
# | key | 键 | what a token is found by |
# | value | 值 | what a token gives to those that find it |
# | query | 查询 | what a token asks of the tokens before it |
# | layer | 层 | one of the model's stacked blocks, each with its own keys and values |
# | pair | 查询–键对 | a query and a key that it sees: attention computes a score for each |
# | FLOP | 浮点运算 | one multiplication or one addition of two numbers |
# | causality | 因果性 | a token depends only on itself and on those before it |
# | bidirectional model | 双向模型 | one whose tokens see those after them too |
# | position | 位置 | the place of a token in its text, which the model is given with the token |
# | KV cache | 键值缓存（KV 缓存） | the stored keys and values of all tokens so far |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import math
import time

import torch

from minigpt import GPT, GPTConfig, load_tokenizer
from minigpt.attention import attend, sees
from minigpt.cache import NoCache
from minigpt.exercises import e02_recomputing as exercises
from minigpt.measure.counted.run import run
from minigpt.measure.forms.flops import uncached_flops
from minigpt.measure.forms.real_models import GPT2
from minigpt.show.notebook import grid, show
from minigpt.show.plots.redundancy import redundancy, runs

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

# A model that is bundled with the package; in float64, so that equal means equal.
model = GPT.from_pretrained("recall", dtype=torch.float64)
tokenizer = load_tokenizer("recall")

# %% [markdown]
# ## 1. A text, one token at a time
#
# The model is a small GPT that comes with the package. After each token of a text it gives **logits**: a number for every
# token of the vocabulary, the higher the more likely it comes next. **Greedy decoding** takes the token with the highest
# logit, adds it to the text, and repeats. That is **generation**.
#
# **Claim.** A loop of a few lines gives the same text as the package's own `generate`.
#
# **Predict.** The prompt has 7 tokens, and we want 8 more. How many tokens does the model read, over all steps?

# %%
ids = torch.tensor([tokenizer.encode("HAMLET.\nTo be").ids])
prompt, new = ids.shape[1], 8

# %% tags=["on-slide"]
text, read = ids, []
with torch.no_grad():
    for _ in range(new):
        logits = model(text)  # (1, T, V), of the whole text
        read.append(text.shape[1])
        text = torch.cat([text, logits[:, -1:].argmax(-1)], dim=1)

# %%
words = [tokenizer.decode([token]) for token in text[0].tolist()]
print("the prompt:", words[:prompt])
print("new tokens:", words[prompt:])
print("tokens read at each step:", *read, "in all:", sum(read))
assert torch.equal(text, model.generate(ids, max_new_tokens=new, use_cache=False))

# %% [markdown]
# **Answer.** 84, for a text of 15: 7 at the first step, then one more at each step. The last new token is never read, since
# nothing comes after it. The first step, in which the prompt is read, is called **prefill**; the others, one new token each,
# are called **decode**. Without a cache they do the same: each reads the whole text.

# %% [markdown]
# ## 2. Watch the keys
#
# For each token that it reads, every **layer** (one of the model's stacked blocks) computes a key and a value. We call the
# two together a K/V row.
#
# At each step the model first tells its cache which tokens are coming, by `cache.admit(positions, ids)`. Then each layer
# passes its keys and values to `cache.update(k, v, layer)`, and continues with what comes back: keys, values, and the
# position of each, from which `sees` makes the mask. So an object in place of the cache sees them all. This one stores
# nothing for the model, and records everything for us.
#
# **Claim.** A key that is computed again comes out the same.
#
# **Predict.** There are 8 steps. How often is the key of the *first* token of the prompt computed? And that of its *last* token?


# %%
class Recorder(NoCache):
    """Keeps nothing, but writes down: steps[step][layer] is (k, v), each (B, T, heads,
    channels)."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def admit(self, positions, ids=None):
        super().admit(positions, ids)
        self.steps.append([])

    def update(self, k, v, layer):
        self.steps[-1].append((k, v))
        return super().update(k, v, layer)


def record(model, text, lengths, recorder=None):
    """What the model computes as it reads a text up to each of these lengths."""
    recorder = recorder or Recorder()
    with torch.no_grad():
        for length in lengths:
            model(text[:, :length], cache=recorder)
    return recorder.steps


steps = record(model, text, read)
last_layer = model.config.n_layer - 1
print("the first three numbers of a key of the last layer, at each step:")
for step, layers in enumerate(steps):
    key = layers[last_layer][0][0, :, 0, :3]  # (T, 3): of all tokens, head 0
    first, last_of_prompt = (
        " ".join(f"{x:6.3f}" for x in key[token].tolist()) for token in (0, prompt - 1)
    )
    print(f"step {step}: token 0: {first}   token {prompt - 1}: {last_of_prompt}")

for layers in steps:
    for layer, (k, v) in enumerate(layers):
        k_first, v_first = steps[0][layer]
        assert torch.allclose(k[:, :prompt], k_first, atol=1e-12)
        assert torch.allclose(v[:, :prompt], v_first, atol=1e-12)

# %% [markdown]
# **Answer.** Both 8 times, once per step, like that of every other token of the prompt. The same holds in every layer, and
# the numbers are the same each time.

# %% [markdown]
# ## 3. Count them
#
# **Claim.** With a cache each row is computed once. Without one, most rows are computed many times.
#
# **Predict.** Which tokens' rows are computed only once even without a cache?
#
# `run` generates a text and counts the rows, with a wrapper around the cache. Here is how often each row has been computed
# after each step:

# %%
uncached, cached = (run(model, ids, new, name) for name in ("none", "dynamic"))
times = uncached.times[:, 0].double()  # (steps, tokens): in layer 0; all layers are alike
columns = [words[token].strip() or "\\n" for token in range(times.shape[1])]
picture = grid(
    times.masked_fill(times == 0, math.nan),
    [f"after step {step}" for step in range(new)],
    columns,
    "How often each token's K/V row has been computed, without a cache",
    digits=0,
)
show(
    picture,
    "Steps downwards, tokens across. Each step adds one to the count of all tokens so far; "
    "the newest token of each step stands at 1, those of the prompt end at 8.",
)
total, needed = int(uncached.times[-1, 0].sum()), int(cached.times[-1, 0].sum())
print(f"rows computed in each layer: {total} without a cache, {needed} with one")
assert total == sum(read)
assert (cached.times[-1] == 1).all()
assert torch.equal(cached.tokens, uncached.tokens)

# %% [markdown]
# **Answer.** Only those of the last token that is read, since no step comes after it. (The last new token is not read at
# all.) The prompt's rows are computed 8 times. Of 84 rows, 14 were needed.
#
# The longer the text, the worse the ratio. Here is another one, of 24 steps, and next to it the same text with a cache:

# %%
picture = redundancy(*runs())
show(picture, picture.alt)

# %% [markdown]
# ### Exercise 1: how many pairs?
#
# Rows are one thing to count. Another is **pairs**: a query and a key that it sees, for which attention computes a score. So
# the row of token 1 takes one pair, that of token 2 two, and so on. How many pairs does one head of one layer score, over all
# steps, to generate `new_tokens` tokens after a prompt of `prompt` tokens? Return two numbers: without a cache, and with one.
# (With one, each token is read once, and its query meets all keys so far.)


# %% tags=["exercise"]
def pairs(prompt, new_tokens):
    """(pairs without a cache, pairs with one), of one head of one layer."""
    raise NotImplementedError


# %% tags=["check"]
exercises.pairs.check(pairs)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def pairs(prompt, new_tokens):
#     def of(length):
#         return length * (length + 1) // 2
#
#     read = range(prompt, prompt + new_tokens)  # tokens at each step; the last new one is never read
#     return sum(of(length) for length in read), of(read[-1])
# ```
#
# With a cache, a whole generation takes the pairs of reading its text once. Without one, it takes a sum of triangles, which
# grows with the cube of the length; section 8 shows when that matters.
#
# </details>

# %% [markdown]
# ## 4. Why: a token looks only backwards, in every layer
#
# In the first layer, the key of a token is computed from that token and its **position** (its place in the text) alone. In
# the second, it is computed from what the first layer made of the token, and there attention also looked at the tokens before
# it. And so on upwards. In no layer does anything come from the right. That is **causality**.
#
# **Claim.** Change one token, and no key before it changes, in any layer.
#
# **Predict.** We change token 9 of 15. Which keys change in the first layer? Which in the second?

# %%
changed = text.clone()
at = 9
changed[0, at] = (changed[0, at] + 1) % model.config.vocab_size
before, after = (record(model, each, [15])[0] for each in (text, changed))
moved = [(k1 - k0).abs().amax((0, 2, 3)) for (k0, _), (k1, _) in zip(before, after)]
moved = torch.stack(moved)  # (layers, tokens)
layers = [f"layer {layer}" for layer in range(len(moved))]
show(
    grid(
        moved.masked_fill(moved < 1e-12, math.nan),
        layers,
        [str(t) for t in range(15)],
        "By how much the keys change when token 9 does",
        2,
    ),
    "Layers downwards, tokens across. In layer 0 only token 9 changes; "
    "in the layers above, token 9 and all after it.",
)
assert (moved[:, :at] < 1e-12).all()
assert (moved[0, at + 1 :] < 1e-12).all()
assert (moved[1:, at:] > 1e-3).all()

# %% [markdown]
# **Answer.** In layer 0, the first, only that of token 9. In layer 1, those of token 9 and of all tokens after it, since they
# looked at it. (The picture shows the largest change of each key; white is none.) To the left of token 9 nothing changes:
# those rows could have been stored.

# %% [markdown]
# ### Exercise 2: how far does it reach?
#
# Some models look through a **window**: in each layer a token sees itself and the `window - 1` tokens before it, and no
# others. Which keys can change in such a model, in layer `layer` (counted from 0), when token `token` of a text of `length`
# tokens changes?


# %% tags=["exercise"]
def reach(token, layer, window, length):
    """A list of the tokens whose keys in this layer can change."""
    raise NotImplementedError


# %% tags=["check"]
exercises.reach.check(reach)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def reach(token, layer, window, length):
#     return list(range(token, min(length, token + layer * (window - 1) + 1)))
# ```
#
# A key of layer 0 depends on no other token. A key of layer 1 comes after one attention through the window, a key of layer 2
# after two: each layer adds `window - 1`. So a model of many layers can be influenced by tokens far outside its window,
# though no layer sees them; how much it remembers of them is another matter, and the subject of notebook 05.
#
# </details>

# %% [markdown]
# ### Exercise 3: which rows can be kept?
#
# The K/V rows of a batch of texts, `old`, are stored, and we want the logits at the end of the texts `new`: some were edited,
# some continue, some are the same. Rows can be removed only from the end, and equally many from every text of the batch. Of
# how many tokens can the rows stay?


# %% tags=["exercise"]
def reusable(old, new):
    """(B, T), (B, S) -> one int: of how many tokens, from the first on, the rows can stay."""
    raise NotImplementedError


# %% tags=["check"]
exercises.reusable.check(reusable)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def reusable(old, new):
#     count = 0
#     most = min(old.shape[1], new.shape[1] - 1)
#     while count < most and torch.equal(old[:, count], new[:, count]):
#         count += 1
#     return count
# ```
#
# The rows can stay up to the first difference in any text; after it none can, even where the tokens are the same. And the
# last token must be read in any case, since without reading it there are no logits. This is why chat programs put what
# changes least (instructions, documents) first.
#
# </details>

# %% [markdown]
# ## 5. Where it fails: a model that looks both ways
#
# A **bidirectional model** such as BERT lets each token see those after it too. We can turn ours into one in two lines: a key
# is hidden from a query when its position is later. So we report all keys at position zero, and none is hidden.
#
# **Claim.** In such a model old keys change with each token that is added.
#
# **Predict.** In which layers: in all of them? And how many of the old keys: some, or all?


# %%
class BothWays(Recorder):
    def update(self, k, v, layer):
        k, v, positions = super().update(k, v, layer)
        return k, v, positions * 0


both = record(model, text, read, BothWays())
least = torch.zeros(model.config.n_layer, new)
for step in range(1, new):
    for layer in range(model.config.n_layer):
        old, again = both[step - 1][layer][0], both[step][layer][0]
        change = (again[:, : old.shape[1]] - old).abs().amax((0, 2, 3))  # of each token
        least[layer, step] = change.min()
for layer in range(model.config.n_layer):
    print(
        f"layer {layer}: the key that changes least changes by",
        " ".join(f"{x:.3f}" for x in least[layer, 1:].tolist()),
    )
assert (least[0] < 1e-12).all()
assert (least[1:, 1:] > 1e-6).all()

# %% [markdown]
# **Answer.** In all but the first, where a key is computed before any token has looked at another. Above it, every old key
# changes. A KV cache for such a model would return outdated numbers. So it is not attention as such that allows a cache, but
# causality.

# %% [markdown]
# ## 6. Why there is no Q cache
#
# **Claim.** A new row does not need the old queries.
#
# **Predict.** In a text of 15 tokens we replace the query of token 5 by noise. Which rows of attention change? And if we
# replace its key instead, or its value?

# %%
torch.manual_seed(0)
q, k, v = torch.randn(3, 1, 15, 2, 64, dtype=torch.float64)
positions = torch.arange(15)[None]
mask = sees(positions, positions)
rows = attend(q, k, v, mask)
for place, name in enumerate(("query", "key", "value")):
    noisy = [x.clone() for x in (q, k, v)]
    noisy[place][:, 5] = torch.randn(2, 64, dtype=torch.float64)
    change = (attend(*noisy, mask) - rows).abs().amax((0, 2, 3))  # of each row
    others = (change > 1e-12).nonzero().flatten().tolist()
    print(f"another {name:5} of token 5 changes the rows", *others)
    assert others == ([5] if name == "query" else [*range(5, 15)])

# %% [markdown]
# **Answer.** Another query changes only row 5, its own; another key or value also changes every row after it. A query has
# done its work once its own row is computed. That row goes on to the next layer and becomes a key and a value there, and
# these are stored. The query is never needed again.

# %% [markdown]
# ## 7. What the article's `K_iᵀ V_i` should read
#
# The article that this course is based on (notebook 01) is right that something is computed again and again. It says that
# this is the product `K_iᵀ V_i`.
#
# **Claim.** The attention of our models never forms that product.
#
# **Predict.** Matrix products can be grouped in any way: `(Q Kᵀ) V = Q (Kᵀ V)`. What prevents it here?

# %%
Q, K, V = q[0, :, 0], k[0, :, 0], v[0, :, 0]  # (15, 64) each: one head, all tokens seen
without_softmax = (Q @ K.T) @ V
with_softmax = (Q @ K.T).softmax(-1) @ V
print("without the softmax the two agree:", torch.allclose(without_softmax, Q @ (K.T @ V)))
print("with it they agree:               ", torch.allclose(with_softmax, Q @ (K.T @ V)))
assert torch.allclose(without_softmax, Q @ (K.T @ V))
assert not torch.allclose(with_softmax, Q @ (K.T @ V))

# %% [markdown]
# **Answer.** The softmax. It stands between the two products and needs a whole row of scores, so they can't be regrouped.
# (Models that leave it out use linear attention; they do store `Kᵀ V`, and no keys at all.)
#
# What is computed again is the keys and values: `k_i = norm(x_i) W_K + b_k` and `v_i = norm(x_i) W_V + b_v`. And not only
# these: to get `x_i` in an upper layer, the whole row of token i, with its attention and its MLP (the other half of a layer,
# which works on each row alone), is computed again in every layer below. This cell computes one row in the first layer by
# hand, and finds the key and the value that the model computed:

# %%
block, token = model.h[0], 5
x = model.wte.weight[text[0, token]] + model.wpe.weight[token]  # the token and its position
normed = block.ln_1(x)
W_Q, W_K, W_V = block.attn.c_attn.weight.T.split(model.config.n_embd, dim=1)
b_q, b_k, b_v = block.attn.c_attn.bias.split(model.config.n_embd)
k_i, v_i = normed @ W_K + b_k, normed @ W_V + b_v
for step in range(new):  # at each step, the same
    keys, values = steps[step][0]
    assert torch.allclose(keys[0, token].flatten(), k_i, atol=1e-12)
    assert torch.allclose(values[0, token].flatten(), v_i, atol=1e-12)
print(f"at each of the {new} steps the same:")
print(f"k_{token} = norm(x_{token}) W_K + b_k and v_{token} = norm(x_{token}) W_V + b_v")

# %% [markdown]
# ## 8. Measure: each step takes longer than the one before
#
# **Claim.** Without a cache, a step on a long text takes longer than one on a short text.
#
# **Predict.** From 50 tokens to 400: how many times longer? Eight times, more, or less?

# %% tags=["timed"]
many = torch.randint(
    model.config.vocab_size, (1, 400), generator=torch.Generator().manual_seed(0)
)
seconds = {}
with torch.no_grad():
    for length in (50, 100, 200, 400):
        took = []
        for _ in range(4):
            begin = time.perf_counter()
            model(many[:, :length])
            took.append(time.perf_counter() - begin)
        seconds[length] = min(took)
        print(f"one step at {length:3} tokens: {1000 * seconds[length]:6.2f} ms")
assert seconds[400] > 2 * seconds[50]

# %% [markdown]
# **Answer.** About eight times. There are eight times as many rows to compute, and at this length most of the work is done
# row by row, in the MLP and the projections (products with matrices such as `W_K`). Fixed costs lower the factor a little;
# attention raises it. A step adds only one new token. The rest of its time goes into rows that were there before.
#
# Over all steps of a generation, *rows* grow with the square of the text's length. *Attention* grows faster: each step scores
# a whole triangle of pairs, and these add up to a cube. It takes a long text to notice. Here is a model of GPT-2's size, with
# formulas for the work in **FLOPs** (multiplications and additions), also for texts longer than its context (the most tokens
# that it can read):

# %%
gpt2 = GPTConfig(**GPT2)


def work(tokens, attention):
    """Of a whole generation without a cache, from one token on, with logits of the last token
    only."""
    return uncached_flops(gpt2, 1, tokens, attention=attention, logits="last")


short, long = work(1000, "causal"), work(2000, "causal")
print(f"twice the text: {long.mlp / short.mlp:.1f} times the MLP,", end=" ")
print(f"{long.attention / short.attention:.1f} times the attention")
shares = []
for tokens in (1000, 10_000, 100_000):
    seen, dense = work(tokens, "causal"), work(tokens, "dense")
    shares.append(100 * seen.attention / seen.total)
    print(
        f"{tokens:7,} tokens: attention takes {shares[-1]:.1f}% of the work;",
        f"with pairs that the mask hides, {100 * dense.attention / dense.total:.1f}%",
    )
assert [round(share) for share in shares] == [7, 42, 88]

# %% [markdown]
# Twice the text means four times the work on rows and eight times the attention. At 1,000 tokens attention is a small part,
# 6.8%; at 10,000 it takes 42.0%, at 100,000 87.9%. A kernel that also computes the pairs that the mask hides does twice as
# much attention, and the shares are larger. So state the convention with such a number.

# %% [markdown]
# ## 9. Break it: crop the text
#
# A popular way to generate past the end of a model's context is to feed only as many of the last tokens as fit, and to count
# their positions from zero again. Without a cache this works.
#
# **Claim.** When the text is cropped on the left, no stored row can be used again.
#
# **Predict.** A key of the first layer depends on no other token. Does it change too? Why?

# %%
whole, cropped = record(model, text, [12])[0], record(model, text[:, 1:], [11])[0]
for layer, ((k0, _), (k1, _)) in enumerate(zip(whole, cropped)):
    # the same tokens, one position further left
    change = (k0[:, 1:] - k1).abs().amax((0, 2, 3)).min().item()
    print(f"layer {layer}: the key that changes least changes by {change:.2f}")
    assert change > 0.1

# %% [markdown]
# **Answer.** It does, as in every other layer: each token now has another position, and a key depends on the position. A
# cache must leave every token at its position. What to do about long texts instead is shown in notebooks 05 and 12.

# %% [markdown]
# ## What to take away
#
# - Without a cache each step computes all K/V rows again: over a text, rows grow with the square of its length, and attention
#   with the cube.
# - In a causal model they are the same rows each time, at every layer. In a bidirectional one they are not.
# - A query is used once. The product `Kᵀ V` does not occur.
# - A row is tied to its position.
#
# Next, notebook 03: keep them.
