# %% [markdown]
# # 18 More than one machine
#
# A long text's keys and values, or a model's weights, may be more than one machine can hold. Here both are split across several, and nothing about the caches changes. At the end you know the two
# ways to split a cache, why both are exact, what has to be sent, and from which context on it pays.

# %% [markdown]
# **中文提要**　一台机器放不下时，缓存有两种切法。按注意力头切（张量并行）：每台机器只算一部分头，只保留这些头的键和值，“两台机器上的一个缓存，就是两个普通缓存”，每层求和两次。按位置切（上下文并行）：
# 每台机器保留一部分词元的键和值，各自做注意力，再用各部分的 log-sum-exp（指数和的对数）精确合并；各部分可以不等长，也可以为空。我们先在一个进程里手工合并两部分，再用 `torchrun` 启动两个真正的进程，
# 验证生成的文本与单进程完全相同，发送的字节数等于闭式表达式。缓存也可以在一处做预填充，再送到另一处继续解码。最后看代价：两个进程若在同一台机器上，只会更慢；在真实的链路上，
# 多长的上下文才划算，由闭式表达式给出。一个进程中途退出时，其余进程会报错结束，不会一直等下去。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | process | 进程 | a running program, with memory of its own |
# | tensor parallelism | 张量并行 | splitting the products of each layer across machines; here by heads |
# | context parallelism | 上下文并行 | splitting the text across machines: here its keys and values, by positions |
# | log-sum-exp | 指数和的对数（log-sum-exp） | the log of the sum of the exponentials of all scores |
# | collective | 集合通信 | a sum over all processes, or a copy from each to all; all of them wait for it |
# | latency | 延迟 | the time that a message takes, however little it carries |
# | bandwidth | 带宽 | bytes that can be moved in a second |
# | head | 注意力头 | one of several attentions side by side, each with channels of its own |
# | prefill | 预填充 | the first step, in which the whole prompt is read |
# | decode | 解码 | the steps after it, one new token each |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import tempfile
import textwrap
import time
from pathlib import Path

import torch

from minigpt import GPT, GPTConfig, make_cache
from minigpt.attention import attend, sees
from minigpt.cache import CacheError, DynamicCache
from minigpt.cache.sharded import ShardedCache
from minigpt.exercises import e18_more_than_one_machine as exercises
from minigpt.measure.forms import parallel as forms
from minigpt.measure.forms.roofline import kv_nbytes
from minigpt.parallel.handover import load_cache, save_cache
from minigpt.parallel.joining import attend_to_part, joined
from minigpt.show.notebook import WIDTH, code, refused, show
from minigpt.show.plots.sent_and_saved import LLAMA, MEMORY, sent_and_saved, traffic
from minigpt.show.plots.who_keeps_what import keepers, who_keeps_what
from minigpt.show.torchrun import torchrun

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled

# %% [markdown]
# ## 1. Two parts of a text
#
# **Claim.** Attention to a text is the mean of attention to its parts, each weighted by its share of the exponentials.
#
# **Predict.** There are one query and four keys; two of the keys are on another machine. Each machine takes its own softmax, and computes its own mean of the values. Is the answer the mean of the two means?

# %%
scores = torch.tensor([2.0, 0.0, 1.0, -1.0])  # of one query, with four keys
values = torch.tensor([10.0, 20.0, 30.0, 40.0])  # of one channel
whole = scores.softmax(0) @ values
here, there = slice(0, 2), slice(2, 4)
read = [scores[part].softmax(0) @ values[part] for part in (here, there)]
sums = [scores[part].exp().sum() for part in (here, there)]
print(f"each part reads      {read[0]:.3f} and {read[1]:.3f}")
print(f"their plain mean     {(read[0] + read[1]) / 2:.3f}")
print(f"sums of exponentials {sums[0]:.3f} and {sums[1]:.3f}")
weighted = (sums[0] * read[0] + sums[1] * read[1]) / (sums[0] + sums[1])
print(f"weighted by these    {weighted:.3f}")
print(f"the whole at once    {whole:.3f}")
assert torch.allclose(weighted, whole)
assert not torch.allclose((read[0] + read[1]) / 2, whole, atol=1)

