# %% [markdown]
# # 11 Bugs that shipped
#
# Eight bugs, each of a kind that somebody shipped, most of them in libraries that you may use. You see what a user saw, and the code. Find the bug, and the shortest text that shows it. At the end you know
# why ordinary tests miss such bugs, and what a proof must contain so that none gets through.

# %% [markdown]
# **中文提要**　本篇是“找错误”的练习：八个真实软件中出现过的那一类缓存错误，逐一植入本项目的代码。每一例先给出用户看到的现象，再给出有错的代码，请读者先预测错在哪里、怎样的最短文本能让它显现，
# 然后由程序告诉我们最先出错的是哪一层、哪一行、哪个词元，并给出修改前后的差异。这些错误之所以通过了普通测试，是因为测试的文本太短、只有一条文本、没有填充、
# 各层都一样、从不撤回词元、容差太宽，或者参照本身含有同样的错误。最后统计：哪种情形能发现哪些错误，以及怎样用三行代码检验自己的缓存。

# %% [markdown]
# <details><summary>Glossary, English and Chinese (词汇表)</summary>
#
# | English | 中文 | meaning |
# |---|---|---|
# | chunk | 分块 | a piece of a prompt, fed in one step |
# | left padding | 左填充 | filling up the short texts of a batch on the left |
# | batch | 批次 | several texts computed together |
# | beam search | 束搜索 | writing several texts at once, and continuing the likeliest |
# | ring | 环形缓冲区 | slots that are used again from the start once the end is reached |
# | residual | 全精度缓冲区（未量化的最近词元） | the newest tokens, which are still exact |
# | oracle | 参照（oracle） | an uncached model that computes what the cache should give |
# | story | 操作序列 | what a cache lives through in a test, step by step |
# | seeded bug | 植入的错误 | one that is put into right code on purpose, to see whether the tests notice |
# | tolerance | 容差 | how far off a number may be before a test fails |
#
# </details>

# %%
import sys

sys.path.insert(0, "..")  # minigpt is in the folder above

import textwrap

import torch

from minigpt import GPT, load_tokenizer, make_cache, prove
from minigpt.cache import ConcatCache, DynamicCache
from minigpt.cache.base import Cache
from minigpt.exercises import e11_bugs as exercises
from minigpt.exercises.noticing import counts, five
from minigpt.museum import BUGS
from minigpt.museum.first import first_wrong
from minigpt.museum.reports import REPORTS
from minigpt.museum.shipped import SHIPPED
from minigpt.museum.shown import ByStory, recorded
from minigpt.proof.our_caches import house
from minigpt.proof.prove import prove_house
from minigpt.proof.rules import versions_of_attention_agree
from minigpt.proof.stories import SITUATIONS, steps_of
from minigpt.proof.tell import tell
from minigpt.proof.verdict import BREAKS, WRONG
from minigpt.recall.exam import right_by_distance
from minigpt.show.notebook import changed, code, refused, without_docstring

torch.set_num_threads(1)  # a tiny model: more threads would only wait for each other

model = GPT.from_pretrained("recall", dtype=torch.float64)  # bundled
tokenizer = load_tokenizer("recall")

# %% [markdown]
# ## How the cases are shown
#
# A **seeded bug** is one that is put into right code on purpose. `with bug.planted():` puts it into this package for as long as the block lasts, so each case below can be run twice: without the bug, and with it.


# %%
def twice(bug, run):
    """What a run gives without the bug, and with it."""
    right = run()
    with bug.planted():
        return right, run()


def ids_of(text):
    return torch.tensor([tokenizer.encode(text).ids])


def words(ids):
    return repr(tokenizer.decode(ids.tolist()))


def shortest_text(bug):
    """Tells the shortest text that shows the bug, and where its numbers first go wrong."""
    shown, _ = recorded()[bug.what]
    right, broken = shown.told(bug)
    place = first_wrong(shown, bug)
    print(f"{shown.cache}, {shown.rule}:")
    print(f"    {shown.story}")
    print(f"without the bug: {right.verdict}")
    print(f"with it: {broken.verdict}, a logit is off by {broken.off:.2g}")
    print(f"first wrong: layer {place.layer}, row {place.row}, token {place.token}")
    assert (right.verdict, broken.verdict) == ("exact", "wrong")
    assert place.token == broken.token


