"""The processes that work on one model: how they find each other, agree on what they do, and end."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = 60.0  # seconds that a process waits for another
START = "start several by torchrun --nproc-per-node 2 -m minigpt compare --parallel heads"


class LostProcessError(RuntimeError):
    """Another process has ended, or did not answer in time."""


@dataclass(frozen=True)
class Processes:
    """count: of those that work together. part: which of them this one is, 0 to count - 1."""

    count: int
    part: int

    def gathered(self, mine: Tensor) -> list[Tensor]:
        """Everyone's tensor, all of one shape, in the order of the processes."""
        everyones = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(everyones, mine)
        return everyones


@contextmanager
def together(device: str = "cpu", timeout: float = TIMEOUT) -> Iterator[Processes]:
    """Work with the other processes that torchrun has started, and leave them at the end.

    device: where the model computes. From here on "cuda" is the GPU that is this process's own. timeout: seconds to
    wait for another. Raises ValueError where there are none, or nothing carries what is on that device; and
    LostProcessError, here and in all others, when one ends or is late.
    """
    if "WORLD_SIZE" not in os.environ:
        raise ValueError(f"this process is alone, and was to work with others: {START}")
    backend = backend_for(device)
    if device.startswith("cuda"):
        torch.cuda.set_device(own_device(device))
    late = f"not all {os.environ['WORLD_SIZE']} processes have come within {timeout:g} seconds"
    lost = f"another process has ended, or has not answered for {timeout:g} seconds: what this one did is not finished"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    except RuntimeError as error:
        raise LostProcessError(f"{late} ({first_sentence(error)})") from error
    try:
        yield Processes(dist.get_world_size(), dist.get_rank())
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise LostProcessError(f"{lost} ({first_sentence(error)})") from error
        raise
    finally:
        dist.destroy_process_group()


def backend_for(device: str) -> str:
    """What carries tensors, by where they lie. Beside a model on GPUs there are always some on CPUs: what the processes
    agree on, and a cache that is handed over."""
    if not device.startswith("cuda"):
        return "gloo"
    if not dist.is_nccl_available():
        raise ValueError(
            f"processes on {device} talk by NCCL, which this torch lacks: take device cpu, or such a torch"
        )
    return "cpu:gloo,cuda:nccl"


def own_device(device: str) -> str:
    """For "cuda", the GPU that has this process's number on its machine: NCCL wants one for each."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" else device


def first_sentence(error: Exception) -> str:
    """Of what torch says, without the place in its own source that stands before it."""
    return re.sub(r"^\[\S*\] ", "", str(error)).partition("\n")[0].partition(". ")[0]


def agree(processes: Processes, **facts: object) -> None:
    """Raises ValueError, in all processes, unless they have the same facts: numbers, texts, or a model's weights."""
    mine = torch.tensor([number_of(fact) for fact in facts.values()])
    differ = torch.stack([each != mine for each in processes.gathered(mine)]).any(0).tolist()
    if any(differ):
        names = ", ".join(name for name, differs in zip(facts, differ, strict=True) if differs)
        raise ValueError(f"the processes differ in {names}: start all of them alike, on the same files")


def number_of(fact: object) -> int:
    """63 bits of a hash."""
    digest = hashlib.blake2b(digest_size=8)
    if isinstance(fact, torch.nn.Module):
        for name, weights in fact.named_parameters():
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    else:
        digest.update(repr(fact).encode())
    return int.from_bytes(digest.digest(), "little") >> 1
