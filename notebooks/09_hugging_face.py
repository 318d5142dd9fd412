# %% [markdown]
# # 09 Hugging Face
#
# A snippet for transformers, and the same snippet with one import changed. At the end you know which of our caches corresponds to which of
# theirs, where the same name means something else, and where transformers stays silent though it should raise an error.

# %% [markdown]
# **中文提要**　同一段 transformers 代码，只改一行导入，就能在本项目上运行。用 float64 比较：不用缓存、动态缓存、静态缓存，两个库生成的词元完全相同。
# 两边的缓存大致对应，但同名未必同义（见下表）：例如量化缓存，transformers 在预填充之后立即量化整段提示词，本项目则让最近的词元保持全精度。
# 多轮对话中重复使用缓存时，本项目会拒绝与缓存内容不符的文本，也会拒绝不比缓存长的提示词；transformers 则可能不报错，甚至写出另一位用户的内容。
# 最后看 transformers 中哪些选项会报错，哪些会被悄悄忽略。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | prompt | 提示词 | the text that generation continues |
# | token | 词元 | a piece of text, as a number |
# | left padding | 左填充 | filling up the short texts of a batch on the left |
# | dynamic cache | 动态缓存 | one that grows with the text |
# | static cache | 静态缓存 | one whose size is fixed from the start |
# | greedy decoding | 贪心解码 | taking the token with the highest score |
# | residual | 全精度缓冲区（未量化的最近词元） | the newest tokens, which a quantized cache keeps exact |
# | turn | 轮次 | what is said in one go; the next turn continues the whole text |
# | prefix | 前缀 | the first part of a text |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import inspect
import json

import torch
import transformers
from transformers.cache_utils import QuantizedLayer

from minigpt import GPT, GPTConfig, make_cache
from minigpt.cache import CACHES, CacheError
from minigpt.exercises import e09_hugging_face as exercises
from minigpt.measure.recorded import DATA
from minigpt.pretrained import model_folder
from minigpt.show.notebook import refused

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other
transformers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()

FOLDER = str(model_folder("recall"))  # bundled, in the format of transformers' GPT-2
tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)

# %% [markdown]
# ## 1. One import
#
# This course grew out of a Chinese article that goes through the KV caches of transformers. Here is its snippet, with a folder in place of the model's name.
# (**Left padding** fills up the short texts of a batch on the left.)
#
# **Claim.** With one import changed it runs on minigpt, with each cache.
#
# **Predict.** Which of the caches will write a different text from `use_cache=False`, in bfloat16, where rounding is coarse?

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
print("transformers:")
for name, how in HOW.items():
    print(f"{name:16}", repr(run(SNIPPET, how | {"pad_token_id": 0})[1]))

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
print("minigpt:")
for name, how in {"none": HOW["none"], **others}.items():
    out, text = run(MINE, how)
    print(f"{name:16}", repr(text))
    assert out.shape == (1, 13 + 20)
    assert text.startswith("A list of colors: red, blue")

# %% [markdown]
# **Answer.** In the run shown, none. In bfloat16 that is luck: a cache sums in another order, and a near tie could flip. And the quantized cache has had nothing to round yet: section 4.
# (The model is tiny and was never taught colours: look at the agreement, not at the sense.)

# %% [markdown]
# ## 2. The same tokens
#
# **Claim.** In float64 rounding decides nothing. Where texts still differ, the libraries compute different things.
#
# **Predict.** Three ways (no cache, dynamic, static) in two libraries: how many different texts?

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
# **Answer.** One text, whatever the library and the cache.

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
# | `QuantizedCache` | `QuantizedCache` | when a token is rounded (section 4); theirs needs a backend |
# | `QuantizedStaticCache` | none | ours has all its room from the start |
# | `OffloadedCache`, `OffloadedStaticCache` | `offloading=True` | theirs needs CUDA |
#
# A **backend** is a library that turns numbers into few bits and back. The best known in transformers are **quanto** (the package optimum-quanto; the smallest and the largest number of a group set its scale) and **hqq**
# (half-quadratic quantization, which then moves the zero-point to make the error smaller). Ours has both methods built in: see notebook 06.
#
# **Claim.** In float64 an exact cache gives the tokens of `use_cache=False`. Three of ours don't promise it: the two quantized ones, which round, and the window, which forgets.
#
# **Predict.** With a window of 512, does this text get the same tokens, or others?

