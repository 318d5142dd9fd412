"""More than one process: the same models and the same caches, cut by heads or by positions.

torch.distributed carries what goes between the processes: gloo on CPUs, NCCL on GPUs. torchrun starts them.
"""

from minigpt.parallel.heads import by_heads
from minigpt.parallel.positions import by_positions
from minigpt.parallel.processes import Processes, together

__all__ = ["Processes", "by_heads", "by_positions", "together"]