# %% [markdown]
# **Answer.** No: 21.192 where 16.571 is right. A softmax divides by the sum of the exponentials that it knows. Weighted by these sums, the two means give exactly what one softmax over all keys gives. So a machine
# sends what it read, and one number more.

# %% [markdown]
# ## 2. Joined by log-sum-exp
#
# The sum itself would overflow where scores are large. So each part reports the log of its sum, the **log-sum-exp**, and the shares are the softmax of these logs, which subtracts the largest before any exp.

# %%
code(attend_to_part)
code(joined)

# %% [markdown]
# **Claim.** Parts of any sizes, even empty ones, join to give the whole, for every query, head and mask.
#
# **Predict.** A machine holds no key yet, or none that this query may see. What does it report, and how does that change the result?

# %%
torch.manual_seed(0)
B, T, S, H, K, D = 2, 3, 9, 4, 2, 8
q = torch.randn(B, T, H, D, dtype=torch.float64)
k, v = torch.randn(2, B, S, K, D, dtype=torch.float64)
k[:, 0] *= 1000  # one huge score
mask = sees(torch.arange(S - T, S).expand(B, T), torch.arange(S).expand(B, S))
want = attend(q, k, v, mask)
for sizes in ([9], [5, 4], [1, 8], [3, 0, 6], [7, 1, 1]):
    ends = torch.tensor(sizes).cumsum(0).tolist()
    slices = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    said = [attend_to_part(q, k[:, at], v[:, at], mask[..., at]) for at in slices]
    read, lse = (torch.stack(each) for each in zip(*said, strict=True))
    off = (joined(read, lse) - want).abs().max()
    print(f"parts of {sizes!s:10} off by {'< 1e-12' if off < 1e-12 else off}")
    assert off < 1e-12
nothing, lse = attend_to_part(q, k[:, :0], v[:, :0], mask[..., :0])
print("an empty part reads", nothing.unique().tolist(), "and says", lse.unique().tolist())

# %% [markdown]
# **Answer.** It reads zeros, and reports -inf, the log of an empty sum. Its share is exp(-inf) = 0, so it changes nothing. This is why parts may be uneven: the newest token is on one machine only, and a
# query from the beginning sees nothing on a machine that holds the end.

# %% [markdown]
# ### Exercise 1: join two, and go on
#
# Ten machines can join their results two at a time, if the result of two has the same form as that of one. Return the dict `{"read": ..., "lse": ...}` of the two parts together. It must work for scores of any size, and a part may be empty (not both).


# %% tags=["exercise"]
def merge(read_1, lse_1, read_2, lse_2):
    """read: (T, D), what T queries read in a part. lse: (T, 1), the log of the sum of their
    exponentials there. Returns a dict of the two: read and lse of both parts together."""
    raise NotImplementedError


# %% tags=["check"]
exercises.merge.check(merge)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The joined sum is the sum of the sums, and `logaddexp` takes it without leaving the logs:
#
# ```python
# def merge(read_1, lse_1, read_2, lse_2):
#     lse = torch.logaddexp(lse_1, lse_2)
#     read = (lse_1 - lse).exp() * read_1 + (lse_2 - lse).exp() * read_2
#     return {"read": read, "lse": lse}
# ```
#
# </details>

# %% [markdown]
# ## 3. Who keeps what
#
# There are two ways to split a cache. **By heads** is called **tensor parallelism**: a machine computes some of the heads, for all tokens. **By positions** is called **context parallelism**: a machine keeps some of the tokens, for all heads.
#
# **Claim.** By positions, each machine keeps its tokens in an unchanged cache whose positions have gaps; joined, their results are those of one cache.
#
# **Predict.** 22 tokens are dealt to two machines in blocks of 4, in turn. How many does each get? To which machine does the next token go?

