"""Where a run stands, in one safetensors file: parameters, AdamW's moments, and the curve so far.

Every batch follows from the seed and the step, so there is no state of a random generator to keep.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

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

    Raises ValueError where it was made with other settings or another text.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if metadata["origin"] != origin(settings, text):
            raise ValueError(
                f"{path} is of another run: it was made with {metadata['origin']}, and this is "
                f"{origin(settings, text)}. Remove it to start afresh, or give the settings and the text that it had"
            )
        curve = json.loads(metadata["curve"])
        for name, parameter in model.named_parameters():
            parameter.data.copy_(file.get_tensor(f"parameter.{name}"))
            moments = {moment: file.get_tensor(f"{moment}.{name}") for moment in MOMENTS}
            optimizer.state[parameter] = {"step": torch.tensor(float(curve[-1]["step"])), **moments}
    return curve


def origin(settings: Settings, text: Text) -> str:
    """What a run's weights depend on."""
    return json.dumps(asdict(settings) | {"text": text.digest})
