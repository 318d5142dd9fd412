"""Hugging Face's GPT-2 format: a model is loaded from a folder or by its name, and saved to a folder."""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from minigpt.config import GPTConfig
from minigpt.from_transformers import speaks_transformers
from minigpt.model_files import ACTIVATIONS, FIXED, LARGEST_JSON, SIZES, ModelFileError, check_file, read_config
from minigpt.places import Device, Dtype, usable_device, usable_dtype
from minigpt.uninitialised import without_init
from minigpt.weight_files import INDEX, WEIGHTS, check_headers, read_headers, read_tensors

if TYPE_CHECKING:
    from typing_extensions import Self

BUNDLED = {"recall": Path(__file__).parent / "recall" / "weights"}


class Pretrained(nn.Module):
    """What makes a model load and save itself."""

    config: GPTConfig

    @classmethod
    @speaks_transformers
    def from_pretrained(cls, name: str | os.PathLike[str], dtype: Dtype = None, device: Device = None) -> "Self":
        """Load a GPT from a folder, the bundled one ("recall"), or one of the Hugging Face hub by its name.

        name: a folder with config.json and model.safetensors (or its shards) in transformers' GPT-2 format;
            else a name, looked up among the bundled models, in the local hub cache, then on the hub.
        dtype, device: of the parameters (None: torch's defaults, whatever the file holds).
        Raises ModelFileError, and returns no half-built model.
        """
        device, dtype = usable_device(device), usable_dtype(dtype)
        folder = model_folder(name)
        config = read_config(folder / "config.json")
        stored = read_headers(folder)
        if config.n_layer > len(stored):
            raise ModelFileError(f"{folder}: n_layer is {config.n_layer}, but there are only {len(stored)} tensors")
        check_headers(folder, stored, file_shapes(cls, config))
        model = without_memory(cls, config)
        tensors = read_tensors(stored, device, dtype)  # they become the parameters
        state = {name: tensors[name].T if is_conv1d(name) else tensors[name] for name, _ in model.named_parameters()}
        model.load_state_dict(state, assign=True)
        return model.requires_grad_(True).eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors, which transformers' AutoModelForCausalLM loads as GPT-2.

        Raises ValueError for what GPT-2's format can't say (grouped heads, window, sinks): transformers would
        load such a folder without a word and compute something else.
        """
        config = self.config
        if config.n_kv_head != config.n_head:
            heads = f"n_kv_head {config.n_kv_head}, n_head {config.n_head}"
            raise ValueError(f"GPT-2's format has no grouped heads: {heads}")
        if config.window is not None:
            raise ValueError(f"GPT-2's format has no window: window {config.window}, sinks {config.sinks}")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
        settings |= FIXED | {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": ACTIVATIONS[0],
            "bos_token_id": None,
            "eos_token_id": None,
            "dtype": str(self.dtype).removeprefix("torch."),
        }
        tensors = {
            "transformer." + name: (parameter.T if is_conv1d(name) else parameter).detach().contiguous()
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
    shapes = {}
    for name, parameter in without_memory(cls, dataclasses.replace(config, n_layer=1)).named_parameters():
        shape = tuple(parameter.shape)
        for layer in range(config.n_layer if name.startswith("h.0.") else 1):
            shapes[name.replace("h.0.", f"h.{layer}.", 1)] = shape[::-1] if is_conv1d(name) else shape
    return shapes


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
    from huggingface_hub import snapshot_download  # takes a while to import, and only names need it

    files = ["config.json", "tokenizer.json", WEIGHTS, INDEX, "model-*-of-*.safetensors"]
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
            f"{name}: no such folder, not in the local hub cache, and the hub did not give it ({error})"
        ) from error


def is_conv1d(name: str) -> bool:
    """Whether GPT-2's file stores this weight as (in, out), the transpose of what nn.Linear has."""
    return re.search(r"\.c_(attn|fc|proj)\.weight$", name) is not None
