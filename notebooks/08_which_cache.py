# %% [markdown]
# # 08 Which cache
#
# Work, bytes, time and quality of every cache, counted in one run and put on one page. At the end you know why the first token is
# slow, why the later ones slow down, how many tokens of a real model fit a card, which cache suits which need, and when none pays.

# %% [markdown]
# **中文提要**　本节把所有缓存放在同一页上比较：浮点运算量、占用与搬运的字节数、时间和质量。运算量与字节数由实测得到，并与闭式公式逐一相等。
# 首个词元慢，是因为预填充要计算整段提示，有没有缓存都一样；其后的每一步只算一个词元，却要读全部权重和全部键值，受限于带宽，所以文本越长越慢。
# 然后用计算器估算真实模型能放下多少词元、多少条文本。省下的字节总要付出代价：搬运更多，或者记得更少。
# 最后是缓存不划算的情形：只生成一个词元，或者只给一段现成的文本打分。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, a new token each |
# | FLOP | 浮点运算 | one multiplication or one addition of two numbers |
# | closed form | 闭式公式 | a formula that gives a count without counting |
# | arithmetic intensity | 算术强度 | FLOPs for each byte that is read or written |
# | roofline | 屋顶线模型 | a machine computes and reads at once, and the slower of the two decides |
# | bandwidth | 带宽 | bytes that a memory gives in a second |
# | batch | 批次 | several texts computed together |
# | capacity | 容量 | how many slots there are |
# | slot | 槽位 | the place of one token in a cache |
# | recall | 回忆率 | the share of memory questions answered right |
# | scoring | 打分 | asking how likely a text is that is already there |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import dataclasses
import itertools
import statistics

import torch

from minigpt import GPT, GPTConfig, make_cache
from minigpt.cache import CACHES, CacheFull, StaticCache
from minigpt.exercises import e08_choosing as exercises
from minigpt.measure.counted.run import run, served_by
from minigpt.measure.counted.trace import trace
from minigpt.measure.forms.flops import (
    cached_flops,
    decode_flops,
    prefill_flops,
    uncached_flops,
)
from minigpt.measure.forms.generation import kv_costs, total
from minigpt.measure.forms.memory import growth, longest, nbytes, plans
from minigpt.measure.forms.real_models import GPT2, load
from minigpt.measure.forms.roofline import (
    decode_intensity,
    decode_nbytes,
    kv_nbytes,
    least_seconds,
    prefill_intensity,
    prefill_nbytes,
)
from minigpt.measure.forms.weights import weights
from minigpt.recall.corpus import held_out
from minigpt.show.notebook import refused, show
from minigpt.show.plots.flops import flops, work
from minigpt.show.plots.memory_chart import memory_chart
from minigpt.show.plots.quality import quality_against_bytes
from minigpt.show.plots.recorded import recorded_quality
from minigpt.show.words import words

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float32)  # bundled
prose = torch.from_numpy(held_out().ids[:400].astype("int64"))[None]
gpt2 = GPTConfig(**GPT2)  # the sizes of GPT-2 124M, for arithmetic

# %% [markdown]
# ## 1. Count everything
#
# `trace` generates through a cache and counts what happens: the **FLOPs** (multiplications and additions), and the bytes of keys and values that are held,
# written, copied, handed to attention, and moved to slower memory and back. The package has a **closed form** for each of these: a formula that gives the count
# without counting.
#
# **Claim.** The closed forms equal the counts, to the last FLOP and the last byte, for every cache.
#
# **Predict.** 200 tokens of prompt, 50 new ones. Which caches take fewer FLOPs than the dynamic one? Which hold fewer bytes?

# %%
PROMPT, NEW = 200, 50
counted = {}
for name in CACHES:
    served = served_by(
        name, model
    )  # the sliding window wants a model that has one: 64 and 4 sinks
    passes = trace(served, prose[:, :PROMPT], NEW, name).passes
    moved = {
        what: sum(sum(getattr(each, what)) for each in passes)
        for what in ("written", "copied", "read", "up", "down")
    }
    counted[name] = moved | {
        "flops": sum(each.flops.total for each in passes),
        "nbytes": passes[-1].nbytes,
        "resident": passes[-1].resident[-1],
        "slots": passes[-1].slots,
    }

