# %% [markdown]
# # 02 The same keys again
#
# A model writes a text, one token at a time, without a cache. We write down every key and value that it computes on the way.
# Most of them it has computed before, and they are the same numbers. At the end you know why they must be, in
# which models they are not, and why nobody keeps the queries.

# %% [markdown]
# **中文提要**　本节不用缓存逐个生成词元，并把每一步算出的键和值都记下来：绝大多数行以前算过，而且数值完全一样。
# 原因是因果性：每一层里，一个词元只依赖它自己和它之前的词元，所以后来的词元改变不了它的键和值。
# 双向模型（如 BERT）不满足这一点，实验会显示它的键每一步都在变。查询不必缓存：一行算完，它的查询就再也用不到。
# 本项目所依据的那篇文章说重复计算的是 `K_iᵀ V_i`，这不对：softmax 注意力里没有这个乘积，重复计算的是 `k_i = x_i W_K` 和 `v_i = x_i W_V`，以及它们之前各层的整行。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | token | 词元 | a piece of text, which the model reads as a number |
# | prompt | 提示 | the text that is given, before anything is generated |
# | generation | 生成 | foretelling the next token, adding it to the text, and again |
# | greedy decoding | 贪心解码 | taking the likeliest token at each step |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, a new token each |
# | logits | logits（未归一化得分） | a number for each token of the vocabulary: the higher, the likelier it comes next |
# | key | 键 | what a token is found by |
# | value | 值 | what a token gives to those that find it |
# | query | 查询 | what a token asks of the tokens before it |
# | layer | 层 | one of the blocks that the rows go through, each with its own keys and values |
# | causality | 因果性 | a token depends only on itself and on those before it |
# | bidirectional model | 双向模型 | one whose tokens see those after them too |
# | position | 位置 | the place of a token in its text, which the model reads beside the token |
# | KV cache | 键值缓存（KV 缓存） | the kept keys and values of all tokens so far |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import math
import time

import torch

from minigpt import GPT, load_tokenizer
from minigpt.attention import attend, sees
from minigpt.cache import NoCache
from minigpt.exercises import e02_recomputing as exercises
from minigpt.measure.counted.run import run
from minigpt.show.notebook import grid, show

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

# A model that is bundled with the package; in float64, so that equal means equal.
model = GPT.from_pretrained("recall", dtype=torch.float64)
tokenizer = load_tokenizer("recall")

# %% [markdown]
# ## 1. A text, one token at a time
#
# The model is a small GPT that comes with the package. It gives **logits**: behind each token of a text, a number for every token
# of the vocabulary, the higher the likelier it comes next. **Greedy decoding** takes the highest, adds it to the text, and
# asks again. That is all of **generation**.
#
# **Claim.** Five lines are enough, and give the text that the package's own `generate` gives.
#
# **Predict.** The prompt has 7 tokens, and we want 8 more. How many tokens does the model read, over all steps?

# %%
ids = torch.tensor([tokenizer.encode("HAMLET.\nTo be").ids])
prompt, new = ids.shape[1], 8

text, read = ids, []
with torch.no_grad():
    for _ in range(new):
        logits = model(text)  # (1, T, V): the whole text, each time
        read.append(text.shape[1])
        text = torch.cat([text, logits[:, -1].argmax(-1, keepdim=True)], dim=1)

words = [tokenizer.decode([token]) for token in text[0].tolist()]
print(words[:prompt], "+", words[prompt:])
print("tokens read at each step:", read, "in all", sum(read))
assert torch.equal(text, model.generate(ids, max_new_tokens=new, use_cache=False))

# %% [markdown]
# 84 tokens were read for a text of 15. The first step, in which the prompt is read, is called **prefill**; the others, a new token each,
# are called **decode**. Here they differ in nothing: each reads all there is.

# %% [markdown]
# ### Exercise 1: how many rows?
#
# For each token that is read, every **layer** (one of the model's blocks, stacked upon each other) computes a key and a value. Call both together a
# K/V row. How many rows does a layer compute for a prompt of so many tokens and so many new ones, without a cache?


# %% tags=["exercise"]
def rows_computed(prompt, new_tokens):
    """Rows of one layer, over all steps."""
    raise NotImplementedError


# %% tags=["check"]
exercises.rows_computed.check(rows_computed)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def rows_computed(prompt, new_tokens):
#     return sum(prompt + step for step in range(new_tokens))
# ```
#
# The first step reads the prompt, the next one token more, and so on. The last new token is never read: nothing is asked of it. As a
# closed form: `new_tokens * prompt + new_tokens * (new_tokens - 1) // 2`. It grows with the square of the length.
#
# </details>

