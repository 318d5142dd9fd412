"""Checks, before the work, that its result can be written where --out says; then writes it."""

import os
import tempfile
from argparse import ArgumentTypeError
from pathlib import Path


def file(named: str) -> Path:
    """The argument of --out. A Path would forget that a folder was meant."""
    if named.endswith(("/", os.sep)):
        raise ArgumentTypeError(f"{named} is a folder: name a file in it")
    return Path(named)


def check_file(path: Path) -> None:
    """Raises ValueError where no file can be written at this path. Nothing is left behind."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{path} can't be written: name another file, or allow it")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Raises ValueError where no file can be written in this folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()  # on most systems it never has a name
    except OSError as error:
        raise ValueError(f"{folder} can't be written in ({there}: {error.strerror}): name another place") from error


def write(page: str, out: Path) -> None:
    """All of it, or nothing: a page that is there already stays as it was until the new one is whole."""
    part = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8", newline="\n")
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ValueError(f"{out} can't be written ({error.strerror}): free some room, or name another place") from error
