"""Asks the page's engine, run by Node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from minigpt.page import data

ENGINE = Path(__file__).parent / "engine"


def there() -> bool:
    return shutil.which("node") is not None


def ask(script: Path, requests: list[dict[str, Any]], engine: Path = ENGINE) -> list[Any]:
    """The script's answers, in order, all from one process that has loaded the bundled model.

    Raises RuntimeError where there is no Node, or with what it says, should it fail.
    """
    if not there():
        raise RuntimeError("there is no `node` on the path: install Node.js, 20 or newer")
    command = ["node", str(script), (engine / "load.mjs").absolute().as_uri()]
    given = json.dumps({"data": data.model(), "requests": requests})
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"{script.name} failed under Node: {done.stderr.strip()}")
    return json.loads(done.stdout)
