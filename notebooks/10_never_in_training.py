# %% [markdown]
# # 10 Never in training
#
# "Use a KV cache in inference only", says the article that this course grew out of: in training it "can cause unexpected errors". Here we cause
# them, safely, on a small model. At the end you know what happens to the gradient in three kinds of cache, what else goes wrong, how to
# generate in the middle of training, and why training has no use for a cache anyway.

# %% [markdown]
# **中文提要**　键值缓存只用于推理。本节在小模型上做实验：训练时若使用缓存，梯度会怎样？拼接式缓存若保留计算图，梯度与不用缓存时完全一致，但整张计算图一直占着内存；
# 与计算图断开的缓存损失值照样正确，梯度却被截断，而且不报错（Transformer-XL 有意这样做，称为截断反向传播）；就地写入的缓存则在反向传播时报错。
# 参数更新一次之后，缓存里的键值就过期了；同一批数据再喂一遍，模型会直接抄答案；梯度检查点会把同一段重复计算，从而重复写入缓存。
# 训练途中需要生成文本时（例如强化学习的采样），应切换到推理模式、关闭梯度、使用新的缓存，再用一次不带缓存的前向计算求损失。训练时整段文本一次算完，每一行本来就只算一次，缓存没有什么可省的。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | training | 训练 | changing the weights so that the loss falls |
# | inference | 推理 | using the model as it is |
# | loss | 损失 | how badly the next tokens were predicted |
# | gradient | 梯度 | how the loss changes with each weight |
# | optimiser step | 优化器更新 | one change of all weights |
# | autograd graph | 自动求导计算图 | the record of how a number was computed, from which gradients are found |
# | detached | 与计算图断开 | without a record of how the number was computed |
# | truncated backpropagation | 截断反向传播 | finding the gradient through the newest piece of a text only |
# | stale | 过期 | right for the old weights, wrong for the new ones |
# | teacher forcing | 教师强制 | feeding the true text, not what the model generates |
# | gradient checkpointing | 梯度检查点 | computing a block a second time, to save memory |
# | rollout | 采样轨迹 | a text that the model generates, to learn from it |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import inspect
import math
import weakref

import torch
import torch.nn.functional as F
import transformers
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from minigpt import GPT, CacheError, load_tokenizer, make_cache
from minigpt.cache import ConcatCache, NoCache, StaticCache
from minigpt.exercises import e10_training as exercises
from minigpt.measure.counted.flops import counting, flops_of
from minigpt.measure.counted.meter import Meter
from minigpt.measure.forms.flops import cached_flops, prefill_flops
from minigpt.pretrained import model_folder
from minigpt.recall.corpus import held_out
from minigpt.show.notebook import refused

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other
transformers.logging.disable_progress_bar()

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
tokenizer = load_tokenizer("recall")
prose = torch.from_numpy(held_out().ids[:61].astype("int64"))[None]  # of a play it never saw
ids, targets = prose[:, :-1], prose[:, 1:]


