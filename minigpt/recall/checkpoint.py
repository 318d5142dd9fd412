"""The state of a training run in one safetensors file: parameters, AdamW's moments, and the curve so far.

Every batch follows from the seed and the step, so there is no state of a random generator to keep.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from minigpt.model_files import check_file
from minigpt.recall.corpus import Text
from minigpt.recall.settings import Settings

MOMENTS = "exp_avg", "exp_avg_sq"


def save(
    path: Path, model: nn.Module, optimizer: torch.optim.AdamW, settings: Settings, text: Text, curve: list[dict]
) -> None:
    """Write a checkpoint, whole or not at all. The curve's last point says the step."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[f"parameter.{name}"] = parameter.detach()
        tensors |= {f"{moment}.{name}": optimizer.state[parameter][moment] for moment in MOMENTS}
    save_file(tensors, f"{path}.part", {"origin": origin(settings, text), "curve": json.dumps(curve)})
    os.replace(f"{path}.part", path)


def load(path: Path, model: nn.Module, optimizer: torch.optim.AdamW, settings: Settings, text: Text) -> list[dict]:
    """Go on from a checkpoint: fill model and optimizer, return the curve so far.

    Raises ValueError, before anything is filled, if the checkpoint is damaged, or was made with other settings or
    another text.
    """
    made_with, curve, tensors = read(path)
    if made_with != origin(settings, text):
        raise ValueError(
            f"{path} is of another run: it was made with {made_with}, and this is "
            f"{origin(settings, text)}. Remove it to start afresh, or give the settings and the text that it had"
        )
    wanted = {f"{kind}.{name}" for kind in ("parameter", *MOMENTS) for name, _ in model.named_parameters()}
    if tensors.keys() != wanted:
        raise not_whole(path, f"other tensors than this model's, as {min(tensors.keys() ^ wanted)}")
    for name, parameter in model.named_parameters():
        parameter.data.copy_(tensors[f"parameter.{name}"])
        moments = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(curve[-1]["step"])), **moments}
    return curve


def read(path: Path) -> tuple[str, list[dict], dict[str, torch.Tensor]]:
    """The origin, the curve and copies of the tensors."""
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a dict)
        return metadata["origin"], json.loads(metadata["curve"]), tensors
    except KeyError as error:
        raise not_whole(path, f"nothing in it says {error}") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise not_whole(path, error) from error


def not_whole(path, why) -> ValueError:
    return ValueError(f"{path} is not a whole checkpoint of this program ({why}): remove it to start afresh")


def origin(settings: Settings, text: Text) -> str:
    """All that a run's weights depend on, as JSON."""
    return json.dumps(asdict(settings) | {"text": text.digest})
