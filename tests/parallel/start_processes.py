"""Starts processes that work together on this machine, as torchrun does, and ends them all."""

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOTS = [str(HERE.parents[1]), str(HERE.parent)]  # of the package, and of what the tests share
LONGEST = 300  # seconds: far more than any of these needs


def together(count, *command, own=(), come=None):
    """Start processes of a Python command, that are told that they are `count`.

    own: for each process what its command has more. come: how many are started (None: all).
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    shared["PYTHONPATH"] = os.pathsep.join(ROOTS)
    commands = [[*command, *more] for more in own] or [command] * count
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**os.environ, **shared, "RANK": str(part), "LOCAL_RANK": str(part)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for part, words in enumerate(commands[:come])
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
