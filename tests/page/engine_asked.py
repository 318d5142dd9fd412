"""What the page's engine is asked for: run by Node, all answers of a call from one process."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from minigpt.page import node
from minigpt.recall.corpus import held_out

ANSWERS = Path(__file__).with_name("engine_answers.mjs")
NEEDS_NODE = pytest.mark.skipif(not node.there(), reason="no `node` on the path: the page's engine is not tested")

CLOSE = 1e-4  # of logits: float32 in another order (the issue of a page asks for 1e-3)

CHANNELS = {"q_group_size": 16, "residual_length": 8, "group_key": "channel"}

CACHES = {  # name: (cache, options; window and sinks are the model's)
    "none": ("none", {}),
    "none, windowed": ("none", {"window": 16, "sinks": 2}),
    "dynamic": ("dynamic", {}),
    "dynamic, windowed": ("dynamic", {"window": 16, "sinks": 2}),
    "ring": ("sliding_window", {"window": 16}),
    "ring with sinks": ("sliding_window", {"window": 16, "sinks": 2}),
    "tight ring": ("sliding_window", {"window": 5, "chunk": 1, "sinks": 1}),
    "ring, chunks of 7": ("sliding_window", {"window": 16, "chunk": 7}),
    "ring wider than the text": ("sliding_window", {"window": 300, "sinks": 4}),
    "quantized": ("quantized", {}),
    **{f"int{bits} by token": ("quantized", {"nbits": bits, "residual_length": 8}) for bits in (8, 4, 2)},
    **{f"int{bits} by channel": ("quantized", {"nbits": bits, **CHANNELS}) for bits in (8, 4, 2)},
    "values by channel": ("quantized", {"nbits": 4, **CHANNELS, "group_key": "token", "group_value": "channel"}),
    "groups of 2 tokens": ("quantized", {"nbits": 4, "q_group_size": 128, "residual_length": 0}),
    "4 groups a head": ("quantized", {"nbits": 4, "q_group_size": 16, "residual_length": 1}),
}

SPEECH = "HAMLET.\nTo be, or not to be, that is the question"


def prose(start, length):
    return torch.from_numpy(held_out().ids[start : start + length].astype(np.int64))


TEXT, FED = prose(4000, 75), 60  # a prompt of 60 tokens, then one by one


def followed(name, text, prompt):
    cache, options = CACHES[name]
    return {"kind": "followed", "text": text.tolist(), "prompt": prompt, "cache": cache, "options": options}


def generated(name, prompt, new):
    cache, options = CACHES[name]
    return {"prompt": prompt.tolist(), "cache": cache, "options": options, "newTokens": new}


def served_by(model, options):
    """The model with its window, and the options of the cache."""
    window, sinks = options.get("window"), options.get("sinks", 0)
    rest = {name: value for name, value in options.items() if name not in ("window", "sinks")}
    return (model if window is None else model.with_window(window, sinks)), rest


def asked(requests: dict[str, dict], engine: Path = node.ENGINE) -> dict:
    """The answers, by the names of the requests."""
    return dict(zip(requests, node.ask(ANSWERS, [*requests.values()], engine), strict=True))


def mutant(folder: Path, file: str, before: str, after: str) -> Path:
    """A copy of the engine with one change."""
    engine = shutil.copytree(node.ENGINE, folder / "engine")
    source = (engine / f"{file}.mjs").read_text(encoding="utf-8")
    assert before in source
    (engine / f"{file}.mjs").write_text(source.replace(before, after), encoding="utf-8")
    return engine


def is_noticed(notices, requests: dict[str, dict], engine: Path) -> None:
    """notices(answers): a test that the engine passes, and this one fails."""
    notices(asked(requests))
    with pytest.raises(AssertionError):
        notices(asked(requests, engine))
