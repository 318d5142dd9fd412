"""How sure a measured figure is: what other questions, or other prose, could have given."""

from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95


def wilson(right: int | float, asked: int | float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of shares that `right` of `asked` answers support (Wilson, 1927, "Probable inference ...").

    Unlike share +- z standard errors it stays within 0 ... 1, and has a width even if all are right.
    """
    if not 0 <= right <= asked or not asked:
        raise ValueError(f"right must lie in 0 ... asked, and asked be 1 or more, got {right} of {asked}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = right / asked, z * z / asked
    middle = (share + weight / 2) / (1 + weight)
    half = z * (share * (1 - share) / asked + weight / asked / 4) ** 0.5 / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    amounts: list[float], sizes: list[int], draws: int = 4000, seed: int = 0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of sum(amounts) / sum(sizes), by drawing segments anew, with replacement (Efron, 1979).

    Given the *differences* of two runs over the same segments, it is the paired interval of their difference.
    """
    if len(amounts) != len(sizes) or not len(amounts):
        raise ValueError(f"each segment has an amount and a size, got {len(amounts)} and {len(sizes)}")
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(draws, len(sizes)))
    ratios = np.array(amounts)[drawn].sum(1) / np.array(sizes)[drawn].sum(1)
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def clustered(right: list[int], each: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval where `each` answers belong together, as those in one line do, and right[i] of line i's are.

    Such answers are not independent: they count as fewer, by how much more the lines' counts vary than those of
    independent answers would (the design effect; Kish, "Survey Sampling", 1965, section 8.2), 1 at least.
    """
    lines, share = len(right), sum(right) / (each * len(right))
    usual = each * share * (1 - share)  # the variance of a line's count, of independent answers
    varies = float(np.var(right, ddof=1)) if lines > 1 else 0.0
    effect = max(1.0, varies / usual) if usual else 1.0
    return wilson(sum(right) / effect, each * lines / effect, confidence)