# %%
show(
    who_keeps_what(keepers()),
    "Two grids of 4 heads by 22 tokens. By heads, machine 0 has the rows of heads 0 and 1, and machine 1 those of 2 "
    "and 3. By positions, blocks of 4 columns belong to the two in turn.",
)

# %%
config = GPTConfig(vocab_size=1, context=64, n_layer=1, n_head=K, n_embd=K * D)
text_k, text_v = torch.randn(2, 1, 23, K, D, dtype=torch.float64)
options = {"parts": 2, "block": 4, "dtype": torch.float64}
parts = [ShardedCache(DynamicCache, config, part=part, **options) for part in (0, 1)]
for piece in (slice(0, 22), slice(22, 23)):  # a prompt, then one token
    at = torch.arange(piece.start, piece.stop)[None]
    q = torch.randn(1, at.shape[1], K, D, dtype=torch.float64)
    said = []
    for cache in parts:
        cache.admit(at)
        keys, values, positions = cache.update(text_k[:, piece], text_v[:, piece], 0)
        said.append(attend_to_part(q, keys, values, sees(at, positions)))
    print("tokens kept:", [cache.kept.length for cache in parts])
    got = joined(*(torch.stack(each) for each in zip(*said, strict=True)))
    so_far = slice(0, piece.stop)
    mask = sees(at, torch.arange(piece.stop)[None])
    assert torch.allclose(
        got, attend(q, text_k[:, so_far], text_v[:, so_far], mask), atol=1e-12
    )
print("machine 1 holds the positions", parts[1].kept.positions[0].tolist())

# %% [markdown]
# **Answer.** 12 and 10; the next one goes into machine 1's unfinished block, so machine 1 has 11. Dealing blocks in turn keeps the shares nearly equal while the text grows: no machine is full of the beginning while another has nothing to do.

# %% [markdown]
# ### Exercise 2: whose are how many?
#
# Before a machine allocates room it must know its share. The machines are numbered from 0. How many of the first `tokens` tokens does machine `part` keep?


