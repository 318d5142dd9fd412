"""Hugging Face's format: a model is loaded from a folder or by its name, and saved to a folder."""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from minigpt.config import Config
from minigpt.file_format import FileFormat
from minigpt.from_transformers import speaks_transformers
from minigpt.model_files import LARGEST_JSON, ModelFileError, check_file, first_line, read_settings
from minigpt.places import Device, Dtype, usable_device, usable_dtype
from minigpt.uninitialised import without_init
from minigpt.weight_files import HEAD, INDEX, WEIGHTS, check_headers, read_headers, read_tensors

if TYPE_CHECKING:
    from typing_extensions import Self

BUNDLED = {"recall": Path(__file__).parent / "recall" / "weights"}
SPECIAL = "bos_token_id", "eos_token_id", "pad_token_id"


class Pretrained(nn.Module):
    """What makes a model load and save itself. special_tokens: what its config.json said of them; nothing here uses it,
    and it is saved again."""

    config: Config
    form: FileFormat
    special_tokens: dict[str, Any] = dict.fromkeys(SPECIAL)

    @classmethod
    @speaks_transformers
    def from_pretrained(cls, name: str | os.PathLike[str], dtype: Dtype = None, device: Device = None) -> "Self":
        """Load a model of this kind from a folder, the bundled one ("recall"), or one of the Hugging Face hub by its
        name. (`minigpt.load` takes whichever kind is there.)

        name: a folder with config.json and model.safetensors (or its shards) in transformers' format;
            else a name, looked up among the bundled models, in the local hub cache, then on the hub.
        dtype, device: of the parameters (None: torch's defaults, whatever the file holds).
        Raises ModelFileError, and returns no half-built model.
        """
        device, dtype = usable_device(device), usable_dtype(dtype)
        folder, form = model_folder(name), cls.form
        settings = read_settings(folder / "config.json")
        config = form.config(folder / "config.json", settings)
        stored = read_headers(folder, form)
        if config.n_layer > len(stored):
            raise ModelFileError(f"{folder}: n_layer is {config.n_layer}, but there are only {len(stored)} tensors")
        shapes = file_shapes(cls, config)
        check_headers(folder, stored, shapes)
        model = without_memory(cls, config)
        tensors = read_tensors(stored, shapes, form.embedding, device, dtype)  # they become the parameters
        state = {
            name: tensors[form.name(name)].T if form.transposed(name) else tensors[form.name(name)]
            for name, _ in model.named_parameters()
        }
        model.load_state_dict(state, assign=True, strict=False)  # a tied head comes with its embedding
        model.special_tokens = {key: settings[key] for key in SPECIAL if key in settings}
        return model.requires_grad_(True).eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors, which transformers' AutoModelForCausalLM loads.

        Raises ValueError for what the format can't say (as GPT-2's grouped heads, a window, or sinks): transformers
        would load such a folder without a word and compute something else.
        """
        form, dtype = self.form, str(self.dtype).removeprefix("torch.")
        settings = form.settings(self.config) | {"dtype": dtype} | dict.fromkeys(SPECIAL) | self.special_tokens
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            in_file(form, name): (parameter.T if form.transposed(name) else parameter).detach().contiguous()
            for name, parameter in self.named_parameters()
        }
        # Each file is written whole beside its place, then moved into it: a crash leaves no half-written model.
        part = folder / (WEIGHTS + ".part")
        save_file(tensors, part, metadata={"format": "pt"})
        os.replace(part, folder / WEIGHTS)
        part = folder / "config.json.part"
        part.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(part, folder / "config.json")


def without_memory(cls, config):
    """A model whose parameters are meta tensors: a shape, no data."""
    with without_init(), torch.device("meta"):
        return cls(config)


def file_shapes(cls, config) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor in the file of such a model. One layer is built: the others are like it."""
    shapes, form = {}, cls.form
    one = dataclasses.replace(config, n_layer=1, window=config.windows[0], sinks=0)
    for name, parameter in without_memory(cls, one).named_parameters():
        shape, first = tuple(parameter.shape), f"{form.block}0."
        for layer in range(config.n_layer if name.startswith(first) else 1):
            key = form.name(name).replace(first, f"{form.block}{layer}.", 1)
            shapes[key] = shape[::-1] if form.transposed(name) else shape
    return shapes


def in_file(form: FileFormat, parameter: str) -> str:
    """Its whole name there: the head alone has no prefix."""
    name = form.name(parameter)
    return name if name == HEAD else form.prefix + name


def load_tokenizer(name: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a model named as in `from_pretrained`. Raises ModelFileError where there is none."""
    path = model_folder(name) / "tokenizer.json"
    if not path.exists():
        raise ModelFileError(f"{path}: no such file, so text can't be turned into tokens")
    check_file(path, LARGEST_JSON)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more precise
        raise ModelFileError(f"{path}: not a tokenizer ({error})") from error


def model_folder(name: str | os.PathLike[str]) -> Path:
    """The folder that holds a model: a bundled one, a folder as it stands, or one of the hub's."""
    if name in BUNDLED:
        return BUNDLED[name]
    if name and Path(name).is_dir():
        return Path(name)
    if name and Path(name).is_file():
        raise ModelFileError(f"{name} is a file: name the folder that it is in")
    if isinstance(name, os.PathLike) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise ModelFileError(
            f"{name}: no such folder: give one with config.json and model.safetensors, or a name, such as recall"
        )
    if name == "smollm2":
        raise ModelFileError("smollm2: no such folder here: the command `fetch smollm2` makes it")
    from huggingface_hub import snapshot_download  # takes a while to import, and only names need it

    files = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        WEIGHTS,
        INDEX,
        "model-*-of-*.safetensors",
    ]
    try:
        folder = Path(snapshot_download(name, allow_patterns=files, local_files_only=True))
        if (folder / WEIGHTS).exists() or (folder / INDEX).exists():
            return folder
    except (OSError, ValueError):
        pass  # not in the local cache, or not a name at all
    try:
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:  # whatever the network or the hub raises: a dozen unrelated types
        raise ModelFileError(
            f"{name}: no such folder, not in the local hub cache, and the hub did not give it ({first_line(error)})"
        ) from error
