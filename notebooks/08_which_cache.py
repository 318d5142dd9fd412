# %% [markdown]
# # 08 Which cache
#
# Work, bytes, time and quality of the caches of this course, on one page. At the end you know why the first token is
# slow, why the later ones slow down, how many tokens of a real model fit on a card, which cache suits which need, and when no cache pays.

# %% [markdown]
# **中文提要**　本节把所有缓存放在同一页上比较：浮点运算量、占用与搬运的字节数、时间和质量。运算量与字节数由逐项计数得到，并与闭式表达式逐一相等。
# 首个词元慢，是因为预填充要计算整段提示词，新建的缓存省不了；只有沿用上一次调用留下的缓存，才能略过相同的开头。其后的每一步只算一个词元，却要读全部权重和全部键值，受限于带宽，所以文本越长越慢。
# 录下的测量把每步时间随文本的增长与闭式表达式的预测并列；性能剖析再把一步拆开：小模型的时间多半花在 Python 上，GPT-2 的时间花在读取权重上；一次普通求和测出内存本身的速度，编译后的步骤更接近它。
# 然后用计算器估算真实模型能放下多少词元、多少条文本：要看峰值，而不只是最后的占用。混合窗口的模型和多头潜在注意力（MLA）保存得更少。省下的字节总要付出代价：搬运更多，或者记得更少。
# 最后是缓存不划算的情形：只生成一个词元，或者只给一段现成的文本打分。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, one new token each |
# | FLOP | 浮点运算 | one multiplication or one addition of two numbers |
# | closed form | 闭式表达式 | a formula that gives a count without counting |
# | arithmetic intensity | 算术强度 | FLOPs for each byte that is read or written |
# | roofline | 屋顶线模型 | a machine computes and reads at once, and the slower of the two decides |
# | bandwidth | 带宽 | bytes that a memory delivers in a second |
# | eager | 即时执行 | each operation is started by Python when its line is reached |
# | profile | 性能剖析 | how much time each part of a step takes |
# | peak | 峰值 | the most that is held at any moment |
# | page | 页 | some slots that are given out together |
# | batch | 批次 | several texts computed together |
# | capacity | 容量 | how many slots there are |
# | slot | 槽位 | the place of one token in a cache |
# | recall | 事实记忆正确率 | the share of memory questions answered right |
# | scoring | 打分 | asking how likely a given text is |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import dataclasses
import itertools
import statistics
import textwrap
import time

import torch

from minigpt import GPT, GPTConfig, make_cache
from minigpt.cache import CacheFull, StaticCache
from minigpt.exercises import e08_choosing as exercises
from minigpt.measure.counted.flops import counting, flops_of, flops_of_shapes
from minigpt.measure.counted.meter import Meter
from minigpt.measure.counted.peak import Peak
from minigpt.measure.counted.run import run, served_by
from minigpt.measure.counted.trace import trace
from minigpt.measure.forms.architecture import architecture_of
from minigpt.measure.forms.config_json import read
from minigpt.measure.forms.flops import (
    cached_flops,
    decode_flops,
    prefill_flops,
    uncached_flops,
)
from minigpt.measure.forms.generation import kv_cost_of_decode, kv_costs, total
from minigpt.measure.forms.memory import growth, longest, nbytes, plans
from minigpt.measure.forms.real_models import GPT2, MODELS, content, load
from minigpt.measure.forms.roofline import (
    decode_intensity,
    decode_nbytes,
    kv_nbytes,
    least_seconds,
    prefill_intensity,
    prefill_nbytes,
)
from minigpt.measure.forms.weights import weights
from minigpt.measure.timed.parts import Step
from minigpt.measure.timed.shapes import SHAPES
from minigpt.recall.corpus import held_out
from minigpt.show.notebook import WIDTH, refused, show
from minigpt.show.plots.flops import flops, work
from minigpt.show.plots.memory_chart import memory_chart
from minigpt.show.plots.profile import profile, recorded_profile
from minigpt.show.plots.recorded import as_large, recorded_quality
from minigpt.show.plots.time_by_context import recorded_growth, time_by_context
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
# **Claim.** The closed forms equal the counts, to the last FLOP and the last byte, for each cache below.
#
# **Predict.** With a prompt of 200 tokens and 50 new ones, which caches take fewer FLOPs than the dynamic one? Which hold fewer bytes?

# %%
PROMPT, NEW = 200, 50
NAMES = "none concat dynamic static sliding_window quantized offloaded offloaded_static"
counted = {}
for name in NAMES.split():
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
print(textwrap.fill(f"counted and closed form: equal for {', '.join(counted)}", WIDTH))