def mended(before, after):
    """The lines that change, and what the museum says of the bug."""
    changed(without_docstring(before), without_docstring(after))
    print(f"The bug: {bug.what}.")


def reported(what, of="Reported"):
    print("\n".join(textwrap.wrap(f"{of}: {REPORTS[what].said}", 76)))
    print(REPORTS[what].url)


# %% [markdown]
# The shortest text is written as a **story**, a list of steps in the words of `python -m minigpt prove`:
#
# | step | what happens |
# |---|---|
# | `rows 0 3` | a batch of two rows, with no pads and with three pads on the left |
# | `feed 4` | the next 4 tokens of every row are fed, at once |
# | `crop 5` | the last 5 tokens are taken back |
# | `reorder 2 0 0` | row 0 becomes what row 2 was, and so on: what beam search does |
# | `another`, `swap` | continue with a new cache; with the other of the two again |
# | `try` | before a step: it may be refused, and must then have changed nothing |
#
# After each `feed` the logits are compared with those of an uncached run. Rows, layers and tokens are counted from 0. The stories below are the shortest that a search found.

# %% [markdown]
# ## 1. The prompt came in pieces
#
# **Claim.** A prompt may be fed in pieces, **chunks**: the text that follows is the same. With this bug it isn't:

# %%
bug = SHIPPED[0]
prompt = ids_of("[Give Romeo ruby.]\nROMEO.\nO, speak again, bright angel")


def in_pieces(size):
    ids = model.generate(prompt, max_new_tokens=20, prefill_chunk_size=size)
    return words(ids[0, prompt.shape[1] :])


for size in (None, 4):
    right, broken = twice(bug, lambda size=size: in_pieces(size))
    print("whole:" if size is None else f"{size} tokens at a time:")
    print("  without the bug:", right)
    print("  with it:        ", broken)
    assert (right == broken) == (size is None)

# %% [markdown]
# The code, with the bug in it. `sees` makes the mask: True where the query at `q_pos` may look at the key at `k_pos`.

# %%
code(bug.broken)

# %% [markdown]
# **Predict.** Which line is wrong? How many tokens, in how many pieces, does it take to show it?

# %%
shortest_text(bug)

# %% [markdown]
# And the line, corrected:

# %%
mended(bug.broken, bug.right)
reported(bug.what)

# %% [markdown]
# **Answer.** The line that makes `mask`: it counts each query from the first query *of its chunk*, so the second piece is treated like the first one: its tokens see the start of the text and themselves. Two pieces of 2 tokens show it.
# Ordinary tests feed the prompt whole, then single tokens. A whole prompt does start at 0, and for a single token there is no mask at all.

# %% [markdown]
# ## 2. One text of the two
#
# **Claim.** A text gives the same result alone and in a batch. Here is a batch of a short text and a long one, with **left padding** in front of the short one.

# %%
bug = SHIPPED[1]
texts = [
    tokenizer.encode(each).ids
    for each in ("HAMLET.\nTo be", "JULIET.\nO Romeo, Romeo, wherefore art thou")
]
longest = max(map(len, texts))
padded = torch.tensor([[0] * (longest - len(ids)) + ids for ids in texts])
mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in texts])


def batch():
    ids = model.generate(padded, mask, max_new_tokens=16)
    return [words(row[longest:]) for row in ids]


right, broken = twice(bug, batch)
for row, (one, other) in enumerate(zip(right, broken, strict=True)):
    print(f"text {row}, without the bug:", one)
    print("        with it:        ", other)
assert right[0] != broken[0]
assert right[1] == broken[1]

# %% [markdown]
# A single new token needs no mask if nothing has to be hidden from it. That saves time. The code that decides this, with the bug in it:

# %%
code(bug.broken)

# %% [markdown]
# **Predict.** What does it forget to check? What is the shortest text: how many rows, how many pads?

# %%
shortest_text(bug)
mended(bug.broken, bug.right)
reported(bug.what)

