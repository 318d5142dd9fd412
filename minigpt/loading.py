"""Loads whichever model a folder holds."""

import os

from minigpt.config import Config, GPTConfig
from minigpt.language_model import LanguageModel
from minigpt.llama import Llama
from minigpt.llama_config import LlamaConfig
from minigpt.model import GPT
from minigpt.model_files import ModelFileError, read_settings
from minigpt.places import Device, Dtype
from minigpt.pretrained import model_folder

BY_CONFIG: dict[type[Config], type[LanguageModel]] = {GPTConfig: GPT, LlamaConfig: Llama}
BY_TYPE = {kind: model for model in BY_CONFIG.values() for kind in model.form.types}


def load(name: str | os.PathLike[str], dtype: Dtype = None, device: Device = None) -> LanguageModel:
    """The GPT or Llama that a folder holds, as its config.json says; else as `GPT.from_pretrained`.

    Raises ModelFileError for any other kind of model.
    """
    folder = model_folder(name)
    path = folder / "config.json"
    kind = read_settings(path).get("model_type")
    if kind not in [*BY_TYPE]:
        raise ModelFileError(f"{path}: model_type is {kind!r}; known are {', '.join(BY_TYPE)}")
    return BY_TYPE[kind].from_pretrained(folder, dtype=dtype, device=device)


def model_of(config: Config) -> type[LanguageModel]:
    """The class whose config this is."""
    return BY_CONFIG[type(config)]