print(
    f"{'':17}{'MFLOP':>9}" + "".join(f"{what:>9}" for what in ("held", "here", *moved)), "(kB)"
)
for name, each in counted.items():
    line = [each[what] / 1e3 for what in ("nbytes", "resident", *moved)]
    print(f"{name:17}{each['flops'] / 1e6:9,.0f}" + "".join(f"{kb:9,.0f}" for kb in line))

# %%
for name, each in counted.items():
    config = served_by(name, model).config
    forms = total(kv_costs(name, config, PROMPT, NEW, itemsize=4))
    assert all(getattr(forms, what) == each[what] for what in each if what != "flops"), name

    how = {"attention": "dense", "logits": "last"}
    form = uncached_flops if name == "none" else cached_flops
    if name in ("static", "offloaded_static", "sliding_window"):  # attention is given all slots
        how["slots"] = each["slots"]
    if name == "sliding_window":  # the prompt comes in chunks
        how["prefill_chunk_size"] = config.window
    assert form(config, PROMPT, NEW, **how).total == each["flops"], name
print("counted and closed form: equal for", ", ".join(counted))

# %% [markdown]
# *held* is what the cache keeps at the end, wherever that is, and *here* is the part in the memory where the model works. *written* are new rows, *copied*
# what moved within the cache, to grow or to be rounded, *read* what attention was given, *up* and *down* what came from slower memory and went there.
#
# One column is almost the same for all: every cache saves the same FLOPs, except the window, which also looks at fewer tokens, and the static ones, whose attention is given empty slots too. What tells caches apart is bytes. So FLOPs
# say that you want *a* cache, and bytes say which. For the FLOPs of a larger model the closed forms do; here is GPT-2 124M:

# %%
picture = flops(work())
show(picture, picture.alt)

# %% [markdown]
# The figure shows a token's FLOPs on the left, and those of all tokens so far on the right. Without a cache each token takes more than the one before, and the gap keeps growing.

# %% [markdown]
# ## 2. Why the first token is slow
#
# The first new token comes out of the **prefill**, which reads the whole prompt. Each later one comes out of a **decode** step, which reads one token.
#
# **Claim.** No cache spares the prefill anything. It takes hundreds of times the FLOPs of a decode step.
#
# **Predict.** A prompt of 400 tokens: how many times the FLOPs of a decode step? And how many times the seconds?

# %%
first, second = trace(model, prose, 2, "dynamic").passes
(alone,) = trace(model, prose, 1, "none").passes
print(
    f"prefill {first.flops.total / 1e6:.1f} MFLOP, without a cache {alone.flops.total / 1e6:.1f}"
)
print(f"decode  {second.flops.total / 1e6:.2f} MFLOP")
print(f"prefill : decode = {first.flops.total / second.flops.total:.0f}")
assert first.flops == alone.flops
assert first.flops.total > 200 * second.flops.total

# %% tags=["timed"]
best = [
    min(column) for column in zip(*(run(model, prose, 9, "dynamic").seconds for _ in range(5)))
]
prefill, decode = best[0], statistics.median(best[1:])
print(
    f"prefill {1000 * prefill:.1f} ms, a decode step {1000 * decode:.2f} ms: {prefill / decode:.0f} times"
)
assert prefill > 2 * decode
assert prefill / decode < first.flops.total / second.flops.total

# %% [markdown]
# The prefill is slower by far, but not by as much as its FLOPs say. A decode step has few FLOPs and is not as quick as that would allow. On our tiny model much of a step is
# Python that starts operations. On a large model it is something else: reading the weights.

# %% [markdown]
# ### Two limits
#
# A machine computes and reads at the same time, and the slower of the two decides: the **roofline** (Williams et al., Communications of the ACM, "Roofline"). Which it is, the
# **arithmetic intensity** tells: how many FLOPs there are for each byte that must be read or written. Take a machine of round numbers that does 100 FLOPs in the time in which
# it reads a byte (its **bandwidth**). Below an intensity of 100 it waits for memory.

# %%
MACHINE = {"flops_per_second": 100e12, "bytes_per_second": 1e12}
for prompt in (1, 10, 100, 1000):
    print(
        f"{prompt:4} tokens: prefill {prefill_intensity(gpt2, prompt, itemsize=2):5.1f} FLOP a byte, "
        f"decode {decode_intensity(gpt2, prompt, itemsize=2):.2f}"
    )
