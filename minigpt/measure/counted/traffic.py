"""Counts the bytes that move into a cache's tensors, operation by operation."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

# The operations that write into a cache: a call's result and arguments -> (to, from, bytes moved).
MOVES: dict[object, Callable] = {
    aten.copy_.default: lambda out, to, new, *_: [(to, new, to.nbytes)],
    aten.index_put_.default: lambda out, to, places, new, *_: [(to, new, new.nbytes)],
    aten.cat.default: lambda out, parts, *_: [(out, part, part.nbytes) for part in parts],
    aten.index.Tensor: lambda out, old, *_: [(out, old, out.nbytes)],
}


class Traffic(TorchDispatchMode):
    """Notes every move between tensors, and keeps these alive, so that meanwhile no memory is used twice."""

    def __init__(self):
        super().__init__()
        self.moves: list[tuple[Tensor, Tensor, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in MOVES:
            self.moves += MOVES[func](out, *args)
        return out

    def into(self, kept: list[Tensor], before: list[Tensor]) -> tuple[int, int]:
        """Bytes moved into the tensors kept now: (new numbers, numbers that were kept before, elsewhere)."""
        now, then = ({memory(each) for each in tensors} for tensors in (kept, before))
        written = copied = 0
        for to, source, nbytes in self.moves:
            if memory(to) in now and to.device == source.device:
                if memory(source) in then:
                    copied += nbytes
                else:
                    written += nbytes
        return written, copied


def memory(tensor: Tensor) -> int:
    """A number that all views of one memory share, and no others."""
    return tensor.untyped_storage()._cdata