# %% [markdown]
# **Answer.** Whether a row has padding: `text.plain` says that none has. One row is enough, with a pad and then a token; the first pass reads both with a mask, but the next token looks at the pad. Ordinary tests have one text, or several of the same length; or
# they compare the prefill alone, which is right.

# %% [markdown]
# ## 3. What was taken back
#
# **Claim.** After a `crop` the cache is as if the tokens had never come. A chat has a button "no, not that", which takes the last turn back:

# %%
bug = SHIPPED[2]


@torch.no_grad()
def say_again():
    """Juliet is given a cloak; that is taken back, and she is given a sword."""
    cache = make_cache("concat", model.config, dtype=model.dtype)
    model(ids_of("[Give Romeo ruby.]\n"), cache=cache)
    first = ids_of("[Give Juliet cloak.]\n")
    model(first, cache=cache)
    cache.crop(-first.shape[1])
    model(ids_of("[Give Juliet sword.]\n"), cache=cache)
    answer = model(ids_of("[Give Juliet"), cache=cache)[0, -1:].argmax(-1)
    return words(answer), cache.length, words(cache.ids[0])


right, broken = twice(bug, say_again)
for name, (answer, length, held) in (("without the bug", right), ("with it", broken)):
    print(f"{name:15}: [Give Juliet ...", answer)
    print(f"    the cache says that it holds {length} tokens:")
    print(f"    {held}")
assert right[0] != broken[0]
assert right[1:] == broken[1:]

# %% [markdown]
# The cloak is back (*sw* is the first token of *sword*), though the length is right, and the tokens that the cache reports, too. The code, with the bug in it, is what the cache does with a layer's new keys and values `k` and `v`. Its `length` already counts these, and a `crop` lowers it.

# %%
code(bug.kind.store)

# %% [markdown]
# **Predict.** Where are the tokens that were taken back? How many tokens must be fed after a `crop` before anything is wrong?

# %%
shortest_text(bug)
mended(bug.kind.store, ConcatCache.store)
reported("what was taken back is still reported", of="Reported of the same in a ring")

# %% [markdown]
# **Answer.** Still in `kv`: only the counter was moved. The next token is put after them, and the newest `length` rows are taken for the text, so one token is enough. Ordinary tests of `crop` look at the length, which is right. A test must feed more after every operation, and look at the logits. (We know of no report of exactly this bug; the one above is of a ring that did the same.)

# %% [markdown]
# ## 4. The layer that should remember
#
# **Claim.** A layer remembers as far as its own window reaches. Here a model has three layers, with windows of 64, 256 and 64 tokens, and is asked for facts told up to 200 tokens ago (as in notebook 05).

# %%
bug = SHIPPED[3]
hybrid = GPT.from_pretrained("recall").with_window([64, 256, 64])
alike = GPT.from_pretrained("recall").with_window(256)
asked = {"questions": 20, "bins": [(31, 60), (151, 200)], "length": 300}
for name, reader in (("64, 256, 64", hybrid), ("256 in all layers", alike)):
    right, broken = twice(
        bug, lambda reader=reader: right_by_distance(reader, "sliding_window", **asked)
    )
    print(f"windows {name}: right of 20, told 31-60 / 151-200 tokens ago")
    print(f"  without the bug: {right[60]:2} / {right[200]:2}")
    print(f"  with it:         {broken[60]:2} / {broken[200]:2}")
    assert right[200] > 16
    assert (broken[200] < 4) == (reader is hybrid)

# %% [markdown]
# The code, with the bug in it, sets how many slots each layer's **ring** has (slots that are used again from the start once the end is reached).

# %%
code(bug.broken)

# %% [markdown]
# **Predict.** Which line is wrong, and which models can't show it? In the shortest text the windows are 9 and 6 tokens wide: after how many tokens can the first error come?

# %%
shortest_text(bug)
mended(bug.broken, bug.right)
reported(bug.what)

# %% [markdown]
# **Answer.** The line that sets `rings`: each layer gets a ring for the narrowest window. Where all windows are equal that is right, so most tests, which use one window for all layers, or a model of one layer, can't see it. Here layer 0, with the wider window, lacks slots: token 8 looks for what has been overwritten, as soon as enough tokens come at once. A proof needs a model whose layers differ.