# %% [markdown]
# **Answer.** Fewer FLOPs: only the window, 357 MFLOP instead of 385, since it looks at fewer tokens; the static ones take more, since their attention is given empty slots too. Fewer bytes:
# all but `offloaded`, which holds the same number, though fewer of them here.
#
# *held* is what the cache holds at the end, wherever that is, and *here* is the part in the memory where the model works. *written* are new rows, *copied*
# is what moved within the cache, to grow or to be rounded, *read* is what attention was given, and *up* and *down* are what came from slower memory and went there.
#
# The FLOPs are almost the same for all caches; their bytes differ. So FLOPs say that you want *a* cache, and bytes say which. For a larger model the closed forms are enough; here is GPT-2 124M:

# %%
picture = flops(work())
show(picture, picture.alt)

# %% [markdown]
# The figure shows a token's FLOPs on the left, and those of all tokens so far on the right. Without a cache each token takes more than the one before, and the gap keeps growing.
#
# ### How many times fewer?
#
# That depends on three things, and a number that doesn't name them is worth little:
#
# - **the prompt and the new tokens**: with a longer prompt, the uncached model repeats more;
# - **attention**: *dense*, a score for every query and key, as the plain form computes it and a counter counts it; or *causal*, only for those that see each other, about half. A fused kernel may
#   skip what is masked;
# - **logits**: of the last token fed, which is all that generating needs; or of all.

# %%
times = {}
for prompt, attention, logits in itertools.product(
    (1, 128, 512), ("causal", "dense"), ("last", "all")
):
    how = {"attention": attention, "logits": logits}
    without, cached = (
        form(gpt2, prompt, 512, **how).total for form in (uncached_flops, cached_flops)
    )
    times[prompt, attention, logits] = without / cached
print("512 new tokens: times fewer FLOPs")
for prompt in (1, 128, 512):
    ways = ", ".join(
        f"{attention} {logits} {times[prompt, attention, logits]:.4g}"
        for attention in ("causal", "dense")
        for logits in ("last", "all")
    )
    print(f"after {prompt:3}: {ways}")

for tokens in (128, 400, 639):  # a pass over all, and a decode step: counted without numbers
    assert (
        flops_of_shapes(gpt2, tokens, tokens, 1).total
        == prefill_flops(gpt2, tokens, attention="dense", logits="last").total
    )
    assert (
        flops_of_shapes(gpt2, 1, tokens, 1).total
        == decode_flops(gpt2, tokens, attention="dense").total
    )
print("counted on GPT-2's shapes: the dense closed forms, to the last FLOP")
headline, executed = (times[128, attention, "last"] for attention in ("causal", "dense"))
print(f"after 128: {headline:.0f} times by the causal count, {executed:.0f} as executed")

# %% [markdown]
# So "225 times fewer" holds for a prompt of 128, causal attention and the last token's logits. What a counter sees `generate` execute is dense: 235 times. By the causal count it is
# 176.5 times after a prompt of a single token, and 312 after one of 512.

# %% [markdown]
# ## 2. Why the first token is slow
#
# The first new token comes out of the **prefill**, which reads the whole prompt. Each later one comes out of a **decode** step, which reads one token.
#
# **Claim.** A fresh cache saves nothing in the prefill; one that is kept from an earlier call can save nearly all of it.
#
# **Predict.** How many times the FLOPs of a decode step does the prefill of 400 tokens take? Is the ratio of the seconds the same, larger or smaller? And how many times fewer FLOPs does it take if a cache holds its first 390 tokens from an earlier call?

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

kept = Meter(make_cache("dynamic", model.config, dtype=model.dtype), model.config)
model.generate(prose[:, :390], max_new_tokens=1, cache=kept)  # an earlier call
with counting() as counter:
    reused = model.generate(prose, max_new_tokens=1, cache=kept)
spared = flops_of(counter).total
print(
    f"with the kept cache: {kept.fed[-1]} of {prose.shape[1]} rows computed, {spared / 1e6:.1f} MFLOP, "
    f"{first.flops.total / spared:.0f} times fewer"
)
assert kept.fed == [390, 10]
assert torch.equal(reused, model.generate(prose, max_new_tokens=1, use_cache=False))

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
# **Answer.** 349 times the FLOPs (as executed: dense, logits of the last token), but the ratio of the seconds is far smaller. If the cache holds the first 390 tokens, only the rest is
# computed, 10 rows of 400, with 39 times fewer FLOPs. So the cache that makes the *first* token fast is the one that is not thrown away: that of a system prompt, a document, the conversation so far.
#
# A decode step has few FLOPs, but is slower than they suggest. On our tiny model much of a step is Python that starts operations. On a large model it is something else: reading the weights.

# %% [markdown]
# ### Two limits
#
# A machine computes and reads at the same time, and the slower of the two decides: this is the **roofline** model (Williams et al., Communications of the ACM, "Roofline"). The
# **arithmetic intensity** tells which it is: how many FLOPs there are for each byte that must be read or written. Take a machine, in round numbers, that does 100 FLOPs in the time that
# it takes to read a byte (the bytes that it reads per second are its **bandwidth**). Below an intensity of 100 it waits for memory. Here attention is counted as causal.

