"""Writes what a GGUF file holds as a folder in transformers' format."""

import json
from pathlib import Path

from gguf import GGUFReader
from safetensors.numpy import save_file

from minigpt.fetch.gguf_config import read_config, special_tokens
from minigpt.fetch.gguf_tokenizer import read_tokenizer, read_tokenizer_config
from minigpt.fetch.gguf_weights import read_weights


def write_folder(file: Path, folder: Path) -> None:
    """Write the Llama of a GGUF file into a folder, in float32. Raises ValueError for a file that
    this doesn't read."""
    reader = GGUFReader(file)
    config = read_config(reader)
    settings = {
        "config.json": config,
        "generation_config.json": special_tokens(reader),
        "tokenizer_config.json": read_tokenizer_config(reader),
    }
    for name, content in settings.items():
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    read_tokenizer(reader).save(str(folder / "tokenizer.json"))
    save_file(read_weights(reader, config), folder / "model.safetensors", metadata={"format": "pt"})
