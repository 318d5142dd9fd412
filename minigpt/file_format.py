"""What a kind of model's files call its sizes and tensors. A config.json that asks for other mathematics is refused."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigpt.config import Config
from minigpt.model_files import ModelFileError

LARGEST_SIZE = 2**28  # accepted in config.json: a product of three still fits in 64 bits


class FileFormat(ABC):
    """A format, there and back.

    types: the model_type of each kind that it covers. sizes: for each size in config.json what a Config calls it;
    required: those that must be there. prefix: what may stand before a tensor's name. embedding: the parameter that a
    tied head repeats. block: how the names of a layer's parameters begin. unread: tensors beside the weights.
    """

    types: tuple[str, ...]
    sizes: dict[str, str]
    required: tuple[str, ...]
    prefix: str
    embedding: str
    block: str
    unread: str

    def config(self, path: Path, settings: dict) -> Config:
        """The Config of a config.json. Raises ModelFileError for any whose mathematics isn't covered."""
        kind = settings.get("model_type")
        if kind not in self.types:
            reads = " or ".join(map(repr, self.types))
            raise ModelFileError(f"{path}: model_type is {kind!r}, this reads {reads}; minigpt.load reads all")
        self.check(path, settings)
        if missing := [key for key in self.required if key not in settings]:
            raise ModelFileError(f"{path}: {', '.join(missing)} missing")
        for key in self.sizes.keys() & settings.keys():
            if isinstance(settings[key], int) and settings[key] > LARGEST_SIZE:
                raise ModelFileError(f"{path}: {key} is {settings[key]}, which no model has: {LARGEST_SIZE} at most")
        try:
            return self.read(settings)
        except (ValueError, TypeError) as error:
            message = str(error)
            for theirs, ours in self.sizes.items():
                message = re.sub(rf"\b{ours}\b", theirs, message)
            raise ModelFileError(f"{path}: {message}") from error

    @abstractmethod
    def check(self, path: Path, settings: dict) -> None:
        """Raises ModelFileError for keys that ask for other mathematics."""

    @abstractmethod
    def read(self, settings: dict) -> Config:
        """The Config of settings that were checked. Raises ValueError or TypeError."""

    @abstractmethod
    def settings(self, config: Any) -> dict[str, Any]:
        """What config.json says of that Config. Raises ValueError for what the format can't say."""

    def name(self, parameter: str) -> str:
        """A parameter's name in the file, but for the prefix."""
        return parameter

    def transposed(self, parameter: str) -> bool:
        """Whether the file has the transpose of what the model has."""
        return False


def check_values(path: Path, settings: dict, only: Mapping[str, tuple]) -> None:
    """Raises ModelFileError for a key that is there and has none of its values, the first of which is the usual one."""
    for key, values in only.items():
        if settings.get(key, values[0]) not in values:
            known = " or ".join(map(repr, values))
            raise ModelFileError(f"{path}: {key} is {settings[key]!r}, which changes the mathematics; only {known}")
