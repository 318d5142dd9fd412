"""The machine: what it is, and its own speeds."""

import platform
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

import torch

from minigpt.measure.counted.run import synchronize
from minigpt.measure.timed.turns import seconds

SIDE, READ = 2048, 2**27  # of the square matrices that are multiplied; numbers that are summed, in float32


def machine(device: torch.device) -> dict:
    """What a measured time depends on."""
    return {
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def processor() -> str:
    """The processor's name, if the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Speeds:
    """The machine's own speeds, to be measured in turns with what is held against them: memory's by a plain sum of more
    numbers than the processor's caches hold, and for each dtype the multiplier's, by a product of large matrices.

    calls: by "sum" or a dtype, what returns the seconds of one measurement. `side` and `read`: see SIDE and READ.
    """

    def __init__(self, device: torch.device, dtypes: list[torch.dtype], side: int = SIDE, read: int = READ):
        self.dtypes, self.flops, self.nbytes = dtypes, 2 * side**3, 4 * read
        numbers = torch.ones(read, dtype=torch.float32, device=device)
        self.calls: dict[Hashable, Callable[[], float]] = {"sum": self.timed(numbers.sum, device)}
        for dtype in dtypes:
            square = torch.randn(side, side, device=device).to(dtype)
            self.calls[dtype] = self.timed(partial(torch.mm, square, square), device)

    @staticmethod
    def timed(call: Callable[[], object], device: torch.device) -> Callable[[], float]:
        def finished() -> None:
            call()
            synchronize(device)

        return partial(seconds, finished)

    def per_second(self, took: dict) -> tuple[list[float], dict[torch.dtype, list[float]]]:
        """Bytes a second, and for each dtype FLOPs a second, in each round. took: the seconds of each call."""
        flops = {dtype: [self.flops / each for each in took[dtype]] for dtype in self.dtypes}
        return [self.nbytes / each for each in took["sum"]], flops