# %% [markdown]
# ### Exercise 1: how long must the text be?
#
# Another ring (the same mistake was [reported of transformers](https://github.com/huggingface/transformers/pull/47708)). `super().place` gives the right slots: token t goes to slot `t % ring`. The ring has as many slots as the window is wide, at least 3, and tokens are fed
# one at a time. Return how many tokens must be fed until the logits of the last of them are wrong for the first time.

# %%
code(exercises.late.kind.place)


# %% tags=["exercise"]
def long_enough(window):
    """How many tokens, the first wrong one included."""
    raise NotImplementedError


# %% tags=["check"]
exercises.long_enough.check(long_enough)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Twice round, all is right. The token after that goes to slot 0, where `max` keeps it: right again. The next one should go to slot 1 but goes to slot 0, over the token before it, which it should see.
# This is the mutant *from the second turn on, the ring writes one slot too early*. A text that goes just past the window "to be sure" proves nothing: go round more than twice.
#
# ```python
# def long_enough(window):
#     return 2 * window + 2
# ```
#
# </details>

# %% [markdown]
# ## 5. The beams
#
# **Claim.** Beam search gives the same text with every exact cache, and a cache of 8 bits seldom changes it. **Beams** are several texts that are written at once; at each step the best are continued, and their rows take the places of the others.

# %%
bug = SHIPPED[4]
prompt = ids_of("HAMLET.\nTo be")
eight_bits = {"nbits": 8, "residual_length": 1, "q_group_size": 16}


def beams(count):
    ids = model.generate(
        prompt,
        max_new_tokens=32,
        num_beams=count,
        cache_implementation="quantized",
        cache_config=eight_bits,
    )
    return words(ids[0, prompt.shape[1] :])


for count in (1, 4):
    right, broken = twice(bug, lambda count=count: beams(count))
    print(f"{count} beam{'s' * (count > 1)}")
    print("  without the bug:", right)
    print("  with it:        ", broken)
    assert (right == broken) == (count == 1)

# %% [markdown]
# This cache keeps the newest tokens exact, and the older ones rounded, in blocks: four tensors per layer. The code, with the bug in it, should make row i what row `rows[i]` was.

# %%
code(bug.kind.selected)

# %% [markdown]
# **Predict.** Which of the four is not reordered as the others are? The shortest story has two rows. What must have happened before they are reordered?

# %%
shortest_text(bug)
mended(bug.kind.selected, Cache.selected)
reported(bug.what)

# %% [markdown]
# **Answer.** The blocks of the keys: `rows` is sorted for them. Something must have been rounded before: after 7 tokens, one more makes the oldest of them leave. With `reorder 0 1 0` a third row becomes a copy of row 0, and row 1 is the first that is wrong: sorted, the order is 0 0 1, so row 1 reads the rounded keys of row 0. Ordinary tests reorder a short text, of which nothing is rounded yet, or rows that are all alike, as beams are at the start.

# %% [markdown]
# ## 6. Nothing to see
#
# **Claim.** A cache that rounds keeps its newest tokens exact (the **residual**), as many as it says. With this bug it doesn't; who would see that?

# %%
bug = SHIPPED[5]
text = model.generate(prompt, max_new_tokens=76, use_cache=False)
four_bits = {"nbits": 4, "residual_length": 16, "q_group_size": 16}
with torch.no_grad():
    exact = model(text)


@torch.no_grad()
def rounding():
    cache = make_cache("quantized", model.config, dtype=model.dtype, **four_bits)
    logits = torch.cat([model(token, cache=cache) for token in text.split(1, dim=1)], dim=1)
    off = (logits - exact).abs().max().item()
    return off, (logits.argmax(-1) == exact.argmax(-1)).double().mean().item()


right, broken = twice(bug, rounding)
for name, (off, same) in (("without the bug", right), ("with it", broken)):
    print(
        f"{name:15}: logits off by {off:.2f} at most, {same:.0%} of the next tokens are the same"
    )
assert right[0] != broken[0]
assert abs(right[0] - broken[0]) < 0.1 * right[0]
assert right[1] == broken[1] == 1

# %% [markdown]
# Not a word changes, and the errors are of the same size. The code, with the bug in it, says how many of the `exact` tokens that are held leave to be rounded.

