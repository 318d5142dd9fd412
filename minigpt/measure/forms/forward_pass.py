"""One forward pass through a cache: its sizes, and what it computes, holds and moves."""

from dataclasses import dataclass

from minigpt.measure.forms.architecture import Architecture


@dataclass(frozen=True)
class KVCost:
    """What one pass costs, in the terms of `counted.trace.Pass`, summed over all layers and rows of the batch; only
    slots and useful are for one layer, the one that has most. rows: K/V rows computed. The positions and ids that a
    cache keeps as well (16 bytes a token) are left out."""

    rows: int
    slots: int
    useful: int
    nbytes: int
    resident: int
    written: int
    copied: int
    read: int
    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class ForwardPass:
    """`new` tokens are fed to a cache that holds `past`.

    itemsize: bytes of a number. batch: rows. first: tokens fed in the first pass of the run. before: tokens that the
    cache held when the pass before this one began.
    """

    model: Architecture
    itemsize: int
    batch: int
    first: int
    before: int
    past: int
    new: int

    @property
    def end(self) -> int:
        return self.past + self.new

    @property
    def layer(self) -> int:
        """Bytes of a token in one layer, over the batch: 2 K D b."""
        return self.batch * self.model.numbers * self.itemsize

    @property
    def row(self) -> int:
        """Bytes of a token in all layers: 2 L K D b."""
        return self.model.layers * self.layer

    def seen(self, window: int | None) -> int:
        """How many tokens at least one query of this pass sees. With a window of W the first query sees the W - 1
        before it, and every token of the pass sees itself."""
        return self.end if window is None else min(self.end, window - 1 + self.new + self.model.sinks)

    def kept(self, slots: dict[int | None, int] | int, **others: int) -> KVCost:
        """The cost with a cache that keeps exact numbers, writes each once, and reads all tokens so far.

        slots: of every layer, or by a layer's window. others: what is different.
        """
        of = slots if isinstance(slots, dict) else dict.fromkeys(self.model.windows, slots)
        nbytes = self.model.over_layers(of.__getitem__) * self.layer
        usual = {
            "rows": self.batch * self.model.layers * self.new,
            "slots": self.batch * max(of.values()),
            "useful": self.batch * max(map(self.seen, of)),
            "nbytes": nbytes,
            "resident": nbytes,
            "written": self.new * self.row,
            "copied": 0,
            "read": self.end * self.row,
        }
        return KVCost(**usual | others)
