"""Seeded bugs, each seen in public code or a character away from right: the conformance suite must catch every one."""

import pytest
from bugs import BUGS
from mutants import mutate

import minigpt.arguments
import minigpt.attention
import minigpt.cache.dynamic
import minigpt.cache.quantized.cache
import minigpt.cache.quantized.codec
import minigpt.cache.quantized.options
import minigpt.generate
import minigpt.model
import minigpt.proof.rules
from minigpt.cache import CACHES, SlidingWindowCache, checks
from minigpt.cache.offloaded import Offloaded
from minigpt.cache.offloaded.files import LayerFiles
from minigpt.cache.offloaded.storage import Storage
from minigpt.cache.quantized.codec import Codec
from minigpt.cache.quantized.formats import MinMax
from minigpt.cache.state import State
from minigpt.cache.text import Text
from minigpt.proof.oracles import one_pass
from minigpt.proof.situations import model, new_cache, rule_for
from minigpt.proof.suite import all_checks

# Bugs of one word: (where the function lives, its name, what stands there, what the bug makes of it, the caches that
# must notice it: None, whichever does).
MUTANTS = {
    "a chunk after a prefill attends to its own future": (
        minigpt.attention, "sees", "mask = k <= q", "mask = k <= q.amax(2, keepdim=True)", None),
    "the causal mask is aligned to the upper left": (
        minigpt.attention, "sees", "mask = k <= q", "mask = (k <= q - q[:, :, :1]) | (q == k)", None),
    "a token does not see itself": (
        minigpt.attention, "sees", "mask = k <= q", "mask = (k < q) | (k == 0)", None),
    "the window is one too wide": (
        minigpt.attention, "sees", "k > q - window", "k >= q - window", None),
    "the window is one too narrow": (
        minigpt.attention, "sees", "k > q - window", "k > q - window + 1", None),
    "sinks that decode sees and the rows of a chunk don't": (
        minigpt.attention, "sees", "(k < sinks)", "((k < sinks) & (q.shape[2] == 1))", None),
    "one sink too few": (
        minigpt.attention, "sees", "k < sinks", "k < sinks - 1", None),
    "the mask is left out when one token is decoded": (
        minigpt.model.Attention, "forward", "attend(q, k, v, mask)",
        "attend(q, k, v, mask if q.shape[1] > 1 else None)", ["static"]),
    "what padding is handed is seen by a single token": (
        State, "hides_nothing", "self.text.plain and ", "", ["dynamic"]),
    "what left the window is seen by a single token": (
        State, "hides_nothing", "slots <= window", "True", ["dynamic"]),
    "a chunk sees its own future": (
        State, "hides_nothing", "self.text.new == 1 and ", "", ["dynamic"]),
    "query heads read the key heads in turns": (
        minigpt.attention, "attend", "q.reshape(B, T, K, G, D).transpose(2, 3)", "q.reshape(B, T, G, K, D)", None),
    "the heads come back in another order": (
        minigpt.attention, "attend", "out.reshape(B, T, G, K, D)", "out.reshape(B, T, K, G, D).transpose(2, 3)", None),
    "positions restart at 0 with each call": (
        Text, "append", "after.arrivals if self.plain else ", "", ["dynamic"]),
    "padding counts as a position": (
        Text, "next_position", "(last + 1).masked_fill(last == NEVER, 0)", "last * 0 + self.length", ["dynamic"]),
    "padded rows count as plain ones": (
        Text, "append", "self.plain and positions is None", "self.plain", ["dynamic"]),
    "ragged rows get the positions of row 0": (
        Text, "append", "start : start + T] = positions", "start : start + T] = positions[:1]", ["dynamic"]),
    "padding is seen": (
        minigpt.arguments, "plan", "masked_fill(counts == 0, NEVER)", "clamp(min=0)", ["concat"]),
    "overflow is noticed one token late": (
        checks, "admit", "cache.length + new > slots", "cache.length + new > slots + 1", ["static"]),
    "the last slot is never used": (
        checks, "admit", "cache.length + new > slots", "cache.length + new >= slots", ["static"]),
    "a crop past the start is taken": (
        checks, "crop", "if -count > cache.length:", "if -count > cache.length + 1:", ["dynamic"]),
    "a positive crop is taken": (
        checks, "crop", "or count > 0", "or count > 1", ["dynamic"]),
    "growing loses the oldest token": (
        minigpt.cache.dynamic, "grow", "longer[:, :used] = buffer[:, :used]", "longer[:, 1:used] = buffer[:, 1:used]",
        ["dynamic"]),
    "growing loses the newest token": (
        minigpt.cache.dynamic, "grow", "longer[:, :used] = buffer[:, :used]",
        "longer[:, : used - 1] = buffer[:, : used - 1]", ["dynamic"]),
    "the text forgets its first token when it grows": (
        Text, "with_room", "longer[..., : self.length] = self.book[..., : self.length]",
        "longer[..., 1 : self.length] = self.book[..., 1 : self.length]", ["dynamic"]),
    "a token that was overwritten is reported": (
        SlidingWindowCache, "cropped", "first_seen < min(left, oldest)", "False", ["sliding_window"]),
    "taking back more than the slack is taken": (
        SlidingWindowCache, "cropped", "first_seen < min(left, oldest)", "first_seen + 1 < min(left, oldest)",
        ["sliding_window"]),
    "keys are grouped as values should be, and values as keys": (
        minigpt.cache.quantized.options, "codecs", "for name in names", "for name in names[::-1]", ["quantized"]),
    "scales and offsets are read in the wrong order": (
        Codec, "read", "packed, *parameters = ", "packed, *parameters = (lambda a, b, c: (a, c, b))(*"
        "blocks.split(self.widths, dim=-1)); _ = ", ["quantized"]),
    "codes are packed in the wrong order": (
        minigpt.cache.quantized.formats, "pack", ") << places", ").flip(-1) << places", ["quantized"]),
    "the highest code is never used": (
        MinMax, "round", "clamp(0, self.top)", "clamp(0, self.top - 1)", ["quantized"]),
    "the residual is rounded a token too early": (
        Codec, "leaving", "exact - residual_length", "exact + 1 - residual_length", ["quantized"]),
    "a token is rounded twice": (
        Codec, "append", "self.filled(x, pads)", "(self.filled(x, pads) * 16).round() / 16", ["quantized"]),
    "padding sets a scale": (
        Codec, "filled", "torch.where(pads[..., None, None], last, x)", "x", ["quantized"]),
    "a layer leaves before its new rows are written": (
        Offloaded, "store", "in self.runs[layer]:", "in self.runs[layer][1:]:", ["offloaded"]),
    "a prefetch is not awaited": (
        Storage, "fetch", "return self.near[layer].result()",
        "near = self.near[layer]\n    return near.result() if near.done() else near.result() * 0", ["offloaded"]),
    "the layer before is prefetched and served": (
        Storage, "prefetch", "self.get(layer)", "self.get(max(layer - 1, 0))", ["offloaded"]),
    "new rows are written one slot too early": (
        LayerFiles, "write", "first * math.prod", "max(first - 1, 0) * math.prod", ["offloaded"]),
    "new rows are always written at the end": (
        LayerFiles, "write", "first * math.prod", "self.written[layer] * math.prod", ["offloaded"]),
    "a layer is read as far as the one before it": (
        LayerFiles, "read", "self.written[layer]", "self.written[layer - 1]", ["offloaded"]),
    "a fork shares the files": (
        Storage, "__deepcopy__", "self.copy(torch.arange(self.shape[1], device=self.device))", "self", ["offloaded"]),
    "a fork lacks the last slot": (
        Storage, "copy", "[:slots, :, rows]", "[: max(slots - 1, 0), :, rows]", ["offloaded"]),
}  # fmt: skip