# %%
MACHINE = {"flops_per_second": 100e12, "bytes_per_second": 1e12}
for prompt in (1, 10, 100, 1000):
    print(
        f"{prompt:4} tokens: prefill {prefill_intensity(gpt2, prompt, itemsize=2):5.1f} FLOP a byte, "
        f"decode {decode_intensity(gpt2, prompt, itemsize=2):.2f}"
    )
enough = next(
    prompt
    for prompt in itertools.count(1)
    if prefill_intensity(gpt2, prompt, itemsize=2) >= 100
)
print(f"from {enough} tokens on the prefill waits for the processor, not for memory")
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
assert 100 < enough < 1000
assert least["prefill"] < 10 * least["decode"]
assert least["decode"] == decode_nbytes(gpt2, 1000, itemsize=2) / 1e12  # memory alone decides

# %% [markdown]
# In a prefill each weight that is read serves all tokens of the prompt, so a long prompt is bound by computing; one shorter than 150 tokens is still bound by memory, on this machine.
# In a decode step a weight serves one token: about one FLOP a byte, whatever the length. So the processor
# waits for memory, and 1000 tokens of prefill take only a few times as long as one token of decode.

# %% [markdown]
# ## 3. Why it slows as it grows
#
# **Claim.** Each token makes every later step read one more row: its keys and values. With a window this growth stops.
#
# **Predict.** Take GPT-2 with 16 bits per number. After how many tokens does a step read as many bytes of keys and values as of weights? And with 64 texts at once (a **batch**)?

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
        f"{what}, batch {batch:2}: after 1, 250, 500, 1000 tokens at least {at_least} ms a step"
    )
    if config.window:
        assert steps[2] == steps[3]
    else:
        assert steps[3] - steps[2] == 500 * batch * kv_nbytes(gpt2, itemsize=2)
for texts in (1, 64):
    tokens = next(
        n for n in range(10_000) if n * texts * kv_nbytes(gpt2, 2) >= 2 * weights(gpt2)
    )
    print(f"batch {texts:2}: keys and values as large as the weights at {tokens:,} tokens each")

# %% [markdown]
# **Answer.** One text would need 6,703 tokens, more than GPT-2 can read at all; with 64 texts 105 tokens each are enough.
#
# The times are lower bounds for the machine of section 2. For one text GPT-2 reads mostly weights, and you hardly see the growth. A batch shares the weights, so more texts cost little at first. But each text brings its own keys and
# values, and soon these are most of what is read. That is why fewer bytes in the cache can mean more tokens a second for a server, even where memory is not short.
#
# (A static cache, whose attention is given all slots, reads as much at the first step as at the last.)

# %% [markdown]
# ### Measured, to 8192 tokens
#
# The closed forms say what must be read, and what else a cache moves. What does a clock say? Measuring takes minutes, so this was recorded, on a small model with random weights and a long context (`python -m minigpt bench --growth` makes it again).
#
# **Claim.** A cache pays for what it moves: `concat`, which copies all that it holds at each step, slows down faster than `dynamic`. Without a cache it is much worse.
#
# **Predict.** Attention reads all keys and values, with either cache. How many times the bytes of `dynamic` does `concat` move, once the text is long?

# %%
grown = recorded_growth()
first_cell, last_cell = grown["cells"][0], grown["cells"][-1]
small = GPTConfig(**SHAPES[grown["model"]])
moved = {}
for name in ("concat", "dynamic"):
    cost = kv_cost_of_decode(name, small, last_cell["context"], prompt=64, itemsize=4)
    moved[name] = cost.read + cost.written + 2 * cost.copied  # to copy is to read and to write
print(f"concat moves {moved['concat'] / moved['dynamic']:.1f} times the bytes of dynamic\n")


def milliseconds(cell):
    return {line["name"]: 1e3 * line["times"][-1]["seconds"] for line in cell["lines"]}


first_ms, last_ms = milliseconds(first_cell), milliseconds(last_cell)
power = {each["name"]: each["exponent"] for each in grown["growth"]}
print(
    f"{'ms a token, at tokens':27}",
    *(f"{cell['context']:8,}" for cell in (first_cell, last_cell)),
    "   power predicted",
)
for each in grown["growth"]:
    name, predicted = each["name"], each["predicted_exponent"]
    predicted = each["least_exponent"] if predicted is None else predicted
    print(
        f"{name:27} {first_ms[name]:8.2f} {last_ms[name]:8.2f} {power[name]:8.2f} {predicted:9.2f}"
    )
assert power["none"] > power["concat"] > power["dynamic"]
assert last_ms["none"] > 20 * last_ms["concat"] > 20 * last_ms["dynamic"]

# %%
picture = time_by_context(grown)
show(picture, picture.alt)

