"""Where a decode step's time goes, in eager and compiled steps: measured in turns, saved and read back."""

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from minigpt.cache import CACHES
from minigpt.measure.timed.contestants import COMPILED
from minigpt.measure.timed.machine import READ, Speeds, machine
from minigpt.measure.timed.parts import AGAIN, Step
from minigpt.measure.timed.shapes import random_model
from minigpt.measure.timed.turns import in_turns

EAGER = "concat", "dynamic", "quantized"


@dataclass(frozen=True)
class Profile:
    """steps: by shape of the model (random weights, float32), then by contestant: `seconds` of a step, those of its
    `parts`, and `nbytes` that must be read and written. bytes_per_second: the memory's own speed, by a plain sum. All
    of the fastest of so many rounds."""

    machine: dict
    tokens: int
    rounds: int
    bytes_per_second: float
    steps: dict[str, dict[str, dict]]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path) -> "Profile":
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@torch.inference_mode()
def record(
    shapes: tuple[str, ...] = ("recall", "gpt2"), tokens: int = 1024, rounds: int = 9, read: int = READ
) -> Profile:
    """Measure, in turns: eager, and compiled with every cache that can be and keeps all tokens.

    read: how many numbers are summed, far more than the processor's caches hold.
    """
    who = [(name, False) for name in EAGER] + [(name, True) for name in COMPILED if not CACHES[name].needs_window]
    models = {shape: random_model(shape, tokens + 1) for shape in shapes}
    steps = {(shape, *each): Step(model, *each, tokens) for shape, model in models.items() for each in who}
    speeds = Speeds(torch.device("cpu"), [], read=read)
    calls: dict[Hashable, Callable[[], float]] = {"sum": lambda: min(speeds.calls["sum"]() for _ in range(AGAIN))}
    for of, step in steps.items():
        calls |= {(of, name): call for name, call in step.measures.items()}
    took = in_turns(calls, rounds)
    told: dict[str, dict[str, dict]] = {shape: {} for shape in shapes}
    for of, step in steps.items():
        told[of[0]][step.name] = step.told({name: took[of, name] for name in step.measures})
    bytes_per_second, _ = speeds.per_second(took)
    return Profile(machine(torch.device("cpu")), tokens, rounds, max(bytes_per_second), told)
