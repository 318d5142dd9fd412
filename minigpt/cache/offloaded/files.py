"""Where layers wait without a GPU: in files."""

import math
import mmap
import os
import tempfile
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from minigpt.cache.offloaded.storage import Storage


class LayerFiles(Storage):
    """A file a layer, read by a thread.

    Plain reads and writes, not a mapping: a mapped page counts as resident until it is unmapped, and a full disk or a
    file cut short would be a SIGBUS, not an error. So what is resident is what is in `near`, and nothing else.
    """

    def __init__(self, slots, shape, dtype, device, folder):
        super().__init__(slots, shape, dtype, device, folder)
        self.files = [File(folder) for _ in slots]
        self.reader = ThreadPoolExecutor(1)  # one thread: reads come in the order they were asked for

    def read(self, layer):
        # Nothing that the thread holds refers to self, or the storage would outlive its last user.
        shape = self.slots[layer], *self.shape
        return self.reader.submit(load, self.files[layer], self.written[layer], shape, self.dtype, self.device)

    def write(self, layer, first, rows):
        left, at = as_bytes(rows.cpu()), first * math.prod(self.shape) * self.dtype.itemsize
        while left:
            count = self.files[layer].write(at, left)
            left, at = left[count:], at + count


class File:
    """Without a name (where one is needed, as on Windows, it goes when the file is closed): whatever ends the process,
    it is gone, and no other cache can open it. Closed when nothing refers to it, so never while it is being read.

    folder: None, the system's temporary one. Raises OSError.
    """

    def __init__(self, folder: Path | None):
        if folder is not None and not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder} (any more): make it first")
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self.moving = threading.Lock()
        weakref.finalize(self, self.file.close)

    def read(self, at: int, part: memoryview) -> int:
        """Fill the part, or less of it, from there on. Returns the bytes read."""
        if hasattr(os, "preadv"):
            return os.preadv(self.file.fileno(), [part], at)
        with self.moving:
            self.file.seek(at)
            return self.file.readinto(part)

    def write(self, at: int, part: memoryview) -> int:
        """Write the part, or less of it, from there on. Returns the bytes written."""
        if hasattr(os, "pwrite"):
            return os.pwrite(self.file.fileno(), part, at)
        with self.moving:
            self.file.seek(at)
            return self.file.write(part)


def load(file: File, written: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The slots that have been written, then zeros."""
    buffer, at = zeros(shape, dtype), 0
    left = as_bytes(buffer[:written])
    while left:
        count = file.read(at, left)
        if not count:
            raise EOFError(f"a file lost {len(left)} of the bytes that were written to it")
        left, at = left[count:], at + count
    return buffer.to(device)


def zeros(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A megabyte or more in pages of its own, which the system has back at once: the heap of torch.zeros is quicker,
    but it would keep some layers."""
    if (nbytes := math.prod(shape) * dtype.itemsize) < 2**20:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, nbytes), dtype=dtype).view(shape)


def as_bytes(rows: Tensor) -> memoryview:
    """The memory itself, whatever the dtype (numpy knows no bfloat16)."""
    return rows.flatten().view(torch.uint8).numpy().data
