"""The exercises of notebook 07."""

from minigpt.check import Exercise


def finished_at(loads: list[float], works: list[float], room: int) -> float:
    """One reader, one worker. A layer is loaded when the one before it has come, and the one `room` before is done."""
    arrived: list[float] = []
    done: list[float] = []
    for layer, (load, work) in enumerate(zip(loads, works, strict=True)):
        free = done[layer - room] if layer >= room else 0.0
        arrived.append(max([free, *arrived[-1:]]) + load)
        done.append(max([arrived[-1], *done[-1:]]) + work)
    return float(done[-1])


def write(file: list[int], rows: list[list[int]], slot: int) -> list[int]:
    """A file with the rows written from that slot on."""
    return put(file, slot * len(rows[0]), rows)


def put(file: list[int], at: int, rows: list[list[int]], over: int | None = None) -> list[int]:
    """A file with the rows from its number `at` on, in place of `over` numbers (None: of as many as there are)."""
    new = [number for row in rows for number in row]
    return file[:at] + new + file[at + (len(new) if over is None else over) :]


finish = Exercise(
    reference=finished_at,
    cases=[
        ([2.0, 2.0, 2.0], [3.0, 3.0, 3.0], 2),
        ([3.0, 3.0, 3.0], [2.0, 2.0, 2.0], 2),
        ([1.0, 1.0, 9.0, 1.0], [5.0, 5.0, 1.0, 1.0], 2),
        ([1.0, 1.0, 9.0, 1.0], [5.0, 5.0, 1.0, 1.0], 3),
        ([1.0, 9.0, 1.0, 1.0], [5.0, 1.0, 5.0, 5.0], 1),
        ([0.5, 1.25, 0.5], [1.0, 0.75, 2.25], 2),
    ],
    mistakes={
        "a time need not be a whole number of ticks: keep the fraction": lambda loads, works, room: int(
            finished_at(loads, works, room)
        ),
        "nothing overlaps: the next layer comes while this one works": lambda loads, works, room: finished_at(
            loads, works, 1
        ),
        "the larger of the two for each layer, but the first load has nothing to hide behind": (
            lambda loads, works, room: float(sum(map(max, loads, works)))
        ),
        "two layers have room, however many there is room for": lambda loads, works, room: finished_at(loads, works, 2),
        "all layers are asked for at the beginning, and would all be here": lambda loads, works, room: finished_at(
            loads, works, len(loads)
        ),
        "the work of the last layer is left out": lambda loads, works, room: finished_at(
            loads, [*works[:-1], 0.0], room
        ),
    },
)

hidden_up_to = Exercise(
    # batch x n x token / link = (weights + batch x n x token) / gpu, solved for n
    reference=lambda weights, token, batch, gpu, link: weights * link // (batch * token * (gpu - link)),
    cases=[
        (1000, 3, 1, 100, 10),
        (1000, 3, 4, 100, 10),
        (500_000_000, 4096, 1, 1000, 25),
        (500_000_000, 4096, 16, 1000, 500),
        (1000, 10, 1, 30, 20),
    ],
    mistakes={
        "the layer reads its keys and values too, not only its weights": lambda weights, token, batch, gpu, link: (
            weights * link // (batch * token * gpu)
        ),
        "each text has keys and values of its own, and all share the weights": (
            lambda weights, token, batch, gpu, link: weights * link // (token * (gpu - link))
        ),
        "one token more is not hidden any more: round down": lambda weights, token, batch, gpu, link: (
            -(-weights * link // (batch * token * (gpu - link)))
        ),
        "the loads come over the link, the work reads the GPU's own memory": (
            lambda weights, token, batch, gpu, link: weights * gpu // (batch * token * abs(gpu - link))
        ),
    },
)

mended = Exercise(
    reference=lambda file, first, rows: write(file, rows, first),
    cases=[
        ([], 0, [[1, 2], [3, 4]]),
        ([1, 2, 3, 4, 5, 6], 3, [[7, 8]]),
        ([1, 2, 3, 4, 5, 6], 1, [[7, 8]]),
        ([*range(1, 13)], 1, [[21, 22, 23], [24, 25, 26]]),
    ],
    mistakes={
        "this still does what the broken one does": lambda file, first, rows: write(file, rows, max(first - 1, 0)),
        "all rows are to be written, not the first alone": lambda file, first, rows: write(file, rows[:1], first),
        "new rows are not always the last: after a crop they go over old ones": lambda file, first, rows: put(
            file, len(file), rows
        ),
        "new rows go over old ones, nothing is pushed back": lambda file, first, rows: put(
            file, first * len(rows[0]), rows, over=0
        ),
        "what stands behind the new rows must stay": lambda file, first, rows: put(
            file, first * len(rows[0]), rows, over=len(file)
        ),
        "`first` counts rows, and a row is several numbers": lambda file, first, rows: put(file, first, rows),
        "a row has as many numbers as it has, not always two": lambda file, first, rows: put(file, 2 * first, rows),
        "all the new rows go over old ones: the rest begins behind the last of them": lambda file, first, rows: put(
            file, first * len(rows[0]), rows, over=len(rows[0])
        ),
    },
)
