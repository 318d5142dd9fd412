"""Reads a model's files, which may come from anyone: only plain files are opened."""

import json
import stat
import sys
from pathlib import Path

LARGEST_JSON = 100 * 2**20  # bytes of config.json, tokenizer.json and the index


class ModelFileError(ValueError):
    """A model file is missing, damaged or of another kind. The message names the file and the tensor or key."""


def first_line(error: Exception) -> str:
    """What the hub says in several."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def read_settings(path: Path) -> dict:
    """The content of a config.json."""
    if not path.exists():
        raise ModelFileError(
            f"{path}: no such file, but a model's folder has config.json and model.safetensors (or its shards), as "
            "save_pretrained writes them, and tokenizer.json for text: name such a folder"
        )
    return read_json(path)


def read_json(path: Path) -> dict:
    check_file(path, LARGEST_JSON)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelFileError(f"{path}: not a JSON object")
    return content


def check_file(path: Path, largest: int = sys.maxsize) -> None:
    """Only plain files are opened: a pipe would wait for ever, and a device never ends."""
    try:
        status = path.stat()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"{path}: not a plain file, and no other is opened")
    if status.st_size > largest:
        raise ModelFileError(f"{path}: {status.st_size:,} bytes, more than the {largest:,} that are read of its kind")