# %%
code(bug.broken)

# %% [markdown]
# **Predict.** What is wrong with it? And how can a test tell an error of the code from an error of rounding?

# %%
shortest_text(bug)
mended(bug.broken, bug.right)
reported(bug.what)

# %% [markdown]
# **Answer.** The `1`: one token too many counts as old. A test whose **tolerance** allows for what rounding costs allows for this, too. So the uncached run that judges must round as well, the same tokens and no others, by code of its own (`minigpt/proof/oracles.py`). Such an **oracle** is equal to the right cache to 1e-10, and the bug is as plain as any other.

# %% [markdown]
# ### Exercise 2: after the error
#
# Here `admit` accepts a chunk, or raises `CacheFull` if there is no room for it. The server catches the error and continues; a user of [llama.cpp](https://github.com/ggml-org/llama.cpp/pull/9525) found that it couldn't.

# %%
code(counts.kind.admit)

# %% [markdown]
# Write a story of at most four steps in which the right cache refuses something, and the broken one then refuses what it should accept. Use these words: `rows 1` is one row, with a pad; `fill -1` feeds tokens up to one slot before the last, `fill 0` up to the last, `fill 1` one too many. Put `try` before a step that may be refused.
# (The pad is needed: without it the model itself would refuse the position, before the cache is asked.)


# %% tags=["exercise"]
def refused_call():
    """A story, such as "rows 1; fill -1; ..."."""
    raise NotImplementedError


# %% tags=["check"]
exercises.refused_call.check(refused_call)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# This is the mutant *overflow moves the counter before it raises*. Both caches raise the same error, so a test that only waits for the error passes. What fits must still fit afterwards:
#
# ```python
# def refused_call():
#     return "rows 1; fill -1; try fill 1; fill 0"
# ```
#
# </details>

# %% [markdown]
# ## 7. Two strangers
#
# **Claim.** What one user tells the model, no other user reads. Two conversations, each with a cache of its own:

# %%
bug = SHIPPED[6]


@torch.no_grad()
def strangers():
    one, other = (make_cache("dynamic", model.config, dtype=model.dtype) for _ in range(2))
    model(ids_of("[Give Romeo ruby.]\n[Give Juliet cloak.]\n"), cache=one)
    model(ids_of("[Give Romeo sword.]\n[Give Juliet cloak.]\n"), cache=other)
    question = ids_of("[Give Romeo")
    return [words(model(question, cache=each)[0, -1:].argmax(-1)) for each in (one, other)]


right, broken = twice(bug, strangers)
print("[Give Romeo ... (told: ruby, sword)")
print("  without the bug:", *right)
print("  with it:        ", *broken)
assert right[0] != right[1] == broken[0] == broken[1]

# %% [markdown]
# The first user is told the second one's secret. To save the time of allocating memory, this class keeps a `pool = {}`. The code that makes an empty cache, with the bug in it:

# %%
code(bug.kind.empty)

# %% [markdown]
# **Predict.** When do two caches get the same tensors? Why does a test with one cache never fail? What if the caches are used one *after* the other?

# %%
shortest_text(bug)
after = "rows 0; feed 1; another; feed 1; feed 1"
print(f"{after}:", ByStory("dynamic", "full", after).told(bug)[1].verdict)
assert ByStory("dynamic", "full", after).told(bug)[1].verdict == "exact"
mended(bug.kind.empty, Cache.empty)
reported(bug.what)

# %% [markdown]
# **Answer.** When they have the same number of rows and the same shape: `pool` belongs to the class, not to the cache. One after the other, each overwrites what the last one left before it is read, so all is well. They must be used *in turns*, as a server does and a test seldom does.

# %% [markdown]
# ### Exercise 3: a kept cache and another prompt
#
# The commonest way to read what was meant for another: a cache is kept, and the next prompt is a different one. `generate` of many libraries feeds only the part of the prompt that is longer than the cache, and doesn't compare the rest. Fix that: make the cache ready for this prompt, with `cache.crop(-n)`, so that feeding
# `prompt[cache.length:]` gives the logits of the whole prompt. Keep as many tokens as possible; at least one must be left to feed. The tokens that the cache holds are `cache.ids[0].tolist()`; `crop(0)` is allowed. Return nothing.


