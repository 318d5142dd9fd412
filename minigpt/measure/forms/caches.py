"""Closed forms of what each cache holds, writes, copies and moves in one forward pass, for our models and real ones.

A row here is one token's keys and values in all layers, for the whole batch. Each layer may have its own window.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.forward_pass import ForwardPass, KVCost
from minigpt.measure.forms.quantized import CHUNK, capacity, quantized, quantized_static


def none(at: ForwardPass) -> KVCost:
    """Nothing is kept; attention reads what was just computed."""
    return at.kept(0, useful=0, written=0)


def concat(at: ForwardPass) -> KVCost:
    """Each pass copies all tokens kept so far: 1 + 2 + ... of them over a run."""
    return at.kept(at.end, copied=at.past * at.row)


def dynamic(at: ForwardPass) -> KVCost:
    """Room doubles when it is full, and its tokens are copied: over a run first x (1 + 2 + 4 + ...) of them, which is
    the room at the end minus the room at the start."""
    return at.kept(room(at.first, at.end), copied=at.past * at.row if grows(at) else 0)


def room(first: int, tokens: int) -> int:
    """The slots that so many tokens take: the smallest first x 2^n that is enough."""
    return first << (-(-tokens // first) - 1).bit_length()


def grows(at: ForwardPass) -> bool:
    return at.past > 0 and room(at.first, at.end) > room(at.first, at.past)


def static(at: ForwardPass, max_cache_len: int | None = None) -> KVCost:
    """All slots are there from the start, and each pass reads all of them."""
    slots = capacity(at.model, max_cache_len)
    return at.kept(slots, read=slots * at.row)


def sliding_window(at: ForwardPass, chunk: int | None = None) -> KVCost:
    """A ring and the sinks in each layer with a window, all read in each pass; the other layers cost as in `concat`."""
    slots = {window: at.end if ring is None else ring for window, ring in rings(at.model, chunk).items()}
    copied = at.model.windows.count(None) * at.past * at.layer
    return at.kept(slots, read=at.model.over_layers(slots.__getitem__) * at.layer, copied=copied)


def rings(model: Architecture, chunk: int | None = None) -> dict[int | None, int | None]:
    """Slots of a layer, ring and sinks together, by its window: chunk - 1 more than window and sinks, so that a whole
    chunk can come in. None for a layer without a window, which has no ring."""
    slack = model.sinks + ring_chunk(model, chunk) - 1
    return {window: None if window is None else window + slack for window in model.windows}


def ring_chunk(model: Architecture, chunk: int | None = None) -> int:
    """The most tokens that a ring takes in at once (by default as many as the narrowest window)."""
    return min(filter(None, model.windows)) if chunk is None else chunk


def offloaded(at: ForwardPass) -> KVCost:
    """Growing appends to a file, so nothing is copied. But layer 0, prefetched before it grew, is fetched again."""
    return in_slower_memory(at, room(at.first, at.end), fetched_again=grows(at))


def offloaded_static(at: ForwardPass, max_cache_len: int | None = None) -> KVCost:
    slots = capacity(at.model, max_cache_len)
    return in_slower_memory(at, slots, fetched_again=False, read=slots * at.row)


def in_slower_memory(at: ForwardPass, slots: int, fetched_again: bool, **others: int) -> KVCost:
    """Two layers are here, the one at work and the next. Each pass fetches the past tokens of layers 1, 2, ..., and at
    its end prefetches layer 0 for the next pass, new tokens included. A single layer stays here."""
    L = at.model.layers
    up = (L * at.past + at.new if L > 1 else 0) + (at.past if fetched_again else 0)
    return at.kept(slots, resident=slots * at.layer * min(2, L), up=up * at.layer, down=at.new * at.row, **others)


@dataclass(frozen=True)
class Form:
    """cost: what a pass costs, from its sizes and the options that change them. keeps: whether the cache keeps any
    tokens (if not, every pass is fed the whole text). needs_window: whether at least one layer must have a window.
    recopies: whether a layer that grows is copied into a new tensor, so that for a moment both are there.
    largest_chunk: the most tokens that it takes in at once, from model and options (None: no limit)."""

    cost: Callable[..., KVCost]
    keeps: bool = True
    needs_window: bool = False
    recopies: bool = False
    largest_chunk: Callable[..., int] | None = None

    @property
    def options(self) -> list[str]:
        return list(inspect.signature(self.cost).parameters)[1:]


FORMS = {
    "none": Form(none, keeps=False),
    "concat": Form(concat, recopies=True),
    "dynamic": Form(dynamic, recopies=True),
    "static": Form(static),
    "sliding_window": Form(sliding_window, needs_window=True, recopies=True, largest_chunk=ring_chunk),
    "quantized": Form(quantized),
    "quantized_static": Form(quantized_static, largest_chunk=lambda model, chunk=CHUNK, **_: chunk),
    "offloaded": Form(offloaded),
    "offloaded_static": Form(offloaded_static),
}