# %% [markdown]
# ## 2. Watch the keys
#
# At each step the model first tells a cache which tokens come, by `cache.admit(positions, ids)`. Then each layer hands its keys and values to the
# cache, by `cache.update(k, v, layer)`, and goes on with what comes back: keys, values, and the position of each, from which `sees` makes the mask.
# So whoever stands in for the cache can see them all. This one keeps nothing for the model, and writes everything down for us.
#
# **Claim.** The key of the first token is computed at every step, and is the same each time.
#
# **Predict.** There are 8 steps. How often is the key of the *last* token of the prompt computed?


# %%
class Recorder(NoCache):
    """Keeps nothing, but writes down: steps[step][layer] is (k, v), each (B, T, heads, channels)."""

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
# Every token of the prompt, in every layer: computed at each of the 8 steps, the same numbers each time.

# %% [markdown]
# ## 3. Count them
#
# **Claim.** With a cache each row is computed once. Without one, the first token's row is computed as often as there are steps.
#
# **Predict.** Which tokens' rows are computed only once even without a cache?
#
# `run` generates a text and counts the rows, by a cache that wraps the cache. Here is how often each row has been computed after each step:

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
# The picture counts, for each step (downwards) and token (across), how often its row has been computed by then. The prompt's
# rows reach 8, the last one read stands at 1. Of 84 rows 14 were needed. The longer the text, the worse the ratio.

# %% [markdown]
# ### Exercise 2: generate
#
# Write section 1 as a function, for any number of rows in `ids`.


# %% tags=["exercise"]
@torch.no_grad()
def generation(model, ids, new_tokens):
    """(B, T) -> (B, T + new_tokens), greedy, without a cache."""
    raise NotImplementedError


# %% tags=["check"]
exercises.generation.check(generation)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# @torch.no_grad()
# def generation(model, ids, new_tokens):
#     for _ in range(new_tokens):
#         logits = model(ids)[:, -1]
#         ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
#     return ids
# ```
#
# </details>

# %% [markdown]
# ## 4. Why: a token looks only backwards, in every layer
#
# The first layer's key of a token is made of that token and its **position** (its place in the text) alone. The second layer's key is
# made of what the first layer's attention gave, which looked at the tokens before it. And so on upwards. At no layer did
# anything come from the right. That is **causality**.
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
# The picture shows the largest change of each key; white is none. In layer 0 only token 9 changes. Above it, token 9 and those after it do, since
# they looked at it. To the left of it nothing changes: those rows could have been kept.

# %% [markdown]
# ### Exercise 3: which rows can be kept?
#
# A user edits a prompt, or a chat goes on. The old text's rows are at hand. How many of them, from the first on, need not be computed
# for the new text? Two things to think of: what a change does to the rows behind it; and that the last token must be
# read in any case, since without reading it there are no logits.


# %% tags=["exercise"]
def reusable(old, new):
    """Two lists of token ids -> how many rows of the old text serve the new one."""
    raise NotImplementedError


# %% tags=["check"]
exercises.reusable.check(reusable)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def reusable(old, new):
#     count = 0
#     while count < min(len(old), len(new) - 1) and old[count] == new[count]:
#         count += 1
#     return count
# ```
#
# This is why chat programs put what changes least (instructions, documents) first.
#
# </details>

# %% [markdown]
# ## 5. Where it fails: a model that looks both ways
#
# A **bidirectional model** such as BERT lets each token see those after it too. We can make one of ours in two lines: a key is
# hidden from a query when its position is later. So report all keys as standing at position zero, and none is hidden.
#
# **Claim.** In such a model, from the second layer on, *every* key changes with each token that is added.
#
# **Predict.** And in the first layer?


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
# In the first layer a key is made before any token has looked at another: it stays. Above that, not one stays. A KV
# cache of such a model would serve old numbers. So the cache is no trick of attention as such; it is allowed by
# causality.

# %% [markdown]
# ## 6. Why there is no Q cache
#
# **Claim.** A row of attention reads its own query and no other.
#
# **Predict.** We replace the queries of all tokens but the last by noise. What happens to the last row? What if we do it to the keys?

