"""Starts processes that work together on this machine, as torchrun does, and ends them all."""

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = 300  # seconds: far more than any of these needs


def together(count, *command, environments=()):
    """Start `count` processes of a Python command. environments: of each process, what differs from this one's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={**os.environ, **shared, "RANK": str(part), "LOCAL_RANK": str(part), **dict(own)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for part, own in zip(range(count), [*environments, *[{}] * count], strict=False)
    ]


def ended(processes):
    """(exit code, stdout, stderr) of each. None of them is left, whatever happens."""
    try:
        said = [process.communicate(timeout=LONGEST) for process in processes]
        return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()
