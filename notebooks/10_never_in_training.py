# %% [markdown]
# # 10 Never in training
#
# "Use a KV cache in inference only", says the article: in training it "can cause unexpected errors". Here we cause them, safely, on a small
# model. At the end you know which four things go wrong, which of them raise no error at all, and why training has no use for a cache anyway.

# %% [markdown]
# **中文提要**　键值缓存只用于推理。本节在小模型上演示训练时使用缓存会出什么问题：损失值看起来完全正确，但梯度传不到缓存里的旧键和旧值；
# 参数更新一次之后，缓存里的键值就过期了；同一批数据再喂一遍，模型会直接抄答案；梯度检查点会把同一段重复计算，从而重复写入缓存。
# 这些问题大多不会报错，所以本项目在入口处直接拒绝。训练时整段文本一次算完，每一行本来就只算一次，缓存没有什么可省的。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | training | 训练 | changing the weights so that the loss falls |
# | inference | 推理 | using the model as it is |
# | loss | 损失 | how badly the next tokens were foreseen |
# | gradient | 梯度 | how the loss changes with each weight |
# | optimiser step | 优化器更新 | one change of all weights |
# | detached | 与计算图断开 | a number that remembers nothing of how it was made |
# | stale | 过期 | right for the old weights, wrong for the new ones |
# | teacher forcing | 教师强制 | feeding the true text, not what the model generates |
# | gradient checkpointing | 梯度检查点 | computing a block a second time, to save memory |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from minigpt import GPT, CacheError, make_cache
from minigpt.cache import ConcatCache, NoCache
from minigpt.exercises import e10_training as exercises
from minigpt.measure.counted.meter import Meter
from minigpt.measure.forms.flops import cached_flops, prefill_flops
from minigpt.recall.corpus import held_out
from minigpt.show.notebook import code, refused

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
prose = torch.from_numpy(held_out().ids[:61].astype("int64"))[None]  # of a play it never saw
ids, targets = prose[:, :-1], prose[:, 1:]


