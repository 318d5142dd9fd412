"""Two generations side by side, each by its own clock."""

import time
from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from minigpt.arguments import plan
from minigpt.cache_arguments import new_cache
from minigpt.generate import steps
from minigpt.measure.counted.meter import Meter
from minigpt.measure.counted.run import synchronize

Pick = Callable[[Tensor], Tensor]


class Lane:
    """One generation, which goes on a token at a time. seconds: what its own steps have taken so far."""

    def __init__(self, model, ids: Int[Tensor, "1 T"], new_tokens: int, name: str, pick: Pick):
        self.name, self.device, self.dtype, self.config = name, model.device, model.dtype, model.config
        self.prompt, self.wanted = ids.shape[1], new_tokens
        self.text, positions = plan(model, ids, None, new_tokens)
        fed = self.text.shape[1] - 1  # the last token is never fed
        self.meter = Meter(new_cache(model, 1, fed, name, {}), model.config, fed)
        self.steps = steps(model, self.text, positions, self.prompt, self.meter, pick)
        self.made, self.seconds = 0, 0.0

    @torch.inference_mode()
    def step(self) -> None:
        begin = time.perf_counter()
        next(self.steps)
        synchronize(self.device)
        self.seconds += time.perf_counter() - begin
        self.made += 1

    @property
    def done(self) -> bool:
        return self.made == self.wanted

    @property
    def tokens(self) -> list[int]:
        """The prompt and what has been generated."""
        return self.text[0, : self.prompt + self.made].tolist()

    @property
    def rows(self) -> int:
        """K/V rows computed so far, in all layers."""
        return int(self.meter.times.sum())


def race(lanes: list[Lane], on_step: Callable[[Lane], None] = lambda lane: None) -> None:
    """Run all to the end: always the one whose clock is behind makes its next token.

    So at any moment the clocks show about the same time, as if each had the machine to itself; what `on_step` takes
    is on no clock.
    """
    while running := [lane for lane in lanes if not lane.done]:
        lane = min(running, key=lambda lane: lane.seconds)
        lane.step()
        on_step(lane)
