"""The exercises of notebook 07."""

from minigpt.check import Exercise


def waits_for_each(loads: list[float], works: list[float]) -> float:
    return float(sum(loads) + sum(works))


def finished_at(loads: list[float], works: list[float]) -> float:
    """One reader, one worker. Layer i + 1 is asked for when layer i has come and its work begins."""
    arrived, done = loads[0], 0.0
    for work, following in zip(works, [*loads[1:], 0.0], strict=True):
        begins = max(arrived, done)
        arrived, done = begins + following, begins + work
    return float(done)


def all_asked_for_at_once(loads: list[float], works: list[float]) -> float:
    arrived = done = 0.0
    for load, work in zip(loads, works, strict=True):
        arrived += load
        done = max(arrived, done) + work
    return float(done)


def write(file: list[int], first: int, rows: list[list[int]], slot: int) -> list[int]:
    """A file with the rows written from that slot on."""
    new = [number for row in rows for number in row]
    at = slot * len(rows[0])
    filled = file + [0] * (at - len(file))
    return filled[:at] + new + filled[at + len(new) :]


finish = Exercise(
    reference=finished_at,
    cases=[
        ([2.0, 2.0, 2.0], [3.0, 3.0, 3.0]),
        ([3.0, 3.0, 3.0], [2.0, 2.0, 2.0]),
        ([1.0, 9.0, 1.0, 1.0], [5.0, 1.0, 5.0, 5.0]),
        ([1.0, 1.0, 9.0], [9.0, 1.0, 1.0]),
    ],
    mistakes={
        "nothing overlaps: the next layer comes while this one works": waits_for_each,
        "the larger of the two for each layer, but the first load has nothing to hide behind": lambda loads, works: (
            float(sum(map(max, loads, works)))
        ),
        "all layers are asked for at the beginning, and would all be here: one ahead, and no more": (
            all_asked_for_at_once
        ),
        "the work of the last layer is left out": lambda loads, works: finished_at(loads, [*works[:-1], 0.0]),
    },
)

bytes_up = Exercise(
    reference=lambda prompt, new_tokens, per_token: per_token * sum(prompt + step for step in range(new_tokens - 1)),
    cases=[(7, 5, 100), (10, 1, 8), (10, 2, 8), (500, 20, 36864)],
    mistakes={
        "the last new token is never fed": lambda prompt, new_tokens, per_token: (
            per_token * sum(prompt + step for step in range(new_tokens))
        ),
        "a step brings up what was kept before: its own token is here already": lambda prompt, new_tokens, per_token: (
            per_token * sum(prompt + step + 1 for step in range(new_tokens - 1))
        ),
        "that is what goes down: each row once": lambda prompt, new_tokens, per_token: (
            per_token * (prompt + new_tokens - 1)
        ),
        "all that is kept comes up at each step, the prompt too": lambda prompt, new_tokens, per_token: (
            per_token * sum(range(new_tokens - 1))
        ),
    },
)

mended = Exercise(
    reference=lambda file, first, rows: write(file, first, rows, first),
    cases=[
        ([], 0, [[1, 2], [3, 4]]),
        ([1, 2, 3, 4], 2, [[5, 6]]),
        ([1, 2, 3, 4, 5, 6], 1, [[7, 8]]),
    ],
    mistakes={
        "this still does what the broken one does": lambda file, first, rows: write(
            file, first, rows, max(first - 1, 0)
        ),
        "new rows are not always the last: after a crop they go over old ones": lambda file, first, rows: write(
            file, first, rows, len(file) // len(rows[0])
        ),
    },
)
