"""Seeded bugs, each seen in public code or a character away from right: the conformance suite must catch every one."""

import conformance
import pytest
from mutants import mutate

import minigpt.attention
import minigpt.cache.backends
import minigpt.cache.groups
import minigpt.cache.quantize
import minigpt.cache.quantized
import minigpt.generate
import minigpt.model
from minigpt.cache import Cache, ConcatCache, DynamicCache, QuantizedCache, SlidingWindowCache, StaticCache, base, book
from minigpt.cache.book import Book
from minigpt.cache.files import LayerFiles
from minigpt.cache.groups import Once
from minigpt.cache.offloaded import Offloaded
from minigpt.cache.quantize import MinMax
from minigpt.cache.storage import Storage
from minigpt.model import GPT

KEYS = "self.keys = [self.zeros(self.slots, *self.heads, dtype=self.dtype) for _ in layers]"
SHARED_KEYS = (
    KEYS.replace("= [", "= SHARED.setdefault((type(self), self.batch_size, self.capacity, self.config), [") + ")"
)
SHELVES = "keys, values = self.keys[layer], self.values[layer]"

# What goes wrong: (where the function lives, its name, what stands there, what the bug makes of it).
MUTANTS = {
    "a chunk after a prefill attends to its own future": (
        minigpt.attention, "sees", "mask = k <= q", "mask = k <= q.amax(2, keepdim=True)"),
    "the causal mask is aligned to the upper left": (
        minigpt.attention, "sees", "mask = k <= q", "mask = (k <= q - q[:, :, :1]) | (q == k)"),
    "a token does not see itself": (
        minigpt.attention, "sees", "mask = k <= q", "mask = (k < q) | (k == 0)"),
    "the window is one too wide": (
        minigpt.attention, "sees", "k > q - window", "k >= q - window"),
    "the window is one too narrow": (
        minigpt.attention, "sees", "k > q - window", "k > q - window + 1"),
    "sinks that decode sees and the rows of a chunk don't": (
        minigpt.attention, "sees", "(k < sinks)", "((k < sinks) & (q.shape[2] == 1))"),
    "one sink too few": (
        minigpt.attention, "sees", "k < sinks", "k < sinks - 1"),
    "a mask that hides something is dropped": (
        GPT, "hidden", "mask.all()", "mask[:, :, -1].all()"),
    "query heads read the key heads in turns": (
        minigpt.attention, "attend", "q.reshape(B, T, K, G, D).transpose(2, 3)", "q.reshape(B, T, G, K, D)"),
    "the heads come back in another order": (
        minigpt.attention, "attend", "out.reshape(B, T, G, K, D)", "out.reshape(B, T, K, G, D).transpose(2, 3)"),
    "positions restart at 0 with each call": (
        Book, "next_position", "return (last + 1)", "return (last * 0)"),
    "padding counts as a position": (
        Book, "next_position", "(last + 1).masked_fill(last == NEVER, 0)", "last * 0 + self.length"),
    "ragged rows get the positions of row 0": (
        Book, "admit", "[:, start:end] = positions", "[:, start:end] = positions[:1]"),
    "padding is seen": (
        minigpt.generate, "plan", "masked_fill(counts == 0, NEVER)", "clamp(min=0)"),
    "overflow is noticed one token late": (
        StaticCache, "make_room", "slots > self.capacity", "slots > self.capacity + 1"),
    "the last slot is never used": (
        StaticCache, "make_room", "slots > self.capacity", "slots >= self.capacity"),
    "overflow moves the counter before it raises": (
        StaticCache, "make_room", "if slots >", "self.length += 1\n    if slots >"),
    "the newest token overwrites the one before it": (
        DynamicCache, "store", "keys[:, self.length - self.chunk : self.length] = k",
        "keys[:, max(self.length - self.chunk - 1, 0) :][:, : self.chunk] = k"),
    "the values are written over the keys": (
        StaticCache, "store", "values[:, self.length - self.chunk : self.length] = v",
        "keys[:, self.length - self.chunk : self.length] = v"),
    "all layers share the shelf of layer 0": (
        StaticCache, "store", SHELVES, SHELVES.replace("[layer]", "[0]")),
    "the oldest token is overwritten by the newest": (
        DynamicCache, "store", SHELVES, SHELVES + "\n    keys[:, 0] = k[:, -1]"),
    "trimmed tokens come back with the next append": (
        ConcatCache, "store", "[:, :old], k], dim=1)", ", k], dim=1)[:, -self.length :]"),
    "crop takes back one token too few": (
        Book, "crop", "self.length += count", "self.length += min(0, count + 1)"),
    "a crop past the start is taken": (
        base, "check_crop", "if -count > length:", "if -count > length + 1:"),
    "a positive crop is taken": (
        base, "check_crop", "or count > 0", "or count > 1"),
    "growing loses the oldest token": (
        book, "grow", "longer[:, :used] = buffer[:, :used]", "longer[:, 1:used] = buffer[:, 1:used]"),
    "growing loses the newest token": (
        book, "grow", "longer[:, :used] = buffer[:, :used]", "longer[:, : used - 1] = buffer[:, : used - 1]"),
    "select forgets the values": (
        Cache, "select", "[shelf[rows] for shelf in self.values]",
        "[shelf[rows.sort().values] for shelf in self.values]"),
    "select forgets where the padding is": (
        Book, "select", "self._positions[rows]", "self._positions[rows.sort().values]"),
    "select reorders the first layer only": (
        Cache, "select", "[shelf[rows] for shelf in self.keys]",
        "[shelf[rows if shelf is self.keys[0] else rows.sort().values] for shelf in self.keys]"),
    "reset keeps the tokens": (
        Book, "reset", "self.length = 0", "self.length = getattr(self, 'length', 0)"),
    "the ring is one slot short": (
        SlidingWindowCache, "__init__", "config.window + self.largest_chunk - 1",
        "max(1, config.window + self.largest_chunk - 2)"),
    "the ring goes by position, not by arrival": (
        SlidingWindowCache, "admit", "arrivals % self.ring",
        "torch.where(positions == NEVER, arrivals, positions) % self.ring"),
    "a sink is seen only by the token that decodes": (
        SlidingWindowCache, "sinks_held", "torch.where(come, sinks, NEVER)",
        "torch.where(come & (self.chunk == 1), sinks, NEVER)"),
    "a sink stands in the ring as well": (
        SlidingWindowCache, "ring_held", " | (held < self.config.sinks)", ""),
    "a token that was overwritten is reported": (
        SlidingWindowCache, "crop", "first_seen < min(left, self.oldest)", "False"),
    "taking back more than the slack is taken": (
        SlidingWindowCache, "crop", "first_seen < min(left, self.oldest)", "first_seen + 1 < min(left, self.oldest)"),
    "keys are grouped as values should be, and values as keys": (
        minigpt.cache.backends, "codecs", "zip(kinds, defaults", "zip(kinds[::-1], defaults"),
    "scales and offsets are read in the wrong order": (
        Once, "read", "packed, *parameters = ", "packed, *parameters = (lambda a, b, c: (a, c, b))(*"
        "blocks.split(self.widths, dim=-1)); _ = "),
    "codes are packed in the wrong order": (
        minigpt.cache.quantize, "pack", ") << places", ").flip(-1) << places"),
    "the highest code is never used": (
        MinMax, "round", "clamp(0, self.top)", "clamp(0, self.top - 1)"),
    "the residual is rounded a token too early": (
        Once, "leaving", "exact - residual_length", "exact + 1 - residual_length"),
    "a token is rounded twice": (
        Once, "add", "self.write(x)", "self.write((x * 16).round() / 16)"),
    "padding sets a scale": (
        Once, "add", "torch.where(pads[..., None, None], last, x)", "x"),
    "select forgets the rounded keys": (
        QuantizedCache, "select", "pick(each, rows)", "pick(each, rows.sort().values)"),
    "a crop forgets the rounded part": (
        QuantizedCache, "crop", "if left < rounded:", "if left < rounded - 4:"),
    "two conversations share their keys": (
        Cache, "reset", KEYS, SHARED_KEYS),
    "a layer leaves before its new rows are written": (
        Offloaded, "store", "in self.runs:", "in self.runs[1:]:"),
    "a prefetch is not awaited": (
        Storage, "fetch", "self.near[layer].result()",
        "self.near[layer].result() if self.near[layer].done() else torch.zeros(self.shape, dtype=self.keys[0].dtype)"),
    "the layer before is prefetched and served": (
        Storage, "prefetch", "self.read(layer)", "self.read(max(layer - 1, 0))"),
    "new rows are written one slot too early": (
        LayerFiles, "write", "first * rows", "max(first - 1, 0) * rows"),
    "new rows are always written at the end": (
        LayerFiles, "write", "first * rows", "self.written[layer] * rows"),
    "a layer is read as far as the one before it": (
        LayerFiles, "read", "self.written[layer]", "self.written[layer - 1]"),
    "what was prefetched before select is served after it": (
        Storage, "copy", "self.near.clear()\n    other = self.another()",
        "other = self.another()\n    other.near = self.near"),
    "a fork shares the files": (
        Storage, "__deepcopy__", "self.copy()", "self"),
    "a fork lacks the last slot": (
        Storage, "copy", "[:slots, :, rows]", "[: max(slots - 1, 0), :, rows]"),
}  # fmt: skip

NAMESPACES = minigpt.attention, minigpt.model, minigpt.generate, base, book, minigpt.cache.dynamic, conformance
NAMESPACES += minigpt.cache.groups, minigpt.cache.quantized


def first_failure():
    """The first check of the suite that fails, or None where it sees nothing wrong."""
    for name, check, arguments in conformance.all_checks():
        try:
            check(*arguments)
        except (NameError, AttributeError):
            raise  # the mutant itself is broken, and proves nothing
        except Exception as error:
            return f"{name}{arguments}: {type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("bug", MUTANTS)
def test_the_suite_catches(bug, monkeypatch):
    mutate(monkeypatch, *MUTANTS[bug], NAMESPACES)
    assert first_failure() is not None, f"nothing noticed that {bug}"


def test_the_suite_lets_a_harmless_change_pass(monkeypatch):
    """Else a suite that fails at everything would catch every mutant."""
    mutate(monkeypatch, book, "grow", "2 * buffer.shape[1]", "3 * buffer.shape[1]", NAMESPACES)
    mutate(monkeypatch, Book, "next_position", "(last + 1)", "(1 + last)", NAMESPACES)
    assert first_failure() is None