# %% tags=["exercise"]
def made_ready(cache, prompt):
    """cache: a dynamic cache with one row. prompt: a list of token ids, at least one."""
    raise NotImplementedError


# %% tags=["check"]
exercises.made_ready.check(made_ready)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def made_ready(cache, prompt):
#     left = 0
#     for one, other in zip(cache.ids[0].tolist(), prompt[:-1]):
#         if one != other:
#             break
#         left += 1
#     cache.crop(left - cache.length)
# ```
#
# </details>

# %% [markdown]
# ## 8. The judge has it too
#
# **Claim.** It is not enough that a cache gives what the uncached model gives. Here the two are compared before the update of a library and after it. The model has four query heads; each pair of them shares a key head.

# %%
bug = SHIPPED[7]


def cached_and_uncached():
    tested = house("dynamic")
    driver = tested.driver("full", 1)
    ids = torch.arange(9)[None]
    with torch.no_grad():
        return driver.feed(ids, ids), driver.gpt(ids)


(before, _), (cached, uncached) = twice(bug, cached_and_uncached)
print("after the update, cached is uncached:", bool((cached - uncached).abs().max() < 1e-10))
print("but is it what it was before?       ", bool((cached - before).abs().max() < 1e-10))
assert (cached - uncached).abs().max() < 1e-10 < 1 < (cached - before).abs().max()

# %% [markdown]
# The code, with the bug in it. Query head h must read key head h // G, where G is how many query heads share one.

# %%
code(bug.broken)

# %% [markdown]
# **Predict.** Which line is wrong? With how many key heads does it do no harm? And with what could a test compare it, since both runs are wrong?

# %%
shortest_text(bug)
mended(bug.broken, bug.right)
with bug.planted(), refused(AssertionError):
    versions_of_attention_agree("GQA", "full")
reported(bug.what)

# %% [markdown]
# **Answer.** The line with `q.reshape`: query heads 0, 1, 2, 3 read key heads 0, 1, 0, 1 instead of 0, 0, 1, 1. With one key head, or as many as query heads, it makes no difference, and the models of tests often have such numbers. Cached and uncached runs use the same attention, so neither can judge the other. (The story above is judged by the right code.) What both share must be compared
# with its definition, written a second time: here a version with loops and single numbers, the one of notebook 01.

# %% [markdown]
# ## 9. What a proof must contain
#
# An ordinary test feeds a prompt, then single tokens, in one row without padding. `prove` has sixteen situations, with one or more stories each. Here are the eight cases under both. (To save time, each case is tried only under the rule that shows it: with or without a window.)
#
# **Claim.** Seven of the eight are noticed in some situation, the eighth only by the definition of attention. No situation notices all.
#
# **Predict.** How many of the eight does the ordinary test notice? Which situations can't be left out?

# %%
ordinary = "rows 0; feed 9" + "; feed 1" * 5
noticed = {}
for bug in SHIPPED:
    shown, _ = recorded()[bug.what]
    tested = house(shown.cache)
    tested.rules = [shown.rule]  # of who sees whom: the one that shows it
    with bug.planted():
        told = {"an ordinary test": tell(tested, shown.rule, ordinary).verdict}
        proof = prove_house(shown.cache, tested)
    told |= {situation: each.verdict for situation, each in proof.verdicts.items()}
    noticed[bug.what] = [name for name, verdict in told.items() if verdict in (WRONG, BREAKS)]

print(f"{'':18}", *range(1, 9))
for situation in ("an ordinary test", *SITUATIONS):
    marks = ["x" if situation in found else "." for found in noticed.values()]
    print(f"{situation:18}", *marks)
only = sorted(found[0] for found in noticed.values() if len(found) == 1)
print("alone in noticing some case:", ", ".join(only))
assert only == ["crop", "reorder", "two at once"]
assert [bool(found) for found in noticed.values()] == [True] * 7 + [False]
assert ["an ordinary test" in found for found in noticed.values()] == [
    number == 6 for number in range(1, 9)
]

# %% [markdown]
# And all seeded bugs of the project (`python -m minigpt bugs`), by what their shortest texts need:


