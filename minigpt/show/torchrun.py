"""A function of a notebook, run in several processes at once."""

import inspect
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json
import os
from pathlib import Path

import torch

from minigpt.parallel import together

{source}

if __name__ == "__main__":
    torch.set_num_threads(1)
    try:
        with together() as processes:
            said = {name}(processes)
    except (ValueError, RuntimeError) as error:
        said = f"{{type(error).__name__}}: {{error}}"
    Path(__file__).with_name(os.environ["RANK"]).write_text(json.dumps(said), encoding="utf-8")
"""


def torchrun(function: Callable, count: int) -> list[Any]:
    """Run it in so many processes, each with its `Processes`. It must import what it needs, torch apart.

    Returns what each has returned (numbers, texts, lists, dicts), or its error in words; None of one that ended before.
    Raises RuntimeError, with what was told, if they did not end well.
    """
    source = textwrap.dedent(inspect.getsource(function))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT.format(source=source, name=function.__name__), encoding="utf-8")
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        start += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run([*start, str(script)], env=environment, capture_output=True, text=True, encoding="utf-8")
        if ended.returncode:
            raise RuntimeError(ended.stderr)
        files = [script.with_name(str(part)) for part in range(count)]
        return [json.loads(file.read_text(encoding="utf-8")) if file.exists() else None for file in files]