def loss_of(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


# %% [markdown]
# ## 1. The door is shut
#
# In **training** the weights are changed so that the **loss** falls, which is how badly the next tokens were foreseen. **Inference** uses the
# model as it is.
#
# **Claim.** A model in training mode is refused before anything is computed. So is one in eval mode with gradients on.
#
# **Predict.** Which call do you forget more easily, `model.eval()` or `torch.no_grad()`?

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
# Both words are needed: `eval` turns dropout off in models that have it, and `no_grad` says that nobody will ask for a **gradient**, which is
# how the loss changes with each weight. Now we take the door off its hinges to see what it keeps out.

# %% [markdown]
# ## 2. The loss is right, the gradient is not
#
# A cache keeps numbers between calls, so what it keeps is **detached**: numbers that remember nothing of how they were made.
#
# **Claim.** Read in two halves through such a cache, the second half has exactly the loss of the uncached model, and another gradient.
#
# **Predict.** Through which numbers does the loss of the second half depend on the first half? What became of that path?


# %%
class Unguarded(ConcatCache):
    """Serves everyone. What it returns is of this pass, what it keeps is detached."""

    def serve(self, model, batch_size):
        pass

    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        self.kv[layer] = keys.detach(), values.detach()
        return keys, values, positions


def gradient(loss):
    """Of the weights that make queries, keys and values in layer 0."""
    (found,) = torch.autograd.grad(loss, model.h[0].attn.c_attn.weight)
    return found


half = ids.shape[1] // 2
cache = Unguarded(model.config, dtype=model.dtype)
model(ids[:, :half], cache=cache)
with_cache = loss_of(model(ids[:, half:], cache=cache), targets[:, half:])
without = loss_of(model(ids)[:, half:], targets[:, half:])
right, wrong = gradient(without), gradient(with_cache)
error = ((wrong - right).norm() / right.norm()).item()
print(f"the losses agree: {abs(with_cache - without).item() < 1e-10}")
print(f"the gradients differ by {error:.0%} of the right one")
assert abs(with_cache - without) < 1e-10
assert error > 0.05

# %% [markdown]
# Nothing looks wrong: the loss is right to the last digit, and the training goes on, a little in the wrong direction. No gradient reaches the
# weights through the old keys and values. This is the dangerous kind of bug.

# %% [markdown]
# ### Exercise 1: how much is lost
#
# A text is read in pieces through such a cache. Of all pairs of a query and a key that it sees, gradients flow to the key only in those
# where both are in the same piece. How many are they?


# %% tags=["exercise"]
def pairs_with_gradient(count, size):
    """Of a text of `count` tokens, read in pieces of `size` tokens (the last may be shorter)."""
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
# ## 3. After one step all that is kept is stale
#
# An **optimiser step** changes all weights a little. The cache keeps what the old weights made of the text: it is **stale**.
#
# **Claim.** After one step the cached logits differ from the uncached ones of the new weights.
#
# **Predict.** Would it help to change only the weights of the last layer? Which cached rows would still be right?

# %%
learner = GPT.from_pretrained("recall", dtype=torch.float64)
cache = make_cache("dynamic", learner.config, dtype=learner.dtype)
with torch.no_grad():
    learner(ids[:, :half], cache=cache)
optimiser = torch.optim.SGD(learner.parameters(), lr=0.01)
loss_of(learner(ids), targets).backward()
optimiser.step()
with torch.no_grad():
    stale, fresh = learner(ids[:, half:], cache=cache), learner(ids)[:, half:]
difference = (stale - fresh).abs().max().item()
print(f"after one step the logits differ by up to {difference:.2f}")
assert difference > 0.01

# %% [markdown]
# Again no error. The cache knows which model filled it, and this is the same model; that its weights have changed it can't know. So a cache never outlives a step.

# %% [markdown]
# ## 4. The same batch again: the answers are in the cache
#
# **Claim.** A cache that is kept from one batch to the next lets the model copy: the loss of a text falls when the same text was read before.
#
# **Predict.** At which position does the second reading begin?

# %%
cache = Unguarded(model.config, dtype=model.dtype)
with torch.no_grad():
    losses = [loss_of(model(ids, cache=cache), targets).item() for _ in range(2)]
first, second = (cache.positions[0, start].item() for start in (0, ids.shape[1]))
print(f"first reading, from position {first}: loss {losses[0]:.2f}")
print(f"second reading, from position {second}: loss {losses[1]:.2f}")
assert losses[1] < losses[0] - 0.5

# %% [markdown]
# That is not learning. The weights are the same; the model looks up in the cache what came next the first time, and copies some of it.

# %% [markdown]
# ### Exercise 2: find the bug
#
# Somebody noticed that the second reading begins at a later position, and "mended" it:
#
# ```python
# def positions_of(held, new):
#     return torch.arange(new)
# ```
#
# Now every call begins at the first position, and a text read in two calls is wrong: all its later tokens stand in the wrong place. Texts read
# in one call don't show it. Write it right: the positions of `new` tokens where `held` are in the cache.


# %% tags=["exercise"]
def positions_of(held, new):
    """(new,) positions."""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(positions_of)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def positions_of(held, new):
#     return torch.arange(held, held + new)
# ```
#
# This is the mutant *positions restart at 0 with each call*. Between batches the right cure is another one: a fresh cache, or `reset()`.
#
# </details>

# %% [markdown]
# ## 5. Training has nothing to save
#
# In training the whole true text is fed at once (**teacher forcing**): the next token needs not be generated, it is known.
#
# **Claim.** One causal pass over a text computes each key and value once. With a cache, token by token, exactly the same work would be done.
#
# **Predict.** How often is the row of the first token computed in one pass? And in which case is it computed again and again?

# %%
meter = Meter(NoCache(), model.config)
with torch.no_grad():
    model(ids, cache=meter)
computed = meter.times[:, : ids.shape[1]]
print("each row was computed", computed.unique().tolist(), "time in a pass over the whole text")
assert (computed == 1).all()

tokens, how = ids.shape[1], {"attention": "causal", "logits": "all"}
at_once = prefill_flops(model.config, tokens, **how)
one_by_one = cached_flops(model.config, 1, tokens, **how)
print(f"at once {at_once.total:,} FLOPs, one by one with a cache {one_by_one.total:,}")
assert at_once == one_by_one

# %% [markdown]
# The cache repairs what *generating* breaks: there the text comes a token at a time, and without a cache each step begins from the first token again.

# %% [markdown]
# ## 6. Computed twice, written twice
#
# **Gradient checkpointing** forgets what a block computed, and computes it again when the gradient is asked for. It saves memory in training.
#
# **Claim.** A block that is checkpointed calls `cache.update` twice in one step.
#
# **Predict.** What would a cache that appends do at the second call?


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

# %% [markdown]
# One that appends would hold every token twice. Ours refuses such a call, since it comes out of turn:

# %%
cache = Unguarded(model.config, dtype=model.dtype)
cache.admit(positions)
out = checkpoint(block, x, positions, cache, use_reentrant=False)
with refused(CacheError):
    out.sum().backward()
assert cache.kv[0][0].shape[1] == ids.shape[1]

# %% [markdown]
# ## 7. The right way
#
# You want to see what the model writes while it is trained. That is inference, so make it so: eval mode, no gradients, and a fresh cache that
# does not outlive the call. `generate` makes the cache, uses it, and drops it, and turns gradients off by itself.
#
# **Claim.** Generating in the middle of a training step changes nothing in the training.
#
# **Predict.** Which of the two, `train` and `eval`, must be restored by you?

# %%
model.train()
without = gradient(loss_of(model(ids), targets))
loss = loss_of(model(ids), targets)
model.eval()
text = model.generate(ids[:, :10], max_new_tokens=5)
model.train()
between = gradient(loss)
print("the gradients are equal:", torch.equal(without, between), "  text:", tuple(text.shape))
assert torch.equal(without, between)
model.eval()
code(NoCache.update)

# %% [markdown]
# (At the end stands the cache of training: it returns what it is given, and the positions of the pass.)

# %% [markdown]
# ### Exercise 3: look, and leave no trace
#
# Write the function that generates in the middle of a training, and leaves the model in the mode in which it was.


# %% tags=["exercise"]
def sample(model, ids, new_tokens):
    """(1, T + new) tokens, and model.training afterwards."""
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
#     return text, model.training
# ```
#
# </details>

# %% [markdown]
# ## What to take away
#
# - Loss right, gradient wrong; weights new, keys old; batch known, answers copied: none of these raises an error by itself. So the cache refuses at the door.
# - Training feeds the whole text at once. Each row is computed once, and a cache could save nothing.
# - Generate in eval mode, without gradients, with a fresh cache; then go back.