# %%
for name, how in others.items():
    if name != "quantized":
        out, _ = run(MINE.replace("bfloat16", "float64"), how)
        print(f"{name:16} the same:", torch.equal(out, first))
        assert torch.equal(out, first)

# %% [markdown]
# **Answer.** The same: the window is longer than the text, so nothing is forgotten. (And so short a text gives `quantized_static` nothing to round yet.)

# %% [markdown]
# ## 4. Quantized: one name, two moments
#
# A quantized cache rounds old tokens and keeps the newest exact: these are its **residual**, 128 tokens by default in both libraries. The snippet's text has 33.
#
# **Claim.** Ours rounds a token when it leaves the residual. transformers rounds at other moments, so the same options need not give the same text.
#
# **Predict.** With 2 bits and the default residual, does ours write what the exact cache writes? Does transformers? And do the two agree with a residual of 0?

# %% tags=["timed"]
inputs = tokenizer("A list of colors: red, blue", return_tensors="pt")
single = GPT.from_pretrained(FOLDER, dtype=torch.float32)
how = {"max_new_tokens": 20, "do_sample": False}


def written(**options):
    out = single.generate(**inputs, **how, **options)
    return tokenizer.decode(out[0, 13:])


recorded = json.loads((DATA / "axes.json").read_text(encoding="utf-8"))
exact_text = written(use_cache=False)
print(f"{'exact':28}{exact_text!r}")
for residual in (128, 0):
    config = {"nbits": 2, "residual_length": residual}
    quantized = {"cache_implementation": "quantized", "cache_config": config}
    ours_text, their_text = written(**quantized), recorded["texts"][str(residual)]
    print(f"residual {residual:3}, minigpt       {ours_text!r}")
    print(f"residual {residual:3}, transformers  {their_text!r}")
    assert (ours_text == exact_text) == (residual == 128)
    assert their_text != exact_text

# %% [markdown]
# (What transformers wrote was recorded, with its own cache and optimum-quanto: this course doesn't install that backend, which compiles code when it is first used.)
#
# To see the moments, here is transformers' own `QuantizedLayer` with a backend that just drops the digits after the decimal point, beside our cache. Both get the same
# numbers, a prompt of 20 and then one token at a time, with a residual of 8. Each line shows which of the keys that attention is given are rounded (`#`), and which are what was fed (`.`):


# %% tags=["timed"]
class DropDigits(QuantizedLayer):
    rounded = ()  # tokens, each time

    def _quantize(self, tensor, axis):
        self.rounded += (tensor.shape[2],)
        return tensor.trunc()

    def _dequantize(self, kept):
        return kept


one_layer = GPTConfig(vocab_size=2, context=40, n_layer=1, n_head=1, n_embd=64)
their_layer = DropDigits(residual_length=8)
our_cache = make_cache("quantized", one_layer, residual_length=8)
keys = torch.randn(1, 40, 1, 64, generator=torch.Generator().manual_seed(0))
print("tokens, and how their keys are read")
for end in (20, *range(21, 34)):
    new = keys[:, our_cache.length : end]
    theirs_given, _ = their_layer.update(new.transpose(1, 2), new.transpose(1, 2))
    our_cache.admit(None, torch.zeros(new.shape[:2], dtype=torch.int64))
    ours_given, *_ = our_cache.update(new, new, 0)
    marks = [
        "".join(".#"[bool(differs)] for differs in (given != keys[:, :end]).any(-1).flatten())
        for given in (theirs_given.transpose(1, 2), ours_given)
    ]
    print(f"{end:2}: transformers {marks[0]:33} minigpt {marks[1]}")
    assert marks[1].count("#") == (end - 1 - 8 if end > 20 else 0)
