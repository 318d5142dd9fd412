"""Calls that take turns, so that a busy minute hits all of them."""

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

Result = TypeVar("Result")
REST = 0.02  # seconds before each turn, in which the threads of the one before stop looking for work


def in_turns(
    calls: dict[Hashable, Callable[[], Result]],
    rounds: int,
    *,
    rest: float = REST,
    on_turn: Callable[[], None] = lambda: None,
) -> dict[Hashable, list[Result]]:
    """What each call returned in each of so many rounds, after a round of warm-up that isn't counted.

    Every second round goes backwards, so that nobody always comes after the same one. on_turn: called after each turn.
    """
    returned: dict[Hashable, list[Result]] = {name: [] for name in calls}
    order = list(calls)
    for number in range(rounds + 1):
        for name in order:
            time.sleep(rest)
            result = calls[name]()
            if number:
                returned[name].append(result)
            on_turn()
        order.reverse()
    return returned


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
