"""More than one process: the same models and the same caches, cut by heads or by positions.

torch.distributed carries what goes between the processes: gloo what lies on CPUs, NCCL what lies on GPUs (only gloo has
been run so far). torchrun starts them.
Processes on one machine's cores are slower than one process alone: they are for what one machine can't hold, or for
memories that together read faster (`measure.forms.parallel` says from which context on).
"""

from minigpt.parallel.heads import by_heads
from minigpt.parallel.positions import by_positions
from minigpt.parallel.processes import Processes, together

__all__ = ["Processes", "by_heads", "by_positions", "together"]
