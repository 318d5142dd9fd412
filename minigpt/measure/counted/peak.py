"""The most memory that is taken at once. A moment later it may be less."""

import weakref

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minigpt.measure.counted.traffic import memory


class Peak(TorchDispatchMode):
    """now: bytes of all floating-point tensors made inside that are still alive, wherever they die. most: the most that
    these ever were. (Positions and ids, which are whole numbers, are left out.)"""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {memory(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        for made in tree_leaves(out):
            if isinstance(made, Tensor) and takes_memory(made) and memory(made) not in given:  # else it is a view
                storage = made.untyped_storage()
                self.count(storage.nbytes())
                weakref.finalize(storage, self.count, -storage.nbytes())
        return out

    def count(self, nbytes: int) -> None:
        self.now += nbytes
        self.most = max(self.most, self.now)


def takes_memory(tensor: Tensor) -> bool:
    """A tensor of the device "meta" has a shape and nothing more."""
    return tensor.is_floating_point() and tensor.device.type != "meta"
