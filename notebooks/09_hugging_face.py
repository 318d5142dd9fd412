# %% [markdown]
# # 09 Hugging Face
#
# A snippet for transformers, and the same snippet with one import changed. At the end you know which of our caches is which of
# theirs, that both write the same text, and where transformers says nothing though it should.

# %% [markdown]
# **中文提要**　同一段 transformers 代码，只改一行导入，就能在本项目上运行。用 float64 比较：不用缓存、动态缓存、静态缓存，两个库生成的词元完全相同。
# 两边的缓存按名称一一对应。多轮对话中重复使用缓存时，本项目会拒绝与缓存内容不符的文本，也会拒绝不比缓存长的提示；transformers 则可能不报错而给出错误的词元。
# 最后看 transformers 中哪些选项会报错，哪些会被悄悄忽略。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | prompt | 提示 | the text that generation goes on from |
# | token | 词元 | a piece of text, as a number |
# | left padding | 左填充 | filling short texts of a batch at the left |
# | dynamic cache | 动态缓存 | one that grows with the text |
# | static cache | 静态缓存 | one whose size is fixed from the start |
# | greedy decoding | 贪心解码 | taking the token with the highest score |
# | turn | 轮次 | what is said in one go; the next turn goes on from the whole text |
# | prefix | 前缀 | the first part of a text |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import inspect

import torch
import transformers

from minigpt import GPT, make_cache
from minigpt.cache import CACHES, CacheError
from minigpt.exercises import e09_hugging_face as exercises
from minigpt.pretrained import model_folder
from minigpt.show.notebook import refused

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other
transformers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()

FOLDER = str(model_folder("recall"))  # bundled, in the format of transformers' GPT-2

# %% [markdown]
# ## 1. One import
#
# Here is the article's snippet, with a folder for the name of the model. **Left padding** fills the short texts of a batch at the left.
#
# **Claim.** With one import changed it runs on minigpt, with each cache.
#
# **Predict.** Which of the caches will write another text than `use_cache=False`, in bfloat16, where rounding is coarse?