def loss_of(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


# %% [markdown]
# ## 1. The door is shut
#
# In **training** the weights are changed so that the **loss** falls, which says how badly the next tokens were predicted. **Inference** uses the
# model as it is. Training needs the **gradient**, which says how the loss changes with each weight; PyTorch keeps what it needs for that unless told not to.
#
# **Claim.** A model in training mode is refused before anything is computed.
#
# **Predict.** You load a model and call `model.eval()`. Does the next call with a cache work?

# %%
cache = make_cache("dynamic", model.config, dtype=model.dtype)
model.train()
with refused(CacheError):
    model(ids, cache=cache)
model.eval()
with refused(CacheError):
    model(ids, cache=cache)  # gradients are on
assert cache.length == 0
with torch.no_grad():
    model(ids, cache=cache)
assert cache.length == ids.shape[1]

# %% [markdown]
# **Answer.** No: a model in eval mode is refused, too, while gradients are on. Both are needed. `eval` turns dropout off in models that have it; `no_grad` says that nobody will ask for a gradient.
#
# Now we take the door off its hinges, to see what it keeps out.

# %% [markdown]
# ## 2. Three ways to keep a row, and what becomes of the gradient
#
# PyTorch finds gradients from its **autograd graph**, the record of how each number was computed. A cache can keep its rows in three ways:
#
# - It *appends*: `torch.cat` makes new tensors, and their record goes back to the first token.
# - It appends what is **detached**: the numbers, without a record of how they were computed.
# - It *writes in place*, into slots that are there from the start.
#
# **Claim.** If a text is read in two halves, the loss of the second half is that of the uncached model with all three, to rounding. The gradient is exact with one, wrong with one, and can't be computed with one.
#
# **Predict.** Which is which?


# %%
class Appending(ConcatCache):
    def serve(self, model, batch_size):
        pass  # refuses nobody


class Detached(Appending):
    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        # Only what is kept is detached: what is returned has its record.
        self.kv[layer] = keys.detach(), values.detach()
        return keys, values, positions


class InPlace(StaticCache):
    serve = Appending.serve


# %%
def gradient(loss):
    """Of all weights, as one long vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*model.parameters()])])


half = ids.shape[1] // 2
uncached = loss_of(model(ids)[:, half:], targets[:, half:])
right = gradient(uncached)
for kind in (Appending, Detached, InPlace):
    cache = kind(model.config, dtype=model.dtype)
    model(ids[:, :half], cache=cache)
    loss = loss_of(model(ids[:, half:], cache=cache), targets[:, half:])
    print(f"\n{kind.__name__}: the loss is right: {abs(loss - uncached).item() < 1e-10}")
    assert abs(loss - uncached) < 1e-10
    try:
        found = gradient(loss)
    except RuntimeError as refusal:
        print("RuntimeError:", str(refusal).split(":")[0], sep="\n")
        assert kind is InPlace
        continue
    error = ((found - right).norm() / right.norm()).item()
    length = (found.norm() / right.norm()).item()
    angle = math.degrees(math.acos(min(1, F.cosine_similarity(found, right, dim=0).item())))
    print(f"the gradient is exact: {error < 1e-12}")
    print(f"its length: {length:.0%} of the right one; turned by {angle:.0f} degrees")
    print(f"the error is {error:.0%} as long as the right gradient")
    assert (error < 1e-12, error > 0.3) == (kind is Appending, kind is Detached)

# %% [markdown]
# **Answer.** Appending gives the exact gradient, so caching as such does no harm to it. Writing in place fails loudly: the second half changed a tensor that the gradient
# of the first still needed. The dangerous one is detached. Nothing looks wrong, the loss least of all; but no gradient reaches the
# weights through the old keys and values. The error is 46% as long as the right gradient, and what is left points 27 degrees away from it.

# %% [markdown]
# ### On purpose, and by default
#
# Cutting the gradient like this is called **truncated backpropagation**. Transformer-XL (Dai et al., arXiv 1901.02860, section 3.2) does so on purpose: it trains on
# texts longer than memory allows, one piece at a time, and reads the previous piece from a detached cache. Its authors know what they lose. The `DynamicCache` of
# transformers appends, refuses nobody, and keeps the record:

# %%
twin = transformers.AutoModelForCausalLM.from_pretrained(
    str(model_folder("recall")), dtype=torch.float64, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0
).train()
named = inspect.signature(twin.forward).parameters
CACHE = "cache" if "cache" in named else "past_key_values"  # renamed in 5.24
theirs = transformers.DynamicCache()
twin(ids[:, :half], **{CACHE: theirs})
losses = [
    loss_of(twin(ids[:, half:], **{CACHE: theirs}).logits, targets[:, half:]),
    loss_of(twin(ids).logits[:, half:], targets[:, half:]),
]
weight = twin.transformer.h[0].attn.c_attn.weight
cached, exact = (torch.autograd.grad(loss, weight)[0] for loss in losses)
print(
    "transformers, in training mode: exact:", torch.allclose(cached, exact, rtol=0, atol=1e-12)
)
assert torch.allclose(cached, exact, rtol=0, atol=1e-12)

# %% [markdown]
# Ours could do the same: `ConcatCache` did, as soon as its door was open. Then why is it shut? The next section says.

# %% [markdown]
# ### Exercise 1: how much is lost
#
# A text is read in pieces through a detached cache. Each token sees itself and all tokens before it: each such query and key are a pair. A gradient flows
# to the key only if both are in the same piece. Return the number of these pairs.


# %% tags=["exercise"]
def pairs_with_gradient(count, size):
    """For a text of `count` tokens, read in pieces of `size` tokens (the last may be
    shorter)."""
    raise NotImplementedError


# %% tags=["check"]
exercises.pairs_with_gradient.check(pairs_with_gradient)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def pairs_with_gradient(count, size):
#     pairs = 0
#     for start in range(0, count, size):
#         n = min(size, count - start)
#         pairs += n * (n + 1) // 2
#     return pairs
# ```
#
# </details>

# %% [markdown]
# ## 3. The exact gradient holds on to everything
#
# **Claim.** As long as an appending cache lives, so does the whole graph of all that it has read. A detached cache holds none of it.
#
# **Predict.** Four pieces are read through the appending cache. After each we throw its logits away and keep only the cache. How large is the graph that is still in memory, in multiples of the bytes of the keys and values?


# %%
class Saved:
    """A tensor that autograd has saved to find gradients with."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()
        alive.add(self)


def graph_bytes():
    """Of all that is saved, without the weights; what shares memory counts once."""
    storages = [each.tensor.untyped_storage() for each in alive]
    found = {each.data_ptr(): each.nbytes() for each in storages}
    return sum(
        found[at] for at in found.keys() - {w.untyped_storage().data_ptr() for w in weights}
    )


weights = [*model.parameters()]
for kind in (Appending, Detached):
    alive, held = weakref.WeakSet(), []
    cache = kind(model.config, dtype=model.dtype)
    with saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        for piece in ids.split(15, dim=1):
            model(piece, cache=cache)  # its logits are gone at once
            held.append(round(graph_bytes() / cache.nbytes))
    print(f"{kind.__name__:9} graph, in multiples of the keys' and values' bytes:", held)
    assert (held == [0] * 4) if kind is Detached else (min(held) > 4)

# %% [markdown]
# **Answer.** In the end 7 times: the appending cache keeps the graph of every piece that it has read. The detached one keeps none of it. The uncached pass needs a graph too, but only until its step is done. So a cache that
# keeps the record saves no memory, and one that drops it gives the wrong gradient. That is why the door is shut.

# %% [markdown]
# ### Exercise 2: train the last layer only
#
# To save work, somebody trains only some of the weights, and reads the text in two halves through a detached cache. The loss is that of the second half. Some
# weights get their exact gradient even so. Which? You are given the names of all weights of a model, as `named_parameters()` lists them: the embeddings `wte` (which is the output head, too)
# and `wpe`; in each layer `ln_1`, `attn.c_attn` (makes queries, keys and values), `attn.c_proj`, `ln_2`, `mlp.c_fc`, `mlp.c_proj`; and `ln_f`.
# Return the list of the names of these weights, in the order given.


# %% tags=["exercise"]
def exact_names(names):
    """["wte.weight", "wpe.weight", "h.0.ln_1.weight", ...] -> those whose gradient is exact."""
    raise NotImplementedError


# %% tags=["check"]
exercises.exact_names.check(exact_names)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A kept row carries no gradient. So a weight gets its exact gradient if no kept row was made with it: if it acts after the last layer's keys and values are made.
# Training "the last layer only" is not safe, since `ln_1` and `c_attn` of that layer make rows, too.
#
# ```python
# def exact_names(names):
#     last = max(int(name.split(".")[1]) for name in names if name.startswith("h."))
#     behind = f"h.{last}.attn.c_proj", f"h.{last}.ln_2", f"h.{last}.mlp", "ln_f"
#     return [name for name in names if name.startswith(behind)]
# ```
#
# </details>

# %% [markdown]
# ## 4. After one step all that is kept is stale
#
# An **optimiser step** changes all weights a little. The cache keeps what the old weights made of the text: it is **stale**.
#
# **Claim.** After one step the cached logits differ from the uncached ones of the new weights.
#
# **Predict.** Only the weights of the last layer are changed. In which layers are the cached rows still right?

# %%
for trained in ("all layers", "the last layer"):
    learner = GPT.from_pretrained("recall", dtype=torch.float64)
    old, new = (make_cache("dynamic", learner.config, dtype=learner.dtype) for _ in range(2))
    with torch.no_grad():
        learner(ids[:, :half], cache=old)
    part = learner if trained == "all layers" else learner.h[-1]
    optimiser = torch.optim.SGD(part.parameters(), lr=0.01)
    loss_of(learner(ids), targets).backward()
    optimiser.step()
    with torch.no_grad():
        learner(ids[:, :half], cache=new)  # the rows as the new weights make them
        apart = (learner(ids[:, half:], cache=old) - learner(ids)[:, half:]).abs().max().item()
    pairs = enumerate(zip(old.kv, new.kv, strict=True))
    wrong = [at for at, (k, k2) in pairs if not torch.equal(k[0][:, :half], k2[0][:, :half])]
    print(f"{trained} changed: the keys of layers {wrong} are stale, logits off by {apart:.2f}")
    assert wrong == ([0, 1, 2] if trained == "all layers" else [2])
    assert apart > 0.01

# %% [markdown]
# **Answer.** In the layers below it: their rows don't depend on the last layer. The last layer's own rows are stale, since its
# weights make them. Again there is no error. The cache knows which model filled it, and this is the same model; it can't know that the weights have changed. So a cache must never outlive a step.

# %% [markdown]
# ## 5. The same batch again: the answers are in the cache
#
# **Claim.** A cache that is kept from one batch to the next lets the model copy: the loss of a text falls when the same text was read before.
#
# **Predict.** At which position does the second reading begin?

# %%
cache = Appending(model.config, dtype=model.dtype)
with torch.no_grad():
    losses = [loss_of(model(ids, cache=cache), targets).item() for _ in range(2)]
first, second = (cache.positions[0, start].item() for start in (0, ids.shape[1]))
print(f"first reading, from position {first}: loss {losses[0]:.2f}")
print(f"second reading, from position {second}: loss {losses[1]:.2f}")
assert losses[1] < losses[0] - 0.5

# %% [markdown]
# **Answer.** At 60, after the first reading, which it can look up. The loss falls, and that is not learning: the weights are the same. The model finds in the cache what came next the first
# time, and copies some of it. Between batches, make a new cache or call `reset()`.

# %% [markdown]
# ## 6. Training has nothing to save
#
# In training the whole true text is fed at once (**teacher forcing**): the next token need not be generated, it is known.
#
# **Claim.** One causal pass over a text computes each key and value once, just as a cache does that is fed one token at a time.
#
# **Predict.** 60 tokens at once, or one at a time through a cache: which takes more FLOPs in attention, and how many times as many?

# %%
meter = Meter(NoCache(), model.config)
with torch.no_grad(), counting() as counter:
    model(ids, cache=meter)
run_at_once = flops_of(counter)
(times,) = meter.times[:, : ids.shape[1]].unique().tolist()
print("how often each row was computed in a pass over the whole text:", times)
assert times == 1

cache = make_cache("dynamic", model.config, dtype=model.dtype)
with torch.no_grad(), counting() as counter:
    for token in ids.split(1, dim=1):
        model(token, cache=cache)
run_singly = flops_of(counter)

how = {"attention": "causal", "logits": "all"}
at_once = prefill_flops(model.config, ids.shape[1], **how)
singly = cached_flops(model.config, 1, ids.shape[1], **how)
for counted, (once, single) in {
    "pairs that see each other": (at_once, singly),
    "as run": (run_at_once, run_singly),
}.items():
    print(
        f"MFLOP, {counted}: at once {once.total / 1e6:.1f}, token by token {single.total / 1e6:.1f}"
    )
    print(f"    of these attention: {once.attention / 1e6:.2f}, {single.attention / 1e6:.2f}")
assert at_once == singly == run_singly
assert run_at_once.attention > 1.9 * run_singly.attention

# %% [markdown]
# **Answer.** All at once, about twice as many: 5.53 MFLOP against 2.81. The kernel does not leave out the pairs that the mask hides; if only those that see each other are counted, the work is the same. The wasted work is a small part of
# the whole, and buys one pass of wide products in place of 60 narrow ones that each read all the weights. A cache has no row to save here. It helps only in *generating*: there the text comes one token at a time, and without a cache each step
# begins from the first token again.

# %% [markdown]
# ## 7. Computed twice, written twice
#
# **Gradient checkpointing** discards what a block computed, and computes it again when the gradient is needed. It saves memory in training.
#
# **Claim.** A block that is checkpointed calls `cache.update` twice in one step.
#
# **Predict.** What would an appending cache do at the second call?


# %%
class Counted(NoCache):
    """Keeps nothing, and counts the updates."""

    calls = 0

    def update(self, k, v, layer):
        self.calls += 1
        return super().update(k, v, layer)


cache, block = Counted(), model.h[0]
positions = torch.arange(ids.shape[1])[None]
cache.admit(positions)
x = model.embed(ids, positions).detach().requires_grad_()
out = checkpoint(block, x, positions, cache, use_reentrant=False)
forward = cache.calls
out.sum().backward()
print("updates in the forward pass:", forward, "  after the backward pass:", cache.calls)
assert (forward, cache.calls) == (1, 2)

cache = Appending(model.config, dtype=model.dtype)
cache.admit(positions)
out = checkpoint(block, x, positions, cache, use_reentrant=False)
with refused(CacheError):
    out.sum().backward()
assert cache.kv[0][0].shape[1] == ids.shape[1]

theirs, rows = transformers.DynamicCache(), torch.ones(1, 2, 10, 64)
for _ in range(2):
    theirs.update(rows, rows, 0)  # the same 10 tokens
print("transformers' cache, given 10 tokens twice, holds", theirs.get_seq_length())
assert theirs.get_seq_length() == 20

# %% [markdown]
# **Answer.** It would hold every token twice, as that of transformers does. Ours refuses the second call, since it comes out of turn.

# %% [markdown]
# ## 8. A look in the middle of training
#
# You want to see what the model writes while it is trained. That is inference, so it needs eval mode, no gradients, and a fresh cache that
# does not outlive the call. `generate` makes the cache, uses it, and drops it.
#
# **Claim.** Generating in the middle of a training step changes nothing in the training.
#
# **Predict.** Which of the two must you restore yourself: gradients, or the mode?

# %%
model.train()
without = gradient(loss_of(model(ids), targets))
loss = loss_of(model(ids), targets)
model.eval()
text = model.generate(ids[:, :10], max_new_tokens=5)
model.train()
between = gradient(loss)
model.eval()
print("the gradients are equal:", torch.equal(without, between))
print("the model wrote:", repr(tokenizer.decode(text[0, 10:].tolist())))
assert torch.equal(without, between)

# %% [markdown]
# **Answer.** The mode. `generate` turns gradients off by itself, and for itself only; `eval()` stays until someone calls `train()`. (Ours has no dropout; in a model that has, a forgotten `train()` would
# show only as worse training.)

# %% [markdown]
# ### Exercise 3: look, and leave no trace
#
# Write a function that generates (greedily, as `generate` does by default), in eval mode, in the middle of training, and leaves the model, its gradients and torch as they were. Return the tokens that
# `generate` returns, including the prompt, and nothing else. (The check looks at the model itself.)


# %% tags=["exercise"]
def sample(model, ids, new_tokens):
    """(1, T) tokens -> (1, T + new) tokens."""
    raise NotImplementedError


# %% tags=["check"]
exercises.sample.check(sample)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def sample(model, ids, new_tokens):
#     before = model.training
#     model.eval()
#     text = model.generate(ids, max_new_tokens=new_tokens)
#     model.train(before)
#     return text
# ```
#
# </details>

# %% [markdown]
# ## 9. Rollouts: learning from what it wrote
#
# In reinforcement learning the model generates texts (**rollouts**), gets a reward for each, and is changed so that what earned more becomes likelier. So a cache is used *during*
# training after all, but not *for* the gradient. Each step has two halves: write with a cache and without gradients; then read what was written in one pass, without a cache and with gradients.
#
# **Claim.** The second half gives the log-probabilities that the first half sampled from, to rounding, and they carry a gradient.
#
# **Predict.** The reward is the number of `!`. What will the model write after a few steps?

# %%
learner = GPT.from_pretrained("recall", dtype=torch.float64)
prompt = torch.tensor([tokenizer.encode("ROMEO.\nO ").ids]).expand(16, -1)
(wanted,) = tokenizer.encode("!").ids
optimiser = torch.optim.Adam(learner.parameters(), lr=3e-4)


def log_probabilities(logits, new):
    return logits.log_softmax(-1).gather(2, new[:, :, None]).squeeze(2)


for step in range(16):
    learner.eval()
    text = learner.generate(prompt, max_new_tokens=16, do_sample=True, top_k=None, seed=step)
    new = text[:, prompt.shape[1] :]
    with torch.no_grad():  # what a cache gives, of the same weights
        cache = make_cache("dynamic", learner.config, batch_size=16, dtype=learner.dtype)
        pieces = [learner(piece, cache=cache) for piece in text[:, :-1].split(1, dim=1)]
    drawn = log_probabilities(torch.cat(pieces, dim=1)[:, -16:], new)

    learner.train()
    read = log_probabilities(learner(text[:, :-1])[:, -16:], new)  # one pass, with gradients
    assert (read - drawn).abs().max() < 1e-10
    assert (drawn.requires_grad, read.requires_grad) == (False, True)
    reward = (new == wanted).double().sum(1)
    optimiser.zero_grad()
    (-(reward - reward.mean()) * read.sum(1)).mean().backward()
    optimiser.step()
    if step % 5 == 0:
        words = tokenizer.decode(text[0].tolist()).replace("\n", " / ")
        print(f"step {step:2}, mean reward {reward.mean():4.1f}: {words}")
assert reward.mean() > 8

# %% [markdown]
# **Answer.** Exclamation marks and nothing else, as the reward asks. Each rollout had a new cache, since the step before it had made the old one stale. In large systems
# the two halves are two programs, often at two precisions, so their log-probabilities differ, and the difference has to be corrected for; here it is rounding alone.

# %% [markdown]
# ## What to take away
#
# - A cache that keeps the graph gives the exact gradient, and holds the whole graph. One that detaches cuts the gradient silently. One that writes in place fails.
# - Old keys under new weights, answers copied from a batch read before: neither raises an error by itself. So the cache refuses at the door.
# - Training feeds the whole text at once. Each row is computed once, and a cache could save no row.
# - Generate in eval mode, without gradients, with a fresh cache; then go back, and read what was written in one pass.
