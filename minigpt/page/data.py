"""What the page carries beside its code: the bundled model, as its worker loads it, and what the scenes show."""

import base64
import json
from dataclasses import asdict
from typing import Any

from minigpt.gpt2_format import GPT2Format
from minigpt.model_files import read_settings
from minigpt.page import scene_data
from minigpt.pretrained import BUNDLED
from minigpt.weight_files import WEIGHTS


def model() -> dict[str, Any]:
    """config: as GPTConfig names it. safetensors: the file of the weights, in base64: they are its own float16, and no
    bit is lost. tokenizer: its tokenizer.json."""
    folder = BUNDLED["recall"]
    config = GPT2Format().config(folder / "config.json", read_settings(folder / "config.json"))
    return {
        "config": asdict(config),
        "safetensors": base64.b64encode((folder / WEIGHTS).read_bytes()).decode("ascii"),
        "tokenizer": json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")),
    }


def scenes() -> dict[str, Any]:
    """Small enough to be parsed before the page is drawn."""
    return {"memory": scene_data.memory(), "forget": scene_data.forget()}
