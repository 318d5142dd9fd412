"""Loads whichever model a folder holds."""

import os

from minigpt.language_model import LanguageModel
from minigpt.llama import Llama
from minigpt.model import GPT
from minigpt.model_files import ModelFileError, read_settings
from minigpt.places import Device, Dtype
from minigpt.pretrained import model_folder

MODELS: dict[str, type[LanguageModel]] = {kind: model for model in (GPT, Llama) for kind in model.form.types}


def load(name: str | os.PathLike[str], dtype: Dtype = None, device: Device = None) -> LanguageModel:
    """The GPT or Llama that a folder holds, as its config.json says; else as `GPT.from_pretrained`.

    Raises ModelFileError for any other kind of model.
    """
    folder = model_folder(name)
    path = folder / "config.json"
    kind = read_settings(path).get("model_type")
    if kind not in [*MODELS]:
        raise ModelFileError(f"{path}: model_type is {kind!r}; known are {', '.join(MODELS)}")
    return MODELS[kind].from_pretrained(folder, dtype=dtype, device=device)