# %%
SNIPPET = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.bfloat16).to("cpu")
inputs = tokenizer("A list of colors: red, blue", return_tensors="pt").to(model.device)
out = model.generate(**inputs, do_sample=False, max_new_tokens=20, **HOW)
text = tokenizer.batch_decode(out, skip_special_tokens=True)[0]
"""
THEIRS = "from transformers import AutoModelForCausalLM, AutoTokenizer"
OURS = "from transformers import AutoTokenizer\nfrom minigpt import GPT as AutoModelForCausalLM"
HOW = {
    "none": {"use_cache": False},
    "dynamic": {"cache_implementation": "dynamic"},
    "static": {"cache_implementation": "static"},
}


def run(snippet, how):
    names = {"FOLDER": FOLDER, "HOW": how}
    exec(snippet, names)  # noqa: S102
    return names["out"], names["text"]


MINE = SNIPPET.replace(THEIRS, OURS)
assert MINE != SNIPPET

# %% tags=["timed"]
for name, how in HOW.items():
    print(f"transformers {name:8}", repr(run(SNIPPET, how | {"pad_token_id": 0})[1]))

# %% tags=["timed"]
others = {
    name: {"cache_implementation": name}
    for name in CACHES
    if name not in ("none", "sliding_window")
}
others["sliding_window"] = {
    "cache_implementation": "sliding_window",
    "cache_config": {"window": 512},
}
for name, how in {"none": HOW["none"], **others}.items():
    out, text = run(MINE, how)
    print(f"minigpt {name:16}", repr(text))
    assert out.shape == (1, 13 + 20)
    assert text.startswith("A list of colors: red, blue")

# %% [markdown]
# The model is tiny and was never taught colours: look at the agreement, not at the sense.

# %% [markdown]
# ## 2. The same tokens
#
# **Claim.** In float64, where rounding decides nothing, both libraries choose the same tokens.
#
# **Predict.** Three ways (no cache, dynamic, static), two libraries. How many different texts?

# %%
exact = {}
for name, how in HOW.items():
    exact["transformers", name], _ = run(
        SNIPPET.replace("bfloat16", "float64"), how | {"pad_token_id": 0}
    )
    exact["minigpt", name], _ = run(MINE.replace("bfloat16", "float64"), how)
first = exact["transformers", "none"]
for who, out in exact.items():
    print(f"{who[0]:12} {who[1]:8} the same:", torch.equal(out, first))
assert all(torch.equal(out, first) for out in exact.values())

# %% [markdown]
# ## 3. Which is which
#
# | minigpt | transformers | what differs |
# |---|---|---|
# | `NoCache` | `use_cache=False` | nothing |
# | `ConcatCache` | `DynamicCache` | the order of axes: theirs (B, H, S, D), ours (B, S, H, D); both `cat` at each step |
# | `DynamicCache` | none | ours doubles its room instead |
# | `StaticCache` | `StaticCache` | the order of axes again; both return all slots |
# | `SlidingWindowCache` | `DynamicCache` or `StaticCache`, when the config has a window | ours is asked for by name |
# | `QuantizedCache` | `QuantizedCache` | ours needs no backend |
# | `OffloadedCache`, `OffloadedStaticCache` | `offloading=True` | theirs needs CUDA |
#
# **Claim.** All of ours give the tokens of `use_cache=False` in float64, but for the quantised one, which promises only to be close.
#
# **Predict.** Does a window of 512 change anything for this text?

# %%
for name, how in others.items():
    if name != "quantized":
        out, _ = run(MINE.replace("bfloat16", "float64"), how)
        print(f"{name:16} the same:", torch.equal(out, first))
        assert torch.equal(out, first)

# %% [markdown]
# The window is longer than the text: nothing is forgotten.

# %% [markdown]
# ## 4. The next turn
#
# A **turn** is what is said in one go. The next one is asked with the whole text so far; the cache must hold a proper **prefix** of it, its first part.
#
# **Claim.** Ours goes on from a cache, and refuses one that holds another text, or all of the prompt.
#
# **Predict.** Why must a prompt be longer than what the cache holds?

# %%
ours = GPT.from_pretrained("recall", dtype=torch.float64)
prompt = first[:, :13]
cache = make_cache("dynamic", ours.config, dtype=ours.dtype)
said = ours.generate(prompt, max_new_tokens=8, cache=cache)
asked = torch.cat([said, prompt[:, :5]], dim=1)  # the next turn
again = ours.generate(asked, max_new_tokens=8, cache=cache)
assert torch.equal(again, ours.generate(asked, max_new_tokens=8, use_cache=False))

another = asked.clone()
another[0, 2] += 1
with refused(CacheError):
    ours.generate(torch.cat([another, again], dim=1), cache=cache)
with refused(CacheError):
    ours.generate(prompt, cache=cache)

# %% [markdown]
# The logits of the next token come from reading the last one. If nothing is left to read, there are no logits.

# %% [markdown]
# ### Exercise 1: how many to take back
#
# The cache holds the tokens `held`, the next prompt is `text`. How many must `crop` take back so that the rest serves?


# %% tags=["exercise"]
def take_back(held, text):
    """Two lists of tokens -> how many of `held` to take back: as few as will do."""
    raise NotImplementedError


# %% tags=["check"]
exercises.take_back.check(take_back)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def take_back(held, text):
#     same = 0
#     while same < min(len(held), len(text) - 1) and held[same] == text[same]:
#         same += 1
#     return len(held) - same
# ```
#
# </details>

# %% [markdown]
# ## 5. Wrong, and no error
#
# **Claim.** Given a cache of another text, or of all the prompt, ours refuses. What transformers does depends on its version, so look at the output.
#
# **Predict.** The cache holds one text, the prompt is another. Which tokens of the prompt does transformers read?

# %% tags=["timed"]
theirs = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float64)
named = inspect.signature(theirs.forward).parameters
CACHE = "cache" if "cache" in named else "past_key_values"  # renamed in 5.24


def their_turn(ids, **how):
    mask = torch.ones_like(ids)
    return theirs.generate(
        ids, attention_mask=mask, max_new_tokens=8, do_sample=False, pad_token_id=0, **how
    )


def attempt(what, right, *arguments, **how):
    """Says whether transformers raised an error, or gave the tokens that are right."""
    try:
        out = their_turn(*arguments, **how)
    except Exception as error:
        print(f"{what}: {type(error).__name__}")
    else:
        print(f"{what}: no error, the right tokens: {torch.equal(out, right)}")


generator = torch.Generator().manual_seed(1)
held = torch.randint(1024, (1, 20), generator=generator)  # what the cache will hold
other = torch.randint(1024, (1, 30), generator=generator)
turns = {
    "the next turn": torch.cat([held, prompt], dim=1),
    "another text": other,
    "the same text": held,
    "5 tokens less": held[:, :-5],
    "15 tokens less": held[:, :-15],
}
for what, ids in turns.items():
    cache = transformers.DynamicCache()
    with torch.no_grad():
        theirs(held, **{CACHE: cache})
    attempt(f"{what:14}", their_turn(ids, use_cache=False), ids, **{CACHE: cache})

# %% [markdown]
# Only the next turn is sure. transformers counts how many tokens are new, and takes that many from the end of the prompt; no token is compared. When the count is 0 or
# below, Python's slice means something else:

# %%
text = list(range(20))
taken = {new: text[-new:] for new in (5, 0, -5, -20)}
for new, tokens in taken.items():
    print(f"{new:3} new tokens: takes {len(tokens):2} of 20")
assert [len(tokens) for tokens in taken.values()] == [5, 20, 15, 0]

# %% [markdown]
# With 0 new tokens the whole prompt is read again, behind itself. Ours, with the same texts:

# %%
for what in ("another text", "the same text", "5 tokens less", "15 tokens less"):
    cache = make_cache("dynamic", ours.config, dtype=ours.dtype)
    with torch.no_grad():
        ours(held, cache=cache)
    with refused(CacheError):
        ours.generate(turns[what], cache=cache)
    assert torch.equal(cache.ids, held)  # untouched

# %% [markdown]
# ### Exercise 2: find the bug
#
# A cache that grows by `cat` was cropped to `old` slots, but its buffer still has all of them. This append has a bug that shows only after a crop. Mend it.


# %%
def broken_append(buffer, old, new):
    """The slots after `new` was put behind the first `old` slots of `buffer`."""
    return torch.cat([buffer, new])[-(old + len(new)) :]


uncropped = broken_append(torch.tensor([1, 2, 3]), 3, torch.tensor([4]))
assert uncropped.tolist() == [1, 2, 3, 4]


# %% tags=["exercise"]
def mended_append(buffer, old, new):
    """The slots after `new` was put behind the first `old` slots of `buffer`."""
    raise NotImplementedError


# %% tags=["check"]
exercises.mended.check(mended_append)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# It is the mutant *trimmed tokens come back with the next append* of the test suite.
#
# ```python
# def mended_append(buffer, old, new):
#     return torch.cat([buffer[:old], new])
# ```
#
# </details>

# %% [markdown]
# ## 6. Options that die, options that are ignored
#
# **Claim.** Ours refuses an option that a cache does not have, and offloads on a machine without CUDA too.
#
# **Predict.** GPT-2 has no window. What does transformers give you for `cache_implementation="sliding_window"`? And for a `cache_config` with a misspelt name?

# %% tags=["timed"]
right = their_turn(prompt, use_cache=False)
for name in ("offloaded", "sliding_window"):
    attempt(name, right, prompt, cache_implementation=name)
attempt(
    "a misspelt option",
    right,
    prompt,
    cache_implementation="static",
    cache_config={"no_such_option": 4},
)
out = their_turn(prompt, cache_implementation="sliding_window", return_dict_in_generate=True)
got = out[CACHE]
print("sliding_window gives a", type(got).__name__, "of", got.layers[0].keys.shape[2], "slots")

# %%
with refused(ValueError):
    ours.generate(prompt, cache_implementation="static", cache_config={"no_such_option": 4})
offloaded = ours.generate(prompt, max_new_tokens=8, cache_implementation="offloaded")
assert torch.equal(offloaded, ours.generate(prompt, max_new_tokens=8, use_cache=False))

# %% [markdown]
# In the version that this was written with, `offloaded` dies without CUDA. `sliding_window` is a full static cache, so its tokens are those without a window, and the misspelt option is
# dropped in silence: only the quantised cache reads `cache_config`.

# %% [markdown]
# ## What to take away
#
# - One import, the same snippet, the same tokens in float64.
# - A cache is an answer to one text. Compare the text before you use it again.
# - An option that is ignored is worse than one that is refused.