print("keys that transformers rounds at a time:", their_layer.rounded[::2])  # then values

# %% [markdown]
# **Answer.** With the default residual ours writes the exact text, since nothing has left it; that proves nothing about rounding. transformers has rounded the prompt (`#`) and writes something else. With a
# residual of 0 both round every old token, and here both wrote the same text, which is not the exact one.
#
# The lines show why. In the prefill both attend to exact numbers. Then transformers reads the whole prompt rounded, whatever the residual, and empties its residual all at once every 8 tokens;
# ours lets one token leave at a time. And when transformers empties it, it rounds all old tokens again, those of the prompt too; ours rounds each token once.

# %% [markdown]
# ### Exercise 1: how many are rounded?
#
# Write the left column as a formula: after a prompt of `prompt` tokens, how many of the tokens that transformers reads in decode step `step` (the first is 1) are rounded?


# %% tags=["exercise"]
def rounded(prompt, step, residual):
    """All are whole numbers, 1 or more. Returns a whole number of tokens."""
    raise NotImplementedError


# %% tags=["check"]
exercises.rounded.check(rounded)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The residual is emptied at the end of steps `residual`, twice `residual`, and so on. Step `step` reads what the `step - 1` steps before it have left.
#
# ```python
# def rounded(prompt, step, residual):
#     return prompt + (step - 1) // residual * residual
# ```
#
# </details>

# %% [markdown]
# ## 5. The next turn
#
# A **turn** is what is said in one go. The prompt of the next turn is the whole text so far; the cache must hold a proper **prefix** of it, its first part.
#
# **Claim.** Ours continues from a cache, and refuses one that holds another text, or all of the prompt.
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
# **Answer.** The logits of the next token come from reading the last one. If nothing is left to read, there are no logits.

# %% [markdown]
# ### Exercise 2: how many to take back
#
# The cache holds the tokens `held`, and the next prompt is `text`. How many tokens must `crop` take back so that the rest can be used?


# %% tags=["exercise"]
def take_back(held, text):
    """Two lists of tokens -> how many of `held` to take back: as few as possible."""
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
# ## 6. Another user's words
#
# Two users share a model. Ann has told it that Romeo gets a ruby; Ben tells it something else. Someone forgets that a cache belongs to one text, and Ben's turn is given
# Ann's cache.
#
# **Claim.** Ours refuses a cache of another text, or of all the prompt. What transformers does depends on its version, so look at the output.
#
# **Predict.** Ben says that Romeo gets a lantern, and asks what Romeo gets. What does transformers write for him, if the cache is Ann's: his lantern, her ruby, or an error?

# %% tags=["timed"]
theirs = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float64)
named = inspect.signature(theirs.forward).parameters
CACHE = "cache" if "cache" in named else "past_key_values"  # renamed in 5.24


def ids_of(text):
    return tokenizer(text, return_tensors="pt").input_ids


def their_turn(ids, **how):
    """The tokens that transformers writes."""
    out = theirs.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=8,
        do_sample=False,
        pad_token_id=0,
        **how,
    )
    return out[0, ids.shape[1] :]


def attempt(what, ids, **how):
    """Says what transformers writes, beside what it writes without a cache."""
    try:
        out = repr(tokenizer.decode(their_turn(ids, **how)))
    except Exception as error:
        out = type(error).__name__
    print(
        f"{what:20} writes {out:26} right: {tokenizer.decode(their_turn(ids, use_cache=False))!r}"
    )


