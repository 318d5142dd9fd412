"""What --json prints. Each command that takes it says so in its FIELDS, --help shows them, and tests hold the output
to them.

FIELDS gives each key of an object as "kind: meaning, with its unit". Where the values have keys of their own, it is a
pair: that, and their FIELDS. The kinds are JSON's: string, integer, number, boolean, null, object and list; also
"integer or null", "list of numbers" (however many), "object of numbers" (whatever its keys).
"""

import shutil
import textwrap
from collections.abc import Iterator


def described(fields: dict, prints: str = "one object") -> str:
    """The lines that --help shows, as wide as the terminal. prints: what of such objects."""
    width = shutil.get_terminal_size().columns - 2  # as argparse
    return "\n".join([f"--json prints {prints}:", *lines(fields, width)])


def lines(fields: dict, width: int, indent: str = "  ") -> Iterator[str]:
    for key, said in fields.items():
        said, within = (said, {}) if isinstance(said, str) else said
        kind, _, meaning = said.partition(": ")
        entry = f"{key} ({kind}): {meaning}"
        yield from textwrap.wrap(entry, max(width, 40), initial_indent=indent, subsequent_indent=indent + " " * 6)
        yield from lines(within, width, indent + "  ")
