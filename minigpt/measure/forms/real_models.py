"""Real models, by name or from a config.json.

For each known name, `models/` has those keys of the published config.json on which the model's cache depends.
mistral-7b is v0.1 (later ones have no window); gemma-3-4b leaves its heads to the defaults of its type.
"""

import json
from pathlib import Path
from typing import Any

from minigpt.measure.forms.architecture import Architecture
from minigpt.measure.forms.config_json import read

MODELS = Path(__file__).parent / "models"
RECALL = Path(__file__).parents[2] / "recall" / "weights"
NAMES = "recall", *sorted(path.stem for path in MODELS.glob("*.json"))
MOST_BYTES = 10_000_000  # of a config.json; real ones have a few thousand
MOST_DIGITS = 100  # of a whole number in it


def load(name: str) -> Architecture:
    """The Architecture of a model known by name, or of a config.json in transformers' format, or of a folder with one.

    Raises ValueError for an unknown name, and for a config that can't be read, naming the key.
    """
    path = RECALL if name == "recall" else MODELS / f"{name}.json" if name in NAMES else Path(name)
    path = path / "config.json" if path.is_dir() else path
    if not path.exists() and name == "smollm2":
        raise ValueError("smollm2: no such folder here: the command `fetch smollm2` makes it")
    if not path.exists():
        raise ValueError(
            f"{name}: no such file or folder with a config.json, nor a model known by name; "
            f"these are: {', '.join(NAMES)}"
        )
    return read(content(path), str(path))


def content(path: Path) -> Any:
    """The content of a JSON file. Refuses all but plain files of a sane size: a pipe might never end, nor a device."""
    if not path.is_file():
        raise ValueError(f"{path}: must be a regular file that holds a config, not a folder, a pipe or a device")
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ValueError(f"{path}: a config.json has {MOST_BYTES:,} bytes at most, and this has more")
    try:
        return json.loads(text.decode(), parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: can't be read as JSON: {error}") from error


def whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits, and {MOST_DIGITS} at most are read")
    return int(digits)


def gpt_sizes(keys: dict) -> dict[str, int]:
    """The arguments of GPTConfig for a model of the sizes in a GPT-2's config.json."""
    return {
        "vocab_size": keys["vocab_size"],
        "context": keys["n_positions"],
        **{size: keys[size] for size in ("n_layer", "n_head", "n_embd")},
    }


GPT2 = gpt_sizes(content(MODELS / "gpt2.json"))  # 124 M parameters