# %% tags=["exercise"]
def share(tokens, part, machines, block):
    """Whole numbers. Tokens are dealt out in blocks of `block`, to machine 0, 1, ..., and again
    from 0. Returns how many of the first `tokens` are machine `part`'s, a whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.share.check(share)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Each full round gives every machine a block. Of the rest, it gets what the machines before it leave, at most a block:
#
# ```python
# def share(tokens, part, machines, block):
#     rounds, rest = divmod(tokens, machines * block)
#     return rounds * block + min(max(rest - part * block, 0), block)
# ```
#
# </details>

# %% [markdown]
# ## 4. A cache on two machines is two caches
#
# **Claim.** Split by heads, each machine has an ordinary cache, of a model with fewer heads. Nothing is sent until the heads are put together, and that is a sum.
#
# **Predict.** The output of a layer's attention is `heads @ W`, all heads side by side times one matrix. Machine 0 has the left half of the heads. Which part of W does it need, and what must be sent?

# %%
halves = [slice(0, K // 2), slice(K // 2, K)]
half = GPTConfig(vocab_size=1, context=64, n_layer=1, n_head=1, n_embd=D)
caches = [make_cache("dynamic", half, dtype=torch.float64) for _ in halves]
one = make_cache("dynamic", config, dtype=torch.float64)
at = torch.arange(22)[None]
q = torch.randn(1, 22, K, D, dtype=torch.float64)
W = torch.randn(K * D, K * D, dtype=torch.float64)


def heads_of(cache, heads):
    cache.admit(at)
    k, v, positions = cache.update(text_k[:, :22, heads], text_v[:, :22, heads], 0)
    return attend(q[:, :, heads], k, v, sees(at, positions)).flatten(2)


whole = heads_of(one, slice(0, K)) @ W
rows = W.chunk(2)  # those that the left half of the heads meets, and the others
sums = [
    heads_of(cache, heads) @ W for cache, heads, W in zip(caches, halves, rows, strict=True)
]
print("off by", "< 1e-12" if (sum(sums) - whole).abs().max() < 1e-12 else "too much")
print("bytes of each:", [cache.nbytes for cache in caches], "of one:", one.nbytes)
assert torch.allclose(sum(sums), whole, atol=1e-12)
assert sum(cache.nbytes for cache in caches) == one.nbytes

# %% [markdown]
# **Answer.** The upper half of W's rows. Each machine then has a sum over its own heads, as wide as the model, and the attention's output is the sum of both: one **collective** operation, for which all machines wait. The MLP is split in the same way, so
# a layer has two collectives. The caches know nothing of it: here each holds 2816 bytes of the 5632.

# %% [markdown]
# ## 5. Two processes
#
# Now with real processes. `torchrun`, which comes with PyTorch, starts as many as it is told, and gives each its number; `torch.distributed` carries what they send each other. The function `work` below runs in two **processes**, which share no memory; our
# helper of the same name writes it to a file, starts it under `torchrun`, and brings back what each process returned.

# %%
sizes = model.config
print(f"{sizes.n_layer} layers, {sizes.n_embd} wide, {sizes.n_head} heads of {sizes.head_size}")
print(f"a head's row and a log-sum-exp: {sizes.head_size + 1} numbers")

# %% [markdown]
# **Claim.** The split model generates the same text as the whole one, with unchanged caches, and sends what the closed form says.
#
# **Predict.** For one token, each layer sums two rows as wide as the model if it is split by heads; if by positions, it sends what each head read and its log-sum-exp, once. Which sends more?


# %%
def work(processes):
    from minigpt import GPT, make_cache
    from minigpt.cache import DynamicCache
    from minigpt.cache.sharded import ShardedCache
    from minigpt.measure.counted.sent import Sending
    from minigpt.parallel import by_heads, by_positions

    model = GPT.from_pretrained("recall", dtype=torch.float64)
    ids = torch.arange(100)[None]
    cut, joint = by_heads(model, processes), by_positions(model, processes)
    shard = {"part": processes.part, "parts": processes.count, "dtype": torch.float64}
    caches = {
        "by heads": (cut, make_cache("dynamic", cut.config, dtype=torch.float64)),
        "by positions": (joint, ShardedCache(DynamicCache, model.config, **shard)),
    }
    found = {}
    for way, (served, cache) in caches.items():
        text = served.generate(ids, max_new_tokens=20, cache=cache)
        filled = getattr(cache, "kept", cache).length
        with torch.no_grad(), Sending() as sending:
            served(text[:, -1:], cache=cache)
        found[way] = {
            "text": text[0].tolist(),
            "tokens": filled,
            "heads": cache.kv[0][0].shape[2],
            "sent": [sending.collectives, sending.given],
        }
    return found


both = torchrun(work, 2)
alone = model.generate(torch.arange(100)[None], max_new_tokens=20)[0].tolist()
for way, form in {"by heads": forms.by_heads, "by positions": forms.by_positions}.items():
    sent = form(model.config, 2, itemsize=8)  # of one token, in float64
    for number, found in enumerate(both):
        mine = found[way]
        keeps = f"keeps {mine['heads']} of 2 heads of {mine['tokens']} tokens"
        print(f"{way:12} process {number} {keeps}, hands over {mine['sent'][1]} bytes")
        assert mine["text"] == alone
        assert mine["sent"] == [sent.collectives, sent.given]
    print(f"{'':12} collectives for a token: {sent.collectives}")
print("all texts are that of one process")

# %% [markdown]
# **Answer.** Splitting by heads: two rows of 128 numbers per layer against 2 x 65. Over 3 layers that is 6144 bytes in 6 collectives, against 3120 in 3. In both ways each process generates the whole text: all of them know the sums, so all
# pick the same token.
#
# On one machine, two processes share what one would have alone: its cores and its memory. Is it faster?


# %% tags=["timed"]
def seconds_a_token(processes):
    import time

    from minigpt import GPT
    from minigpt.parallel import by_heads

    model = GPT.from_pretrained("recall")
    found = {}
    for name, served in {"alone": model, "by heads": by_heads(model, processes)}.items():
        begin = time.perf_counter()
        served.generate(torch.arange(100)[None], max_new_tokens=50)
        found[name] = (time.perf_counter() - begin) / 50
    return found


begin = time.perf_counter()
found = torchrun(seconds_a_token, 2)[0]
for name, seconds in found.items():
    print(f"{name:9} {1000 * seconds:6.1f} ms a token")
print(f"to start and end the processes as well: {time.perf_counter() - begin:.0f} s")
assert found["by heads"] > found["alone"]

# %% [markdown]
# No, it is slower: the model is tiny, and each collective, with all that it involves, costs more than the work that it saves. What two processes on one machine show is that the result is right, not that it is fast.

# %% [markdown]
# ## 6. Prefill here, decode there
#
# Prefill is much work at once, and decoding is little work again and again; many services do the two on different machines. Then the cache has to be sent.
#
# **Claim.** A cache that was saved, or sent to another process, continues there with the same text, but only with the model that filled it.
#
# **Predict.** The prompt was read with a dynamic cache. Can a static cache take over? Can another model?


# %%
def hand_over(processes):
    from minigpt import GPT, make_cache
    from minigpt.parallel.handover import receive_cache, send_cache

    model = GPT.from_pretrained("recall", dtype=torch.float64)
    ids = torch.arange(100)[None]
    if processes.part == 0:  # prefill here
        cache = make_cache("dynamic", model.config, dtype=torch.float64)
        with torch.no_grad():
            model(ids[:, :-1], cache=cache)
        send_cache(cache, model, to=1)
        return f"has read {cache.length} tokens, and sent their keys and values"
    cache = receive_cache(model, source=0, name="static", max_cache_len=120)  # decode there
    return model.generate(ids, max_new_tokens=20, cache=cache)[0].tolist()


said, text = torchrun(hand_over, 2)
print("process 0", said)
print("process 1 continues as one alone would:", text == alone)
assert text == alone

# %%
cache = make_cache("dynamic", model.config, dtype=torch.float64)
with torch.no_grad():
    model(torch.arange(99)[None], cache=cache)
other = GPT(model.config).double().eval()  # random weights
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "prompt.safetensors"
    save_cache(cache, model, path)
    again = load_cache(path, model)
    with refused(CacheError):
        load_cache(path, other)
text = model.generate(torch.arange(100)[None], max_new_tokens=20, cache=again)[0].tolist()
assert text == alone

# %% [markdown]
# **Answer.** A static cache can: what is sent is the text, and the keys and values of its tokens, and any exact cache can hold these. Another model can't, even one of the same shape: its keys are different, and nothing would crash. So the file holds a
# hash of the weights.

# %% [markdown]
# ## 7. What it costs, and when it pays
#
# A decode step is bound by reading: weights, keys and values. Machines that share the reading save time, and pay for it with what they send. The price has two parts: bytes divided by **bandwidth**, and for each collective
# the **latency**, the time that it takes, however little it carries.
#
# **Claim.** What is sent for a token does not grow with the context, and what is saved does. So from some context on it pays.
#
# **Predict.** Llama 3.1 8B is split by positions over two machines that are linked by 100 Gb Ethernet. Which costs more: the bytes, or the latency?

# %%
found = traffic()
show(
    sent_and_saved(found),
    "Left, on log axes: the bytes that are not read grow with the context, those sent do not. Right: for five "
    "links, from which context on a step is no slower than on one machine.",
)

# %%
link = forms.LINKS[2]
sent = forms.by_positions(LLAMA, 2, itemsize=2)
print("Llama 3.1 8B in 16 bits, by positions on two machines")
print(f"{link.name}: {sent.collectives} collectives for a token, {sent.on_the_wire:,.0f} bytes")
print(f"  waiting {1e6 * sent.collectives * link.latency:.0f} µs", end=", ")
print(f"sending {1e6 * sent.on_the_wire / link.bytes_per_second:.0f} µs")
saved = kv_nbytes(LLAMA, 2) / 2 / MEMORY
print(f"  saved by each token of context: {1e9 * saved:.1f} ns")
print(f"  it pays from {found.pays[link.name]['by positions']:,} tokens on")
price = sent.collectives * link.latency + sent.on_the_wire / link.bytes_per_second
assert (found.pays[link.name]["by positions"] - 1) * saved < price
assert found.pays[link.name]["by positions"] * saved >= price
assert sent.collectives * link.latency > 10 * sent.on_the_wire / link.bytes_per_second

# %% [markdown]
# **Answer.** The latency: 960 µs against 21. So few collectives matter more than few bytes. By heads there are twice as many, but the weights are split too: over the three fast links it pays at any context. By positions all
# machines read all weights, and it pays for long texts only. Where one machine can't hold the cache at all, there is nothing to compare: then it must be split.
#
# These are closed forms, with the links' nominal bandwidths and round latencies: they say where to look, not what you will measure.

# %% [markdown]
# ### Exercise 3: from which context on?
#
# Find the formula for the last printed line. One text is decoded by positions on several machines, each with 1 / `machines` of its keys and values. All read all weights, as one alone would: these cancel. What is the smallest context at which a step takes no longer than on one machine?


# %% tags=["exercise"]
def pays(token, machines, memory, collectives, latency, sent, link):
    """token: bytes of a token's keys and values. memory, link: bytes a second. collectives: how many
    for a step, each taking `latency` seconds. sent: bytes that leave a machine for a step. Returns
    the smallest number of tokens, a whole number."""
    raise NotImplementedError


# %% tags=["check"]
exercises.pays.check(pays)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# For each token of context a machine need not read what the other machines keep; the price is the same at any context:
#
# ```python
# import math
#
# def pays(token, machines, memory, collectives, latency, sent, link):
#     price = collectives * latency + sent / link
#     saved = token * (1 - 1 / machines) / memory
#     return math.ceil(price / saved)
# ```
#
# </details>

# %% [markdown]
# ## 8. Break it: a process that ends
#
# **Claim.** When a process is lost, the others end with an error that says so. None waits forever, and none continues with half a sum.
#
# **Predict.** Process 1 ends in the middle of its work, without notice. What does process 0 do: wait, continue alone with its own heads, or stop?


# %%
def ends_early(processes):
    import os

    from minigpt import GPT
    from minigpt.parallel import by_heads

    model = by_heads(GPT.from_pretrained("recall"), processes)

    class Streamer:
        tokens = 0

        def put(self, ids):
            self.tokens += 1
            if processes.part == 1 and self.tokens == 5:
                os._exit(0)  # at once

        def end(self):
            pass

    return model.generate(
        torch.arange(100)[None], max_new_tokens=200, streamer=Streamer()
    ).tolist()


left, ended = torchrun(ends_early, 2)
print(textwrap.fill("process 0: " + left.partition(" (")[0], WIDTH))
print("process 1:", ended)
assert left.startswith("LostProcessError: another process has ended")
assert ended is None

# %% [markdown]
# **Answer.** It stops, in the collective for which it waits. Continuing alone would give wrong numbers: half of a sum. Before they begin, processes also compare what they were started with: if weights, arguments or versions differ, all refuse.

# %% [markdown]
# ## What to take away
#
# - By heads: two ordinary caches. By positions: parts, joined exactly by their log-sum-exp.
# - What is sent for a token does not grow with the context; what is saved does.
# - For small messages the latency decides, not the bandwidth.
# - Two processes on one machine are slower, but show that the result is right.
# - `torchrun --nproc-per-node 2 -m minigpt compare --parallel heads` runs the usual comparison this way; `minigpt/parallel` is all there is to it.
