"""What many rounds come to. A ratio is the median of the rounds' ratios, since a round's times were taken together."""

import math
import statistics

from minigpt.measure.timed.limit import Work


def middle(numbers: list[float]) -> float:
    return statistics.median(numbers)


def spread(mine: list[float], others: dict[str, list[float]], work: Work, rates: list[tuple[float, float]]) -> dict:
    """Of one contestant's seconds in each round.

    others: of those that it is compared with. rates: the machine's own bytes and FLOPs a second in each round.
    """
    ratios = {name: [they / i for they, i in zip(theirs, mine, strict=True)] for name, theirs in others.items()}
    least = [work.least(*rate) for rate in rates]
    predicted = [second for rate in rates if (second := work.predicted(*rate)) is not None]
    return {
        "seconds": middle(mine),
        "seconds_low": min(mine),
        "seconds_high": max(mine),
        "ratios": [
            {"versus": name, "ratio": middle(of), "low": min(of), "high": max(of)} for name, of in ratios.items()
        ],
        "least_seconds": middle(least),
        "of_limit": middle([lowest / i for lowest, i in zip(least, mine, strict=True)]),
        "predicted_seconds": middle(predicted) if predicted else None,
    }


def growth(cells: list[dict]) -> list[dict]:
    """How time a token grows with the context, for each batch and contestant: n where it grows as the context's n-th
    power (the slope of a line through their logarithms). Nothing where there is a single context."""
    found = []
    for batch in dict.fromkeys(cell["batch"] for cell in cells):
        of = [cell for cell in cells if cell["batch"] == batch]
        for at, line in enumerate(of[0]["lines"] if len(of) > 1 else []):
            times = {cell["context"]: cell["lines"][at]["times"][-1] for cell in of}
            exponents = {key: exponent(times, f"{key}seconds") for key in KEYS}
            found.append({"batch": batch, "name": line["name"]} | {f"{key}exponent": n for key, n in exponents.items()})
    return found


KEYS = "", "least_", "predicted_"


def exponent(times: dict[int, dict], key: str) -> float | None:
    seconds = [time[key] for time in times.values()]
    if None in seconds:
        return None
    return statistics.linear_regression([math.log(context) for context in times], [math.log(s) for s in seconds]).slope