# %% [markdown]
# **Answer.** Three times: attention reads all rows once, and copying reads and writes them once more.
#
# *power* is the slope of a line through the marks of the figure: time grows as the number of tokens to this power. *predicted* is the slope of the closed form, the thin line: all that the cache reads, writes, copies and takes up or down, and the weights, at the memory's own speed (for a compiled step, what must be read), or the FLOPs at the processor's, whichever takes longer. With
# a cache both stay below 1, since a short text costs nearly as much as none: there are the weights to read, and the Python to run. At the right end the slopes are steeper. The window's line is flat, and that of the uncached model is the steepest: it computes the whole text again.
#
# ### Where a step's time goes
#
# The marks of the figure lie above their lines. What else takes time? A **profile** shows it: it divides a step into parts, and measures each. Ours records what a step calls, then runs each part again by itself. What the parts don't explain is Python: the modules that call each other, the checks, and the way from one
# operation to the next. Without a compiler PyTorch is **eager**: each operation is started by Python, when its line is reached.
#
# **Claim.** A large part of a tiny model's step is Python; a step of GPT-2's shape is mostly reading weights.
#
# **Predict.** How many operations does Python start for one token of the bundled model, which has 3 layers? And what makes `concat` and `quantized` slower than `dynamic`: attention, or the cache's own work?

# %%
with torch.inference_mode():
    alone = Step(model, "dynamic", compiled=False, tokens=400)
for part, calls in alone.parts.items():
    print(f"{part:17}{len(calls):4} calls")
assert len(alone.parts["weights"]) == 4 * model.config.n_layer

# %% tags=["timed"]
with torch.inference_mode():
    told = alone.told({name: [measure()] for name, measure in alone.measures.items()})
print(f"here, a step at 400 tokens: {1e3 * told['seconds']:.2f} ms")
for part, seconds in told["parts"].items():
    print(f"{part:17}{seconds / told['seconds']:4.0%}")

# %% [markdown]
# And this was recorded (`python -m minigpt figures --profile FILE` makes it again), for a model of the same shape and for one of GPT-2's:

# %%
profiled = recorded_profile()
picture = profile(profiled)
show(picture, picture.alt)
share = {
    (shape, name, part): seconds / step["seconds"]
    for shape, steps in profiled.steps.items()
    for name, step in steps.items()
    for part, seconds in step["parts"].items()
}
assert share["recall", "dynamic", "Python"] > 0.2
assert share["gpt2", "dynamic", "weights"] + share["gpt2", "dynamic", "head"] > 0.5
for shape in profiled.steps:
    for name in ("concat", "quantized"):
        assert share[shape, "dynamic", "cache"] < share[shape, name, "cache"]

# %% [markdown]
# **Answer.** Several dozen operations, most of them too small to notice: views, sums, norms. Each must be started, whatever it does, and in a model as small as the bundled one starting takes about as long as computing. GPT-2 has four times as many layers and starts about four times as many, but next to its
# matrix products they hardly show: its weights are five hundred megabytes, and all of them are read for each token.
#
# Mostly the cache's own work. The dynamic cache itself takes little. `concat` pays for its copies. The quantized one turns all codes back into numbers at each step: it saves memory, not time (notebook 06 says when it saves time, too). A compiled step is one graph; the Python left is what comes before it, the checks and counts of the cache.
#
# ### The memory's own speed
#
# No program reads faster than the memory delivers. A plain sum of many numbers does little but read, so it measures that speed. The bytes that a step must read, divided by this speed, give a lower bound on its time: the orange lines above.
#
# **Claim.** An eager step of GPT-2's shape stays well below that speed, and a compiled one comes closer to it.
#
# **Predict.** The bytes are the same for both, and so is the memory. What can a compiler do about it?

# %%
print(f"recorded: a plain sum reads {profiled.bytes_per_second / 1e9:.1f} GB/s\n")
print(f"{'':27}{'MB to read':>11}{'ms':>8}{'GB/s':>7}   of the memory's own")
for name, step in profiled.steps["gpt2"].items():
    rate = step["nbytes"] / step["seconds"]
    print(
        f"{name:27}{step['nbytes'] / 1e6:11,.0f}{1e3 * step['seconds']:8.1f}{rate / 1e9:7.1f}"
        f"{rate / profiled.bytes_per_second:10.0%}"
    )
steps = profiled.steps["gpt2"]
assert steps["static compiled"]["seconds"] < steps["dynamic"]["seconds"]

# %% tags=["timed"]
numbers = torch.ones(2**24)
begin = time.perf_counter()
for _ in range(5):
    numbers.sum()
took = (time.perf_counter() - begin) / 5
print(f"here, one thread: a plain sum reads {numbers.nbytes / took / 1e9:.1f} GB/s")

# %% [markdown]
# **Answer.** It can keep the memory busier. In a decode step each product is one row times a matrix, and the library's routine, made for many rows, doesn't keep the memory busy on a CPU. Written as multiply-and-sum, the product becomes a loop that the compiler makes, which does (`minigpt/one_row.py`). What must be read is the same. And the Python
# between the operations is gone.
#
# Only reading fewer bytes beats that bound: fewer bits for the weights, fewer for keys and values, or more texts that share one reading of the weights.

