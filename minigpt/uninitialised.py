"""Makes modules without initial weights, for a model whose weights come from a file."""

from torch import Tensor
from torch.overrides import TorchFunctionMode


class without_init(TorchFunctionMode):  # noqa: N801 (used as `with without_init():`)
    """Skips torch.nn.init while modules are made: nothing is drawn, and the random state stays as it was.

    On torch's meta device, where there is nothing to fill, drawing would import a compiler: a second and 70 MB.
    Some functions of torch.nn.init come to this mode themselves, others only with the drawing method that they call:
    it skips either. Those that draw nothing (zeros_, ones_) may run.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # What reads a tensor's attributes comes here too, and has no __module__.
        if getattr(func, "__module__", None) == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