# %%
torch.manual_seed(0)
q, k, v = torch.randn(3, 1, 15, 2, 64, dtype=torch.float64)
positions = torch.arange(15)[None]
mask = sees(positions, positions)
last_row = attend(q, k, v, mask)[:, -1]
for name in ("queries", "keys", "values"):
    noise = {"queries": q.clone(), "keys": k.clone(), "values": v.clone()}
    noise[name][:, :-1] = torch.randn(1, 14, 2, 64, dtype=torch.float64)
    difference = (attend(*noise.values(), mask)[:, -1] - last_row).abs().max().item()
    print(f"other {name:7} for the old tokens: the last row changes: {difference > 1e-12}")
    assert (difference > 1e-12) == (name != "queries")

# %% [markdown]
# An old query did its work when its own row was computed. That row went on to the next layer, became a key and a value there, and these
# are kept. Nobody will ask the query again.

# %% [markdown]
# ## 7. What the article's `K_iᵀ V_i` should read
#
# The article that this project grew from says that the product `K_iᵀ V_i` is computed again and again.
#
# **Claim.** Softmax attention never forms that product. It would be right only without the softmax.
#
# **Predict.** Matrix products can be grouped as one likes: `(Q Kᵀ) V = Q (Kᵀ V)`. What stands in the way here?

# %%
Q, K, V = q[0, :, 0], k[0, :, 0], v[0, :, 0]  # (15, 64) each: one head, all tokens seen
without_softmax = (Q @ K.T) @ V
with_softmax = (Q @ K.T).softmax(-1) @ V
print("without the softmax the two agree:", torch.allclose(without_softmax, Q @ (K.T @ V)))
print("with it they agree:               ", torch.allclose(with_softmax, Q @ (K.T @ V)))
assert torch.allclose(without_softmax, Q @ (K.T @ V))
assert not torch.allclose(with_softmax, Q @ (K.T @ V))

# %% [markdown]
# The softmax stands between the products, and needs a whole row of scores. (Models that leave it out are called
# linear attention; they do keep `Kᵀ V`, and no keys at all.)
#
# What is computed again are the projections `k_i = x_i W_K` and `v_i = x_i W_V`. And not only these: to have `x_i` in an upper
# layer, the whole row of token i, with its attention and its MLP, is computed again in every layer below. This cell does it by hand, for
# one row in the first layer, and finds the key that the model computed:

# %%
block, token = model.h[0], 5
x = model.wte.weight[text[0, token]] + model.wpe.weight[token]  # the token and its position
normed = block.ln_1(x)
W_Q, W_K, W_V = block.attn.c_attn.weight.split(model.config.n_embd)
b_q, b_k, b_v = block.attn.c_attn.bias.split(model.config.n_embd)
k_i, v_i = W_K @ normed + b_k, W_V @ normed + b_v
for step in range(new):  # at each step, the same
    keys, values = steps[step][0]
    assert torch.allclose(keys[0, token].flatten(), k_i, atol=1e-12)
    assert torch.allclose(values[0, token].flatten(), v_i, atol=1e-12)
print(f"k_{token} = x_{token} W_K and v_{token} = x_{token} W_V, at each of the {new} steps")

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
# One new token is all that each of these steps adds. The rest of the time goes into rows that were there before.

# %% [markdown]
# ## 9. Break it: crop the text
#
# A popular way to generate past the end of a model's context is to feed the last so many tokens only, and to count their positions from
# zero again. It works without a cache.
#
# **Claim.** When the text is cropped on the left, every key changes, even in the first layer. There is nothing left to keep.
#
# **Predict.** Why even in the first layer, which looks at no other token?

# %%
whole, cropped = record(model, text, [12])[0], record(model, text[:, 1:], [11])[0]
for layer, ((k0, _), (k1, _)) in enumerate(zip(whole, cropped)):
    # the same tokens, one position further left
    change = (k0[:, 1:] - k1).abs().amax((0, 2, 3)).min().item()
    print(f"layer {layer}: the key that changes least changes by {change:.2f}")
    assert change > 0.1

# %% [markdown]
# Each token stands at another position, and the position is part of what a key is made of. A cache must leave every token
# where it is. What to do about long texts instead is the subject of notebook 05.

# %% [markdown]
# ## What to take away
#
# - Without a cache each step computes all K/V rows again: the work of a text grows with the square of its length.
# - In a causal model they are the same rows each time, at every layer. In a bidirectional one they are not.
# - Queries are asked once. The product `Kᵀ V` does not occur.
# - A row is tied to its position.
#
# Next, notebook 03: keep them.
