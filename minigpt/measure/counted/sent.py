"""Counts what a process hands to torch.distributed, operation by operation."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SUMS = {"_c10d_functional::all_reduce", "_c10d_functional::all_reduce_", "c10d::allreduce_"}
GATHERS = {"c10d::allgather_"}  # its arguments: room for everyone's, then one's own


class Sending(TorchDispatchMode):
    """collectives: how many there were while this was on. given: bytes of this process's own tensors in them."""

    def __init__(self):
        super().__init__()
        self.collectives = self.given = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split(".")[0]
        if name in SUMS | GATHERS:
            own = args[1] if name in GATHERS else args[0]
            self.collectives += 1
            self.given += sum(each.nbytes for each in tree_leaves(own) if isinstance(each, torch.Tensor))
        return func(*args, **(kwargs or {}))