NAMESPACES = minigpt.attention, minigpt.model, minigpt.generate, minigpt.cache.dynamic, minigpt.proof.rules
NAMESPACES += minigpt.cache.quantized.codec, minigpt.cache.quantized.cache


@pytest.fixture(autouse=True)
def _no_reference_outlives_its_mutant():
    one_pass.cache_clear()
    yield
    one_pass.cache_clear()


def first_failure(names):
    """The first check that fails, of these caches (None: of all); None if the suite sees nothing wrong."""
    for name, check, arguments in all_checks():
        if names is not None and not set(names) & set(arguments):
            continue
        try:
            check(*arguments)
        except (NameError, AttributeError):
            raise  # the mutant itself is broken, and proves nothing
        except Exception as error:
            return f"{name}{arguments}: {type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("what", MUTANTS)
def test_the_suite_catches(what, monkeypatch):
    *bug, names = MUTANTS[what]
    mutate(monkeypatch, *bug, NAMESPACES)
    assert first_failure(names) is not None, f"nothing noticed that {what}"


@pytest.mark.parametrize("what", [pytest.param(what, id=f"{name}: {what}") for what, (name, _) in BUGS.items()])
def test_the_suite_catches_a_cache_in_which(what, monkeypatch):
    name, broken = BUGS[what]
    monkeypatch.setitem(CACHES, name, broken)
    new_cache(name, model(rule_for(name)), 1)  # one that can't be made proves nothing
    assert first_failure([name]) is not None, f"nothing noticed that {what}"


def test_the_suite_lets_a_harmless_change_pass(monkeypatch):
    """Or else a suite that always fails would catch every bug."""
    mutate(monkeypatch, minigpt.cache.dynamic, "grow", "2 * old", "3 * old", NAMESPACES)
    mutate(monkeypatch, Text, "next_position", "(last + 1)", "(1 + last)", NAMESPACES)
    assert first_failure(["dynamic"]) is None