least = {
    "prefill": least_seconds(
        prefill_flops(gpt2, 1000, attention="causal", logits="last").total,
        prefill_nbytes(gpt2, 1000, itemsize=2),
        **MACHINE,
    ),
    "decode": least_seconds(
        decode_flops(gpt2, 1000, attention="causal").total,
        decode_nbytes(gpt2, 1000, itemsize=2),
        **MACHINE,
    ),
}
print({name: f"at least {1e3 * seconds:.2f} ms" for name, seconds in least.items()})
assert (
    prefill_intensity(gpt2, 1000, itemsize=2) > 100 > decode_intensity(gpt2, 1000, itemsize=2)
)
assert least["prefill"] < 10 * least["decode"]
assert least["decode"] == decode_nbytes(gpt2, 1000, itemsize=2) / 1e12  # memory alone decides

# %% [markdown]
# In a prefill each weight that is read serves all tokens of the prompt. In a decode step it serves one token: about one FLOP a byte, whatever the length. So the processor
# waits for memory, and 1000 tokens of prefill take only a few times as long as one token of decode.

# %% [markdown]
# ## 3. Why it slows as it grows
#
# **Claim.** Each token makes every later step read one row more: its keys and values. With a window it stops growing.
#
# **Predict.** GPT-2, 16 bits a number. After how many tokens does a step read as many bytes of keys and values as of weights? And with 64 texts at once (a **batch**)?

# %%
passes = trace(model, prose[:, :PROMPT], NEW, "dynamic").passes[1:]  # decode steps
reads = [sum(each.read) for each in passes]
row = kv_nbytes(model.config, itemsize=4)
print(
    f"counted: {reads[0]:,} bytes, then {reads[1]:,}, then {reads[2]:,}: {row:,} more at each step"
)
assert [later - before for before, later in itertools.pairwise(reads)] == [row] * (
    len(reads) - 1
)

window = dataclasses.replace(gpt2, window=256, sinks=4)
for config, batch in ((gpt2, 1), (gpt2, 64), (window, 64)):
    steps = [
        decode_nbytes(config, tokens, itemsize=2, batch=batch) for tokens in (1, 250, 500, 1000)
    ]
    at_least = ", ".join(f"{1e3 * each / 1e12:.2f}" for each in steps)
    what = "window 256" if config.window else "all tokens"
    print(
        f"{what}, {batch:2} texts: after 1, 250, 500, 1000 tokens at least {at_least} ms a step"
    )
    if config.window:
        assert steps[2] == steps[3]
    else:
        assert steps[3] - steps[2] == 500 * batch * kv_nbytes(gpt2, itemsize=2)

# %% [markdown]
# (A static cache, whose attention is given all slots, reads as much at the first step as at the last.)
#
# These are the least times of the machine of section 2. For one text GPT-2 reads mostly weights, and you hardly see the growth. A batch shares the weights, so more texts cost little at first. But each text brings its own keys and
# values, and soon these are most of what is read. That is why fewer bytes in the cache can mean more tokens a second for a server, even where memory is not short.

# %% [markdown]
# ### Exercise 1: as large as the weights
#
# How many tokens must each text have, at least, for all keys and values together to be as large as the weights?


