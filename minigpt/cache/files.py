"""Where layers wait without a GPU: in files."""

import math
import mmap
import tempfile
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from minigpt.cache.storage import Storage

IN_USE = "minigpt-cache-in-use"


class Folder:
    """Where files go: one that the user named, for one cache (and its forks) at a time, or the system's temporary one.

    The files have no names (where a name is needed, as on Windows, it goes when the file is closed): whatever ends the
    process, they are gone, and no other cache can open them. Only the mark is seen. Raises OSError.
    """

    def __init__(self, path: str | Path | None):
        self.path = None if path is None else Path(path).resolve()
        self.check()
        if self.path is not None:
            mark = self.path / IN_USE
            try:
                mark.open("x").close()
            except FileExistsError:
                raise FileExistsError(
                    f"{self.path} is in use by another cache: give each a folder of its own (if that process was "
                    f"killed, delete {mark})"
                ) from None
            weakref.finalize(self, mark.unlink, missing_ok=True)

    def check(self):
        if self.path is not None and not self.path.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path} (any more): make it first")

    def new_file(self):
        self.check()
        return tempfile.TemporaryFile(dir=self.path, buffering=0)


class LayerFiles(Storage):
    """A file a layer, read by a thread.

    Plain reads and writes, not a mapping: a mapped page counts as resident until it is unmapped, and a full disk or a
    file cut short would be a SIGBUS, not an error. So what is resident is what is in `near`, and nothing else.
    """

    def __init__(self, layers: int, folder: Folder, device: torch.device):
        super().__init__(layers)
        self.folder, self.device = folder, device
        self.files, self.reading = [], threading.RLock()
        self.reader = ThreadPoolExecutor(1)  # one thread: reads come in the order they were asked for
        weakref.finalize(self, close, self.files, self.reader, self.reading)  # collected, or the interpreter ends
        for _ in range(layers):
            self.files.append(folder.new_file())

    def check(self):
        self.folder.check()

    def clear(self):
        super().clear()
        for file in self.files:
            file.truncate(0)

    def another(self):
        return LayerFiles(len(self.files), self.folder, self.device)

    def read(self, layer):
        # Nothing that the thread holds refers to self, or the cache would outlive its last user.
        what = self.files[layer], self.reading, self.written[layer], self.shape, self.keys[layer].dtype, self.device
        return self.reader.submit(load, *what)

    def write(self, layer, first, rows):
        left, file = as_bytes(rows.cpu()), self.files[layer]
        file.seek(first * rows[:1].nbytes)
        while left:
            left = left[file.write(left) :]


def load(file, reading, written: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The slots that have been written, then zeros."""
    buffer = zero_pages(shape, dtype)
    left = as_bytes(buffer[:written])
    with reading:
        file.seek(0)
        while left:
            count = file.readinto(left)
            if not count:
                raise EOFError(f"a file lost {len(left)} of the bytes that were written to it")
            left = left[count:]
    return buffer.to(device)


def close(files, reader, reading) -> None:
    """Once no read is under way. The thread is not joined: the collector may run on it, and would wait for ever."""
    reader.shutdown(wait=False, cancel_futures=True)
    with reading:
        for file in files:
            file.close()


def zero_pages(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Zeros in pages of their own, which the system has back at once: torch.zeros' heap would keep some layers."""
    if not (count := math.prod(shape)):
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, count * dtype.itemsize), dtype=dtype).view(shape)


def as_bytes(rows: Tensor) -> memoryview:
    """The memory itself, whatever the dtype (numpy knows no bfloat16)."""
    return memoryview(rows.flatten().view(torch.uint8).numpy())
