"""Finds what shows each bug, and what it shows, to be kept in shortest.json."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from minigpt.museum import BUGS
from minigpt.museum.shortest import shortest


def record(path: Path, on_step: Callable[[], None] = lambda: None) -> None:
    """on_step: called after each bug. Raises ValueError if one of them is not noticed."""
    found = {}
    for what, bug in BUGS.items():
        shown = shortest(bug)
        seen = shown and shown.run(bug)
        if not shown or not seen:
            raise ValueError(f"nothing shows that {what}")
        found[what] = asdict(shown), asdict(seen)
        on_step()
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8", newline="\n")