# %%
def needs(shown):
    """What the shortest text of a bug has that an ordinary test lacks."""
    if not isinstance(shown, ByStory):
        return ["a check that is no text"]
    steps = steps_of(shown.story)
    verbs = [verb for verb, *_ in steps]
    fed = [numbers[0] for verb, numbers, _ in steps if verb == "feed"]
    return [
        need
        for need, there in {
            "several tokens behind others": any(count > 1 for count in fed[1:]),
            "padding": any(steps[0][1]),
            "tokens taken back": "crop" in verbs,
            "rows moved or repeated": bool({"reorder", "repeat", "select"} & {*verbs}),
            "a copy, or a second cache": bool({"fork", "another"} & {*verbs}),
            "a reset": "reset" in verbs,
            "a cache filled to the end": "fill" in verbs,
            "more than 16 tokens": sum(fed) > 16,
            "a window": "window" in shown.rule or "hybrid" in shown.rule,
        }.items()
        if there
    ]


shortest = {what: needs(shown) for what, (shown, _) in recorded().items()}
kinds = sorted({need for found in shortest.values() for need in found})
print(
    f"{len(shortest)} bugs; {sum(not found for found in shortest.values())} need nothing special"
)
for kind in sorted(kinds, key=lambda kind: -sum(kind in found for found in shortest.values())):
    print(f"{sum(kind in found for found in shortest.values()):4}  {kind}")
assert {*shortest} == {*BUGS}

# %% [markdown]
# **Answer.** One, case 6, and that only because its judge rounds as well. `crop`, `reorder` and `two at once` are each alone in noticing some case: a proof without one of them is blind there. No situation notices case 8, since cache and judge share it.
# Of all 80 bugs, 30 need nothing that the ordinary test lacks. The texts of most others are only a few tokens long, but something is done in them that the ordinary test never does.

# %% [markdown]
# ### Exercise 4: one story for five
#
# Here are five broken dynamic caches. Write *one* story in which the right cache is exact, and each of the five is noticed. Use the words of the table at the top; all caches of a story have the same number of rows.

# %%
for number, each in enumerate(five, start=1):
    print(f"{number}. {each.what}")


# %% tags=["exercise"]
def one_story():
    """A story, such as "rows 0 0; feed 4; ..."."""
    raise NotImplementedError


# %% tags=["check"]
exercises.one_story.check(one_story)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def one_story():
#     return (
#         "rows 0 1; feed 18; another; feed 4; swap; feed 1; crop 1; feed 1; reorder 1 0; feed 1"
#     )
# ```
#
# The story needs two rows, one of them padded; more than 16 tokens; a second cache between two feeds of the first; something taken back, and something fed after it; rows that change places, and something fed after that.
# The second cache must come before `reorder`, which copies the rows, so that nothing is shared any more.
#
# </details>

# %% [markdown]
# ## 10. Prove your own cache
#
# **Claim.** Three lines prove a cache of yours right or wrong, in our interface or in that of transformers.
#
# **Predict.** The one below forgets. Which of the situations will notice it?


# %%
class Mine(DynamicCache):
    """Put yours here. This one can't read what is older than 300 tokens."""

    def store(self, k, v, layer):
        keys, values, positions = super().store(k, v, layer)
        gone = (torch.arange(self.length) < self.length - 300)[:, None, None]
        return keys.masked_fill(gone, 0), values, positions


proof = prove(Mine)
for situation, verdict in proof.verdicts.items():
    print(f"{situation:13}", verdict.verdict)
assert proof.wrong == ["long text"]

# %% [markdown]
# **Answer.** Only `long text`: no other story is as long. `proof.verdicts["long text"]` names the first wrong token, and has a script that shows it. In a terminal: `python -m minigpt prove your_module:Mine`; and `python -m minigpt prove transformers` tests the caches of the installed transformers.

# %% [markdown]
# ## What to take away
#
# - A prompt, then single tokens, in one row: this test passes even where nearly everything else is broken.
# - After everything that can be done to a cache, feed it something, and compare logits with an uncached run of the text that is left.
# - Where a cache rounds, let the judge round too. What cache and judge share, compare with its definition.
# - Plant a bug. A test that doesn't notice it is no proof.