ann = ids_of("[Give Romeo ruby.]\nO, she doth teach the torches to burn bright!\n[Give Romeo")
ben = ids_of(
    "[Give Romeo lantern.]\nNow is the winter of our discontent made glorious summer by this sun of York;\n[Give Romeo"
)
turns = {
    "Ann's next turn": torch.cat([ann, ids_of(" ruby.]\n[Give Romeo")], dim=1),
    "Ben's turn": ben,
    "Ann's text again": ann,
    "5 tokens less": ann[:, :-5],
    "20 tokens less": ann[:, :-20],
}
for what, ids in turns.items():
    cache = transformers.DynamicCache()
    with torch.no_grad():
        theirs(ann, **{CACHE: cache})  # the cache holds Ann's text
    attempt(what, ids, **{CACHE: cache})

# %% [markdown]
# In the run shown Ben reads Ann's word, and nothing says so. The other wrong turns give wrong words, an error, or by luck the right words. transformers counts how many tokens are new, and takes that many from the
# end of the prompt; no token is compared. When the count is 0 or below, Python's slice means something else:

# %%
text = list(range(20))
taken = {new: text[-new:] for new in (5, 0, -5, -20)}
for new, tokens in taken.items():
    print(f"{new:3} new tokens: takes {len(tokens):2} of 20")
assert [len(tokens) for tokens in taken.values()] == [5, 20, 15, 0]

# %% [markdown]
# With 0 new tokens the whole prompt is read a second time, after itself. Here is ours, with the same texts:

# %%
right = ours.generate(ben, max_new_tokens=1, use_cache=False)[0, -1:]
print("Ben's word, with no cache or his own:", repr(tokenizer.decode(right)))
assert tokenizer.decode(right) == " lantern"
for what, ids in turns.items():
    cache = make_cache("dynamic", ours.config, dtype=ours.dtype)
    with torch.no_grad():
        ours(ann, cache=cache)
    if what != "Ann's next turn":
        print(f"{what}:", end=" ")
        with refused(CacheError):
            ours.generate(ids, cache=cache)
        assert torch.equal(cache.ids, ann)  # untouched

# %% [markdown]
# **Answer.** In the version that made this page, her ruby. Ours writes nothing: the cache compares its tokens with the prompt, and refuses.

# %% [markdown]
# ### Exercise 3: find the bug
#
# A cache that grows by `cat` was cropped to `old` slots, but its buffer still has all of them. This append has a bug that shows only after a crop. Fix it.


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
# ## 7. Options that die, options that are ignored
#
# **Claim.** Ours refuses an option that a cache does not have, and offloads even on a machine without CUDA.
#
# **Predict.** GPT-2 has no window. What does transformers give you for `cache_implementation="sliding_window"`? And for a `cache_config` with a misspelt name?

# %% tags=["timed"]
for name in ("offloaded", "sliding_window"):
    attempt(name, prompt, cache_implementation=name)
misspelt = {"cache_implementation": "static", "cache_config": {"no_such_option": 4}}
attempt("a misspelt option", prompt, **misspelt)
out = theirs.generate(
    prompt,
    attention_mask=torch.ones_like(prompt),
    max_new_tokens=8,
    pad_token_id=0,
    cache_implementation="sliding_window",
    return_dict_in_generate=True,
)
got = out[CACHE]
print("sliding_window gives a", type(got).__name__, "of", got.layers[0].keys.shape[2], "slots")

# %%
with refused(ValueError):
    ours.generate(prompt, cache_implementation="static", cache_config={"no_such_option": 4})
offloaded = ours.generate(prompt, max_new_tokens=8, cache_implementation="offloaded")
assert torch.equal(offloaded, ours.generate(prompt, max_new_tokens=8, use_cache=False))

# %% [markdown]
# **Answer.** In the version that made this page: a full static cache, so its tokens are those without a window; and no word about the misspelt option, since only the quantized cache
# reads `cache_config`. `offloaded` fails without CUDA. Ours refuses the option by its name, and offloads into files.

# %% [markdown]
# ## What to take away
#
# - One import, the same snippet, the same tokens in float64.
# - The same name doesn't mean the same cache: ask when it rounds, what it returns, what it forgets.
# - A cache belongs to one text. Compare the text before you use it again, or someone reads another user's words.
# - An option that is ignored is worse than one that is refused.
