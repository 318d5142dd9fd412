"""The program's own name, for what tells a user to call it again."""

import sys
from pathlib import PurePath


def program() -> str:
    """`minigpt` where the installed command was called; else `python -m minigpt`, which works there too."""
    return "minigpt" if PurePath(sys.argv[0]).stem == "minigpt" else "python -m minigpt"
