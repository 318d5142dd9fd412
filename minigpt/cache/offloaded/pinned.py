"""Where layers wait beside a GPU: in pinned memory, which it reads and writes by itself."""

import torch
from torch import Tensor

from minigpt.cache.offloaded.storage import Storage


class PinnedLayers(Storage):
    """Pinned memory of the CPU, from and to which a GPU copies by itself: the next layer comes on a stream of its own
    while the layer at work computes."""

    def __init__(self, slots, shape, dtype, device, folder):
        if folder is not None:
            raise ValueError(f"on {device} the layers wait in pinned memory: leave out the folder {str(folder)!r}")
        super().__init__(slots, shape, dtype, device, folder)
        self.stream = torch.cuda.Stream(device)
        self.pinned: list[Tensor | None] = [None] * len(slots)

    def read(self, layer):
        self.stream.wait_stream(torch.cuda.current_stream(self.device))  # what was written must be there first
        with torch.cuda.stream(self.stream), torch.inference_mode(False):
            buffer = torch.zeros(self.slots[layer], *self.shape, dtype=self.dtype, device=self.device)
            if self.written[layer]:
                there = self.pinned[layer][: self.written[layer]]
                buffer[: self.written[layer]].copy_(there, non_blocking=True)
            return Arrival(buffer, self.stream.record_event())

    def write(self, layer, first, rows):
        end, old = first + len(rows), self.pinned[layer]
        if old is None or len(old) < end:  # the sizes double, so all the copying is linear
            with torch.inference_mode(False):
                longer = torch.zeros(self.slots[layer], *self.shape, dtype=self.dtype, pin_memory=True)
            if old is not None:
                torch.cuda.synchronize(self.device)  # the last rows may still be on their way to the old one
                longer[: len(old)] = old
            self.pinned[layer] = longer
        self.pinned[layer][first:end].copy_(rows, non_blocking=True)


class Arrival:
    """A buffer that comes on another stream."""

    def __init__(self, buffer: Tensor, event):
        self.buffer, self.event = buffer, event

    def result(self) -> Tensor:
        stream = torch.cuda.current_stream(self.buffer.device)
        stream.wait_event(self.event)
        self.buffer.record_stream(stream)
        return self.buffer