# %% [markdown]
# ### Exercise 1: twice as long
#
# Suppose that a step takes the time of its reading, and each text has `tokens` tokens. How many texts at once make a step take at least twice as long as a step of one text?


# %% tags=["exercise"]
def twice_as_long(weights, token, tokens):
    """weights, token: bytes of all weights, and of a token's keys and values. Returns the smallest
    number of texts, a whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.twice_as_long.check(twice_as_long)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# n texts read weights + n * text, one reads weights + text. So n * text must be at least weights + 2 * text.
#
# ```python
# def twice_as_long(weights, token, tokens):
#     text = token * tokens
#     return -(-weights // text) + 2  # rounded up
# ```
#
# </details>

# %% [markdown]
# ## 4. The calculator for real models
#
# What a cache holds can be known without a run: layers, key/value heads and their size are in a model's `config.json`. `python -m minigpt memory` prints all of this for a model.
#
# Say that the weights leave 8 GiB of a card for keys and values in 16 bits.
#
# **Claim.** How many tokens fit depends on the cache, by more than a factor of ten. And what counts is the **peak**, the most that is held at any moment.
#
# **Predict.** Llama 3 8B has 8 key/value heads of 128 channels in each of 32 layers. How many bytes is that per token? How many tokens fit in 8 GiB, stored exactly and without spare room? How many in a cache that doubles?

# %%
MEMORY = 8 * 2**30
llama = load("llama-3-8b")
print(
    f"a token: {nbytes(llama, 1):,} bytes; a text of {llama.context:,}: {words(nbytes(llama, llama.context))}"
)
fits = {}
for plan in plans(llama, bits=(4, 2)):
    fits[plan.cache, plan.bits] = most = longest(plan.peak, MEMORY)
    print(f"{plan.cache:17}{plan.bits:2} bits: {most:9,} tokens fit")
    assert plan.peak(most) <= MEMORY < plan.peak(most + 1)
assert nbytes(llama, 1) == 2 * 32 * 8 * 128 * 2
assert max(fits.values()) > 10 * min(fits.values())

# %% [markdown]
# **Answer.** 131,072 bytes per token, so 65,536 tokens in a cache with just the slots they need, and 32,264 in one that doubles: when it is full it takes twice the room. The offloaded ones fit
# the most, because only two layers are here at a time. (The model was made for 8,192 tokens; more of them means more texts at once.)
#
# ### Held, and at the peak
#
# Why is 32,264 less than half of 65,536? When a layer grows, its old keys and values are copied into the longer tensors, and for a moment both are there. The layers grow one after another, so what comes on top is one layer's old rows, not
# the whole cache. Here each allocation and each release is counted, with real caches that are full at 1,024 tokens and take one more:

# %%
for layers in (1, 2, 32):
    tiny = GPTConfig(vocab_size=2, context=1025, n_layer=layers, n_head=1, n_embd=8)
    cache, peak = make_cache("dynamic", tiny, dtype=torch.bfloat16), Peak()
    for new in (1024, 1):
        keys = torch.ones(1, new, 1, 8, dtype=torch.bfloat16)
        cache.admit(None, torch.zeros(1, new, dtype=torch.int64))
        for layer in range(layers):
            with peak:
                cache.update(keys, keys, layer)
    (plan,) = [each for each in plans(architecture_of(tiny)) if each.cache == "dynamic"]
    assert (plan.here(1025), plan.peak(1025)) == (cache.nbytes, peak.most)
    print(
        f"layers {layers:2}: held {cache.nbytes:9,} bytes, at the peak {peak.most:9,}", end=""
    )
    print(f": {peak.most / cache.nbytes:.3f} times")

(dynamic,) = [plan for plan in plans(llama) if plan.cache == "dynamic"]
for tokens in (32_264, 32_769):
    gib = [nbytes_ / 2**30 for nbytes_ in (dynamic.here(tokens), dynamic.peak(tokens))]
    print(f"llama-3-8b, {tokens:,} tokens: held {gib[0]:.3f} GiB, at the peak {gib[1]:.3f}")
assert dynamic.here(32_769) == MEMORY < dynamic.peak(32_769)

rounding = make_cache("quantized", model.config, nbits=2, residual_length=0)
with torch.no_grad():
    for piece in prose[:, :193].split([192, 1], dim=1):
        model(piece, cache=rounding)
        print(f"quantized, {rounding.length} tokens: {rounding.nbytes:,} bytes")
        if rounding.length == 192:
            whole = rounding.nbytes
assert whole == 192 * kv_nbytes(model.config, itemsize=4) > 8 * rounding.nbytes

# %% [markdown]
# 32,769 tokens would be held in 8 GiB, and yet don't fit, because the last layer could not grow. (`concat`, like transformers' own dynamic cache, has such a moment at every step. An allocator that can't reuse the freed
# pieces may need more than this.)
#
# For the quantized cache the table counts what it holds once its tokens are rounded. A prompt that is fed whole stays exact until the next token comes, as the last two lines show, and takes as much room as in any other cache. So
# feed it in chunks: then only the newest chunk is exact.
#
# ### Pages
#
# A server runs many texts whose lengths are not known in advance. It can take slots in **pages** of, say, 16 tokens from one common pool (Kwon et al., arXiv 2309.06180): nothing is copied to grow, and at most one page per text is partly
# empty. And texts that begin alike, with the same system prompt, can hold the same pages: this is **prefix sharing**, the reuse of section 2 for many texts at once.

# %% [markdown]
# ### Exercise 2: shared pages
#
# All texts begin with the same `shared` tokens, and differ from there on. A page belongs to several texts only if it is full of tokens that they share. How many pages are in use?


# %% tags=["exercise"]
def pages(lengths, shared, page):
    """lengths: of all texts, in tokens, each at least `shared`. page: tokens of a page. Returns a
    whole number of pages."""
    raise NotImplementedError


# %% tags=["check"]
exercises.pages.check(pages)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def pages(lengths, shared, page):
#     common = shared // page  # full ones only
#     own = [-(-(length - common * page) // page) for length in lengths]
#     return common + sum(own)
# ```
#
# </details>

# %% [markdown]
# ## 5. Models that keep less
#
# What the model's makers chose matters as much as the cache. Several query heads may share a key/value head. Some layers may have a window and the others none: a **hybrid** model. And **multi-head latent attention** (MLA, DeepSeek-V2,
# arXiv 2405.04434) stores neither keys nor values, but, for each token and layer, one short **latent** vector, from which every head makes its own, and a small key for the position (a rotary key: notebook 12) that all heads share.
#
# **Claim.** How many bytes a model stores per token doesn't follow from its size.
#
# **Predict.** DeepSeek-V3 has 61 layers of 128 heads, Llama 3 8B 32 layers of 32. Which stores more bytes per token? And how many times as much would each store with keys and values of every head?

# %%
print(f"{'':13}{'a token':>9}{'a later':>9}{'32,768 tokens':>15}   layers and what each keeps")
for name in (
    "llama-3-8b",
    "llama-3-70b",
    "mistral-7b",
    "gemma-3-27b",
    "gpt-oss-120b",
    "deepseek-v3",
):
    each = load(name)
    ways = [
        plan.here(32_768) for plan in plans(each) if plan.cache in ("static", "sliding_window")
    ]
    kept = ", ".join(f"{what} {heads} x {size}" for what, (heads, size) in each.kept.items())
    print(f"{name:13}{nbytes(each, 1):9,}{growth(each):9,}{words(ways[-1]):>15}", end="")
    print(f"   {each.layers} layers: {kept}")
    assert (growth(each) < nbytes(each, 1)) == any(each.windows)

deepseek, keys = load("deepseek-v3"), content(MODELS / "deepseek-v3.json")
heads, rotary = keys["num_attention_heads"], keys["qk_rope_head_dim"]
all_heads = {
    "keys": (heads, keys["qk_nope_head_dim"] + rotary),
    "values": (heads, keys["v_head_dim"]),
}
unshared = {
    "llama-3-8b": (llama, dict.fromkeys(llama.kept, (32, 128))),
    "deepseek-v3": (deepseek, all_heads),
}
for name, (each, all_kept) in unshared.items():
    more = nbytes(dataclasses.replace(each, kept=all_kept), 1) / nbytes(each, 1)
    print(f"{name} with keys and values of every head: {more:.0f} times the bytes")
assert nbytes(deepseek, 1) < nbytes(llama, 1)

# %% [markdown]
# **Answer.** Llama, the much smaller model: 131,072 bytes against 70,272. With keys and values of all its heads DeepSeek-V3 would store 71 times as much, Llama 3 8B 4 times. In a hybrid only the few layers without a window
# go on growing: past its windows gemma-3-27b adds 81,920 bytes per token instead of 507,904. (*A later* token is one that comes when all windows are full.)
#
# Other hybrids have layers that keep a state of fixed size, whatever the length. What these keep is not counted here, and `memory` says so:

# %%
mamba_like = {"num_hidden_layers": 2, "layer_types": ["linear_attention", "full_attention"]}
with refused(ValueError):
    read(content(MODELS / "llama-3-8b.json") | mamba_like, "a config.json")

mistral = load("mistral-7b")
windowed = next(plan for plan in plans(mistral) if plan.cache == "sliding_window")
assert longest(windowed.peak, MEMORY) is None  # any text fits
picture = memory_chart("mistral-7b", plans(mistral, bits=(4, 2)), 32768, 1)
show(picture, picture.alt)

# %% [markdown]
# The figure shows bytes held against tokens, both axes doubling, for a model with a window in each layer. All lines keep rising except the window's, which turns flat where the window is full: other caches make a token
# cheaper, only a window makes tokens free. And a window is the model's decision, not the cache's.

# %% [markdown]
# ### Exercise 3: texts that fit
#
# A card has `memory` bytes, and the weights must be there too. Of the model's layers, `full_layers` keep all tokens, and `window_layers` keep at most the last `window`. How many texts of `context` tokens fit, stored exactly and without spare
# room?


# %% tags=["exercise"]
def texts_that_fit(memory, weights, context, full_layers, window_layers, window, token):
    """memory, weights: bytes; the weights fit. token: bytes of a token in one layer. Returns a
    whole number of texts."""
    raise NotImplementedError


# %% tags=["check"]
exercises.texts_that_fit.check(texts_that_fit)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def texts_that_fit(memory, weights, context, full_layers, window_layers, window, token):
#     slots = full_layers * context + window_layers * min(window, context)
#     return (memory - weights) // (slots * token)
# ```
#
# </details>

# %% [markdown]
# ## 6. Break it: a slot that is never used
#
# Once you know how much fits, you set `max_cache_len`. How many slots does a text need? The last new token is never fed, since nobody asks what comes after it.
#
# **Claim.** A prompt of 6 tokens and 11 new ones fit in 16 slots. A check with `>=` instead of `>` refuses them.
#
# **Predict.** Would a test that generates 10 new tokens have noticed?


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
print(f"slots for 10 and 11 new tokens: {6 + 10 - 1} and {6 + 11 - 1}")
with refused(CacheFull):
    tries(OneSlotLess, 11)

# %% [markdown]
# **Answer.** No: with 10 new tokens the text needs 15 slots, and both checks accept it. Only the very last slot tells them apart, so a test must fill a cache to the last slot. (It is the mutant *the last slot is never used* of the test suite.)
#
# The message itself shows that it is wrong: it needs 16 and has 16. On a large model the lost slot is a token's memory, and a text that fits by the calculator doesn't run.

# %% [markdown]
# ## 7. What is kept
#
# Bytes are easy to save if nobody looks at what is lost. **Recall** is the share of memory questions that the model answers right: a fact, much prose, then a question about the fact.
# Measuring it takes minutes, so these numbers don't come from this run: the project recorded them, 25 questions at each of 8 distances (`python -m minigpt quality` makes them again).
#
# **Claim.** Exact caches lose nothing. With every token kept in 2 bits, more is remembered than with a window of about the same number of bytes.
#
# **Predict.** Does recall fall from 4 bits to 2, from 2 to 1, or both times? And what share of its questions does the window answer?

# %%
recorded = recorded_quality()
assert recorded.questions == 25
scores = {each.setting.name: each for each in recorded.scores}
two_bits = scores["int2, keys by channel, values by token"]
narrow = as_large(recorded.scores)
print(
    f"bytes: of {recorded.prompt_tokens} tokens fed one at a time, {recorded.kept} where not rounded\n"
    f"quality: of the {recorded.dtype} model, fed {recorded.chunk} at a time\n"
    f"prose: bits a byte more than exact\n"
)
for name in (
    "concat",
    narrow.setting.name,
    *(f"int{bits}, keys by channel, values by token" for bits in (4, 2, 1)),
):
    each = scores[name]
    low, high = each.recall_interval
    print(
        f"{name:38}{each.nbytes / 1e3:6,.1f} kB, recall {each.recall:6.1%} "
        f"(95%: {low:.0%} to {high:.0%}), prose {round(each.more_bits, 3) + 0.0:+.3f}"
    )
print(f"\nquality as bytes are counted, in {recorded.kept} and fed one token at a time:")
for each in recorded.checked_scores:
    most = f"{each.most_nbytes / 1e3:.1f} kB at most"
    print(
        f"{each.setting.name:38} {most}, recall {each.recall:6.1%}, prose {each.more_bits:+.3f}"
    )
once = {each.setting.name: each for each in recorded.checked_scores}
assert (
    once[two_bits.setting.name].recall_interval[0]
    > once[narrow.setting.name].recall_interval[1]
)
exact = [each for each in recorded.scores if each.setting.family == "exact"]
assert len({tuple(each.right) for each in exact}) == 1
assert two_bits.nbytes <= narrow.nbytes < 1.02 * two_bits.nbytes
assert two_bits.recall_interval[0] > narrow.recall_interval[1]

# %% [markdown]
# **Answer.** Only from 2 to 1: with all tokens in 2 bits all questions are answered right, as in 4, and in 1 bit 2.5% of them. A window of about the same number of bytes as the 2 bits answers 17.5%. While it reads, the cache of 2 bits holds more, up to 149.6 kB, since the tokens of a group stay exact until it is whole.
# Fed one token at a time, 2 bits cost more in prose than in chunks, whose own tokens are exact while they are read; all questions are still answered.
#
# Notebook 06 draws all recorded settings by the bytes that they hold. A window is not a worse way to store
# the same thing: it is another rule of who sees whom, and this model was not trained with it. One that was would lose less. And our model is tiny: measure on yours what 2 bits do to it.

# %% [markdown]
# ## 8. All on one page
#
# *moved* is all that was written, copied, and taken up or down; FLOPs are dense, as counted. Recall is the recorded one: of the same window, and of 4 bits by token with no token left exact.
#
# **Claim.** Nothing is free: each cache that keeps less here than the static one either moves more bytes, or remembers less.
#
# **Predict.** There are three such caches. Which are they, and what does each pay?

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
# **Answer.** The window remembers less; the quantized one moves more, since each step copies its residual; the offloaded static one moves more, up and down.
#
# And time, on the machine that made this page; *ms later* is the median of the decode steps:

# %% tags=["timed"]
for name in counted:
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
# Without a cache nothing is kept, and there is many times as much work. On a model this small the times of the exact caches are mostly those of Python; the bytes are what carries over to a large one.
#
# | you need | take | because |
# |---|---|---|
# | no trouble | dynamic | it grows by itself, exactly, and copies little |
# | fixed addresses and shapes, or a known upper limit | static | nothing moves, nothing is copied, too much is refused |
# | more texts or longer ones, and may round | quantized | a fraction of the bytes; try your own questions |
# | exact numbers, of more than fits | offloaded, offloaded_static | only two layers are here; each step brings all the others up |
# | a very long text, from a model made with a window | sliding_window | flat; what left the window is gone |
# | a first token that comes soon | any that is kept for the next call | what two prompts share is not computed again |
# | one step only | none | see below |

# %% [markdown]
# ## 9. When a cache doesn't pay
#
# **Claim.** For one new token, a fresh cache that nobody keeps saves no FLOP, and holds bytes for nothing. For two, it saves nearly half.
#
# **Predict.** If the text is already there, and you only ask how likely it is (**scoring**), which is better: one pass, or token by token through a cache?

# %%
how = {"attention": "causal", "logits": "last"}
print("GPT-2, a prompt of 100, causal attention, logits of the last token:")
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
# The same holds for a classifier, a reranker, or an embedding: one pass, no cache. Scoring needs one pass, too: each token's logits come out of it.

# %%
T = prose.shape[1]
with torch.no_grad():
    with counting() as counter:
        one_pass = model(prose)
    counted_once = flops_of(counter).total
    cache = make_cache("concat", model.config, dtype=model.dtype)
    with counting() as counter:
        by_token = torch.cat([model(prose[:, t : t + 1], cache=cache) for t in range(T)], dim=1)
    counted_each = flops_of(counter).total
assert torch.allclose(one_pass, by_token, atol=1e-3)
print(
    f"counted, {T} tokens: one pass {counted_once / 1e6:.1f} MFLOP, token by token {counted_each / 1e6:.1f}"
)


def both(config, tokens, attention):
    """FLOPs of one pass and of token by token, with all logits."""
    return (
        prefill_flops(config, tokens, attention=attention, logits="all").total,
        cached_flops(config, 1, tokens, attention=attention, logits="last").total,
    )


assert both(model.config, T, "dense") == (counted_once, counted_each)
for attention in ("causal", "dense"):
    at_once, one_by_one = both(gpt2, 1000, attention)
    print(
        f"GPT-2, 1000 tokens, {attention:6}: one pass {at_once / 1e9:.1f} GFLOP, token by token {one_by_one / 1e9:.1f}"
    )
    assert (at_once == one_by_one) == (attention == "causal")
reads_once = prefill_nbytes(gpt2, 1000, itemsize=2)
reads_each = sum(decode_nbytes(gpt2, tokens, itemsize=2) for tokens in range(1, 1001))
print(f"token by token reads {reads_each / reads_once:.0f} times the bytes")
assert reads_each > 100 * reads_once

# %% [markdown]
# **Answer.** One pass. It gives the same logits. By the causal count the FLOPs are the same to the last one, 265.5 GFLOP for GPT-2; what runs is dense, and there the pass takes a little more, 283.9, since it also computes the half that is masked.
# But token by token reads 828 times the bytes: each step reads all the weights again. Decoding goes token by token because it must: the next token isn't known yet. Where it is
# known, take one pass.
#
# A cache isn't for training either, where the text is there too, and gradients would have to pass through what was kept: see notebook 10. Nor is it for a model that looks both ways, whose old rows change: see notebook 02.

# %% [markdown]
# ## What to take away
#
# - FLOPs say that you want a cache; bytes say which.
# - The first token pays for the prompt. If that is long, computing decides; a kept cache saves what was read before. Each later token reads all weights and all keys and values: memory decides.
# - Layers, key/value heads, their size, bytes per number: the size of a real model's cache is a product of numbers that you can look up. What must fit is its peak.
# - A FLOP count must name its conventions: the prompt, dense or causal, whose logits.
# - What is saved is paid for: in bytes moved, or in what is remembered. Measure both on your own questions.
# - One step, or a text that is already there: no cache.
#
# Next, notebook 09: the same with transformers' own caches.
