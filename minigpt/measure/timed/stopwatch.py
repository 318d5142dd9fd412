"""When each token of a generation came."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Took(NamedTuple):
    """Seconds. first_token: from the call to the first new token: checks, a new cache, the prefill. token: each further
    one, on average."""

    first_token: float
    token: float


class Stopwatch:
    """A streamer, as `generate` takes one, ours and transformers'. It starts when it is made.

    now: the clock, in seconds. A streamer is given numbers in CPU memory, so a GPU has finished them.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self.now, self.begun = now, now()
        self.came: list[float] = []

    def put(self, ids) -> None:
        """The prompt, then the new tokens of each step."""
        self.came.append(self.now())

    def end(self) -> None:
        pass

    @property
    def took(self) -> Took:
        """Raises ValueError if fewer than two new tokens came: then there was no decode."""
        new = self.came[1:]  # after the prompt
        if len(new) < 2:
            raise ValueError(f"a time a token needs two new tokens or more, got {len(new)}")
        return Took(new[0] - self.begun, (new[-1] - new[0]) / (len(new) - 1))