# %% tags=["exercise"]
def tokens_as_large_as_weights(weights_nbytes, token_nbytes, texts):
    """weights_nbytes: of the model. token_nbytes: of the keys and values of one token. The least whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.tokens_as_large_as_weights.check(tokens_as_large_as_weights)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def tokens_as_large_as_weights(weights_nbytes, token_nbytes, texts):
#     return -(-weights_nbytes // (texts * token_nbytes))  # rounded up
# ```
#
# </details>

# %%
for texts in (1, 64):
    tokens = next(
        n for n in range(10_000) if n * texts * kv_nbytes(gpt2, 2) >= 2 * weights(gpt2)
    )
    print(f"GPT-2, {texts:2} texts: {tokens:,} tokens each")
    assert tokens == exercises.tokens_as_large_as_weights.reference(
        2 * weights(gpt2), kv_nbytes(gpt2, 2), texts
    )

# %% [markdown]
# One text would need more tokens than GPT-2 can read at all.

# %% [markdown]
# ## 4. The calculator for real models
#
# What a cache holds needs no run: layers, key/value heads and their size are in a model's `config.json`. `python -m minigpt memory` prints all of this for any of them.
#
# Say that the weights leave 8 GiB of a card for keys and values.
#
# **Claim.** How many tokens fit depends on the cache, by more than a factor of ten.
#
# **Predict.** Llama 3 8B keeps 8 key/value heads of 128 channels in each of 32 layers. How many bytes a token? How many tokens fit 8 GiB?

# %%
MEMORY = 8 * 2**30
llama = load("llama-3-8b")
print(
    f"a token: {nbytes(llama, 1):,} bytes; a text of {llama.context:,}: {words(nbytes(llama, llama.context))}"
)
fits = {}
for plan in plans(llama, bits=(4, 2)):
    fits[plan.cache, plan.bits] = most = longest(plan.here, MEMORY)
    print(f"{plan.cache:17}{plan.bits:2} bits: {most:9,} tokens fit")
    assert plan.here(most) <= MEMORY < plan.here(most + 1)
assert nbytes(llama, 1) == 2 * 32 * 8 * 128 * 2
assert max(fits.values()) > 10 * min(fits.values())

# %% [markdown]
# The dynamic cache fits the fewest: when it is full it doubles, so it may hold nearly twice what it needs. The offloaded ones fit most, because only two layers are here at a time. (The
# model was made for 8,192 tokens; more of them means more texts at once.)
#
# What the model's makers chose counts for as much. Here is a model with a window in each layer, and Llama once more as if its 32 query heads shared no key heads:

# %%
mistral = load("mistral-7b")
windowed = next(plan for plan in plans(mistral) if plan.cache == "sliding_window")
print(
    f"mistral-7b, window {mistral.windows[0]:,}: a token past it adds {growth(mistral)} bytes, so any text fits"
)
assert growth(mistral) == 0
assert longest(windowed.here, MEMORY) is None

unshared = dataclasses.replace(llama, kept=dict.fromkeys(llama.kept, (32, 128)))
print(
    f"llama-3-8b without shared heads: {nbytes(unshared, 1) // nbytes(llama, 1)} times the bytes"
)
assert nbytes(unshared, 1) == 4 * nbytes(llama, 1)

picture = memory_chart("mistral-7b", plans(mistral, bits=(4, 2)), 32768, 1)
show(picture, picture.alt)

# %% [markdown]
# The figure shows bytes held against tokens, both axes doubling. All lines go on rising but the window's, which turns flat where the window is full: other caches make a token
# cheaper, only a window makes tokens free. And a window is the model's decision, not the cache's.

# %% [markdown]
# ### Exercise 2: texts that fit
#
# A card has `memory` bytes. The weights must be there too. How many texts of `context` tokens fit beside them, kept exactly and without room to spare?


# %% tags=["exercise"]
def texts_that_fit(memory, weights, context, layers, kv_heads, head_size, itemsize):
    """memory, weights: bytes; the weights fit. itemsize: bytes of a number. A whole number of texts."""
    raise NotImplementedError


# %% tags=["check"]
exercises.texts_that_fit.check(texts_that_fit)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def texts_that_fit(memory, weights, context, layers, kv_heads, head_size, itemsize):
#     token = 2 * layers * kv_heads * head_size * itemsize
#     return (memory - weights) // (context * token)
# ```
#
# </details>

# %% [markdown]
# ## 5. Break it: a slot that is never used
#
# Once you know what fits, you say so: `max_cache_len`. How many slots does a text need? The last new token is never fed, since nobody asks what comes after it.
#
# **Claim.** A prompt of 6 and 11 new tokens need 16 slots. A check with `>=` in place of `>` refuses them.
#
# **Predict.** Would a test have noticed that makes 10 new tokens?


# %%
class OneSlotLess(StaticCache):
    """A static cache with a bug in its check."""

    def admit(self, positions, ids=None):
        slots = self.length + ids.shape[1]
        if slots >= self.capacity:
            raise CacheFull(f"needs {slots} slots, has {self.capacity}: raise max_cache_len")
        super().admit(positions, ids)


def tries(kind, new_tokens):
    cache = kind(model.config, max_cache_len=16, dtype=model.dtype)
    return model.generate(prose[:, :6], max_new_tokens=new_tokens, cache=cache)


assert torch.equal(tries(OneSlotLess, 10), tries(StaticCache, 10))  # no difference
print("tokens with the right check:", tries(StaticCache, 11).shape[1])
with refused(CacheFull):
    tries(OneSlotLess, 11)

# %% [markdown]
# The message is wrong in a way that one can read: it needs 16 and has 16. On a large model the lost slot is a token's memory, and a text that fits by the calculator doesn't run.

# %% [markdown]
# ### Exercise 3: find the bug
#
# For which number of new tokens does the broken cache refuse what the right one takes? (There is only one.)


# %% tags=["exercise"]
def first_refused(prompt, capacity):
    """prompt: tokens, at most capacity. The number of new tokens."""
    raise NotImplementedError


# %% tags=["check"]
exercises.first_refused.check(first_refused)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The text needs prompt + new - 1 slots, and the two differ where this is the capacity. It is the mutant *the last slot is never used* of the test suite.
#
# ```python
# def first_refused(prompt, capacity):
#     return capacity - prompt + 1
# ```
#
# </details>

# %% [markdown]
# ## 6. What is kept
#
# Bytes are easy to save if nobody looks at what is lost. **Recall** is the share of memory questions that the model answers right: a fact, much prose, then a question about the fact.
# Measuring it takes minutes, so these numbers are not of this run: the project recorded them, 25 questions at each of 8 distances (`python -m minigpt quality` makes them again).
#
# **Claim.** Exact caches lose nothing. At fewer bytes than a window, few bits keep more.
#
# **Predict.** A window of 64 tokens, or all tokens in 2 bits each: which remembers more, and which is smaller?

# %%
recorded = recorded_quality()
assert recorded.questions == 25
scores = {each.setting.name: each for each in recorded.scores}
for name in (
    "dynamic",
    "window 64, 4 sinks",
    *(f"int{bits}, keys by channel, values by token" for bits in (4, 2, 1)),
):
    each = scores[name]
    low, high = each.recall_interval
    print(
        f"{name:38}{each.nbytes / 1e3:7,.0f} kB, recall {each.recall:4.0%} "
        f"(95%: {low:.0%} to {high:.0%}), prose {round(each.more_bits, 3) + 0.0:+.3f} bits a byte"
    )
exact = [each for each in recorded.scores if each.setting.family == "exact"]
assert len({tuple(each.right) for each in exact}) == 1
two_bits, narrow = (
    scores["int2, keys by channel, values by token"],
    scores["window 64, 4 sinks"],
)
assert two_bits.nbytes < narrow.nbytes
assert two_bits.recall_interval[0] > narrow.recall_interval[1]

# %%
picture = quality_against_bytes(recorded)
show(picture, picture.alt)

# %% [markdown]
# The figure shows each recorded setting by the bytes that it holds: on the left the questions answered right, on the right how much worse prose is foreseen. A window is not a worse way to store
# the same thing: it is another rule of who sees whom, and this model was not trained with it. One that was would lose less. And our model is tiny; what 2 bits do to yours, measure on yours.

# %% [markdown]
# ## 7. All on one page
#
# *moved* is all that was written, copied, and taken up or down. Recall is the recorded one, of the same window, and of 4 bits by token with no token left exact.
#
# **Claim.** Nothing is free: each cache that keeps less here than the static one either moves more bytes, or remembers less.
#
# **Predict.** There are three. Which are they, and what does each pay?

# %%
recorded_as = {name: name for name in counted} | {
    "sliding_window": "window 64, 4 sinks",
    "quantized": "int4, keys by token, values by token",
}
page = {
    name: {
        "MFLOP": each["flops"] / 1e6,
        "kB here": each["resident"] / 1e3,
        "kB moved": sum(each[what] for what in ("written", "copied", "up", "down")) / 1e3,
        "recall %": 100 * scores[recorded_as[name]].recall,
    }
    for name, each in counted.items()
}
static, smaller = page["static"], []
for name, each in page.items():
    if name != "none" and each["kB here"] < static["kB here"]:
        smaller.append(name)
        pays = [
            what
            for what, worse in {
                "moves more": each["kB moved"] > static["kB moved"],
                "remembers less": each["recall %"] < static["recall %"],
            }.items()
            if worse
        ]
        print(f"{name:17}{' and '.join(pays)}")
        assert pays
assert smaller == ["sliding_window", "quantized", "offloaded_static"]

# %% [markdown]
# And time, on the machine that made this page, with the median of the decode steps:

# %% tags=["timed"]
for name in CACHES:
    seconds = run(served_by(name, model), prose[:, :PROMPT], NEW, name).seconds
    page[name] |= {
        "ms first": 1e3 * seconds[0],
        "ms later": 1e3 * statistics.median(seconds[1:]),
    }
print(f"{'':17}" + "".join(f"{what:>10}" for what in page["none"]))
for name, each in page.items():
    print(f"{name:17}" + "".join(f"{each[what]:10,.1f}" for what in each))
assert page["dynamic"]["ms later"] < page["none"]["ms later"]

# %% [markdown]
# Without a cache nothing is kept, and the work is many times as much. On a model this small the times of the exact caches are mostly those of Python; the bytes are what carries over to a large one.
#
# | you need | take | because |
# |---|---|---|
# | no trouble | dynamic | it grows by itself, exactly, and copies little |
# | fixed addresses and shapes, or a known most | static | nothing moves, nothing is copied, too much is refused |
# | more texts or longer ones, and may round | quantized | a fraction of the bytes; try your own questions |
# | exact numbers, and more than fits | offloaded, offloaded_static | only two layers are here; each step brings all the others up |
# | a very long text, from a model made with a window | sliding_window | flat; what left the window is gone |
# | one step only | none | see below |

# %% [markdown]
# ## 8. When a cache doesn't pay
#
# **Claim.** For one new token, a cache saves no FLOP and holds bytes for nothing. For two, it saves already nearly half.
#
# **Predict.** And if the text is already there, and you only ask how likely it is (**scoring**): one pass, or token by token through a cache?

# %%
how = {"attention": "causal", "logits": "last"}
for new in (1, 2, 10, 100):
    without, cached = (
        form(gpt2, 100, new, **how).total for form in (uncached_flops, cached_flops)
    )
    print(f"{new:3} new tokens: {without / cached:5.2f} times the FLOPs without a cache")
    if new == 2:
        assert without > 1.9 * cached
assert cached_flops(gpt2, 100, 1, **how) == uncached_flops(gpt2, 100, 1, **how)

runs = {name: trace(model, prose, 1, name).passes for name in ("none", "dynamic")}
for name, (only,) in runs.items():
    print(
        f"counted, {name:7}: {only.flops.total:,} FLOPs, {only.nbytes:,} bytes held at the end"
    )
assert runs["none"][0].flops == runs["dynamic"][0].flops
assert runs["none"][0].nbytes == 0 < runs["dynamic"][0].nbytes

# %% [markdown]
# So it is with a classifier, a reranker, or an embedding: one pass, no cache. Scoring is the same: each token's logits come out of one pass over the text.

# %%
T = prose.shape[1]
with torch.no_grad():
    one_pass = model(prose)
    cache = make_cache("static", model.config, max_cache_len=T, dtype=model.dtype)
    by_token = torch.cat([model(prose[:, t : t + 1], cache=cache) for t in range(T)], dim=1)
assert torch.allclose(one_pass, by_token, atol=1e-3)

at_once = prefill_flops(gpt2, 1000, attention="causal", logits="all").total
one_by_one = cached_flops(gpt2, 1, 1000, **how).total
reads_once = prefill_nbytes(gpt2, 1000, itemsize=2)
reads_each = sum(decode_nbytes(gpt2, tokens, itemsize=2) for tokens in range(1, 1001))
print(f"GPT-2, 1000 tokens: the same {at_once / 1e9:.1f} GFLOP either way")
print(f"token by token reads {reads_each / reads_once:.0f} times the bytes")
assert at_once == one_by_one
assert reads_each > 100 * reads_once

# %% [markdown]
# The same logits, the same FLOPs to the last one, and hundreds of times the bytes: each step reads all the weights again. Decoding goes token by token because it must: the next token isn't known yet. Where it is
# known, don't.
#
# A cache isn't for training either, where the text is there too, and gradients would have to pass through what was kept: notebook 10. Nor for a model that looks both ways, whose old rows change: notebook 02.

# %% [markdown]
# ## What to take away
#
# - FLOPs say that you want a cache; bytes say which.
# - The first token pays for the prompt: computing decides. Each later one reads all weights and all keys and values: memory decides.
# - Layers, key/value heads, their size, bytes a number: a cache for a real model is a product of numbers that you can look up.
# - What is saved is paid for: in bytes moved, or in what is remembered. Measure both on your own questions.
# - One step, or a text that is already there: no cache.
#
# Next, notebook 09: the same with transformers' own caches.
