"""Reads a model's files, which may come from anyone: only plain files are opened, and a config.json that asks for other
mathematics than this model's is refused."""

import json
import re
import stat
import sys
from pathlib import Path

from minigpt.config import GPTConfig

# What config.json calls the sizes.
SIZES = {
    "vocab_size": "vocab_size",
    "n_positions": "context",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
    "n_inner": "n_inner",
    "layer_norm_epsilon": "layer_norm_epsilon",
}
REQUIRED = "vocab_size", "n_positions", "n_layer", "n_head", "n_embd"
# Keys that change the mathematics, and the only value of each that this model computes.
FIXED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
ACTIVATIONS = "gelu_new", "gelu_pytorch_tanh"  # two names of one function
LARGEST_SIZE = 2**28  # accepted in config.json: a product of three still fits in 64 bits
LARGEST_JSON = 100 * 2**20  # bytes of config.json, tokenizer.json and the index


class ModelFileError(ValueError):
    """A model file is missing, damaged or of another kind. The message names the file and the tensor or key."""


def read_config(path: Path) -> GPTConfig:
    """The GPTConfig of a config.json. Raises ModelFileError for any that GPT-2's mathematics doesn't cover."""
    if not path.exists():
        raise ModelFileError(
            f"{path}: no such file, but a model's folder has config.json and model.safetensors (or its shards), as "
            "save_pretrained writes them, and tokenizer.json for text: name such a folder"
        )
    settings = read_json(path)
    if settings.get("model_type") != "gpt2":
        raise ModelFileError(f"{path}: model_type is {settings.get('model_type')!r}, this reads 'gpt2'")
    for key, only in FIXED.items():
        if settings.get(key, only) != only:
            raise ModelFileError(f"{path}: {key} is {settings[key]!r}, which changes the mathematics; only {only!r}")
    activation = settings.get("activation_function", ACTIVATIONS[0])
    if activation not in ACTIVATIONS:
        raise ModelFileError(f"{path}: activation_function is {activation!r}; only {' or '.join(ACTIVATIONS)}")
    missing = [key for key in REQUIRED if key not in settings]
    if missing:
        raise ModelFileError(f"{path}: {', '.join(missing)} missing")
    for key in SIZES.keys() & settings.keys():
        if isinstance(settings[key], int) and settings[key] > LARGEST_SIZE:
            raise ModelFileError(f"{path}: {key} is {settings[key]}, which no model has: {LARGEST_SIZE} at most")
    try:
        return GPTConfig(**{ours: settings[theirs] for theirs, ours in SIZES.items() if theirs in settings})
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: {re.sub('^context', 'n_positions', str(error))}") from error


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
