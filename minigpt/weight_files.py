"""Reads weights: first the headers, to check config.json against them, then the numbers. Only safetensors: no pickle is
ever opened."""

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from minigpt.file_format import FileFormat
from minigpt.model_files import ModelFileError, check_file, read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
DTYPES = "F64", "F32", "F16", "BF16"
HEAD = "lm_head.weight"


class Stored(NamedTuple):
    """A tensor as its file's header describes it. name: that in the file, with its prefix."""

    path: Path
    name: str
    shape: tuple[int, ...]


def read_headers(folder: Path, form: FileFormat) -> dict[str, Stored]:
    """The tensors in a folder's weight files, by their names without the format's prefix. Only names and shapes are
    read, no numbers."""
    stored: dict[str, Stored] = {}
    for path in weight_files(folder):
        with open_weights(path) as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                key = name.removeprefix(form.prefix)
                if re.fullmatch(form.unread, key):
                    continue
                if key in stored:
                    first = stored[key].path
                    raise ModelFileError(f"{path}: tensor {name} is here for the second time, the first in {first}")
                tensor = file.get_slice(name)
                if tensor.get_dtype() not in DTYPES:
                    raise ModelFileError(f"{path}: tensor {name} is {tensor.get_dtype()}; only {', '.join(DTYPES)}")
                stored[key] = Stored(path, name, tuple(tensor.get_shape()))
    return stored


def check_headers(folder: Path, stored: dict[str, Stored], wanted: dict[str, tuple[int, ...]]) -> None:
    """Each wanted tensor must be there, with its shape, and no other, except an output head beside its embedding."""
    for key, (path, name, _) in stored.items():
        if key not in wanted and key != HEAD:
            raise ModelFileError(f"{path}: tensor {name} has no place in this model")
    for key, shape in wanted.items():
        if key not in stored:
            raise ModelFileError(f"{folder}: tensor {key} is missing")
        path, _, got = stored[key]
        if got != shape:
            raise ModelFileError(f"{path}: tensor {key} has shape {got}, config.json says {shape}")


def read_tensors(
    stored: dict[str, Stored], wanted: Container[str], embedding: str, device: torch.device, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Copies of the wanted tensors, so that no later change of a file changes a model. An output head that is not
    wanted must be the embedding."""
    tensors = {}
    for path in dict.fromkeys(each.path for each in stored.values()):
        with open_weights(path) as file:
            for key, (home, name, _) in stored.items():
                if home == path and key in wanted:
                    tensors[key] = file.get_tensor(name).to(device, dtype, copy=True)
                    if not all(bound.isfinite() for bound in tensors[key].aminmax()):
                        raise ModelFileError(
                            f"{path}: tensor {name} has NaN or infinity in it, as {dtype}: take another copy of the "
                            "file, or a dtype that reaches further"
                        )
    spare = HEAD in stored and HEAD not in wanted
    if spare and not torch.equal(as_stored(stored[HEAD]), as_stored(stored[embedding])):
        raise ModelFileError(f"{stored[HEAD].path}: {HEAD} is not {embedding}; config.json says a tied head")
    return tensors


def as_stored(tensor: Stored) -> torch.Tensor:
    """The numbers as they stand in the file, which is mapped: read them at once, and let them go."""
    with open_weights(tensor.path) as file:
        return file.get_tensor(tensor.name)


@contextmanager
def open_weights(path: Path) -> Iterator[safe_open]:
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a whole safetensors file ({error})") from error


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the shards that its index lists."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        raise ModelFileError(f"{folder}: neither {WEIGHTS} nor {INDEX} (pickled weights are never opened)")
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFileError(f"{folder / INDEX}: weight_map missing")
    shards = sorted(set(map(str, weight_map.values())))
    for shard in shards:
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise ModelFileError(f"{folder / INDEX}: shard {shard!r} is not a file of this folder")
    return [folder / shard for shard in shards]
