"""Intervals, against the equations that define them and the normal curve."""

from statistics import NormalDist

import numpy as np
import pytest

from minigpt.measure.quality.interval import bootstrap, wilson

Z = 1.959963984540054


@pytest.mark.parametrize(("right", "asked"), [(1, 2), (7, 25), (25, 50), (392, 400), (1, 1000)])
def test_each_end_of_wilsons_interval_is_a_share_that_would_just_not_surprise(right, asked):
    for end in wilson(right, asked):
        assert abs(right / asked - end) == pytest.approx(Z * (end * (1 - end) / asked) ** 0.5)


@pytest.mark.parametrize("asked", [1, 25, 400])
def test_all_right_and_none_right_have_a_closed_form(asked):
    assert wilson(asked, asked) == pytest.approx((asked / (asked + Z * Z), 1))
    assert wilson(0, asked) == pytest.approx((0, Z * Z / (asked + Z * Z)), abs=1e-12)


def test_a_published_value():
    """81 of 263: 0.2553 to 0.3662 (Newcombe, 1998, "Two-sided confidence intervals for the single proportion")."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_more_confidence_is_a_wider_interval():
    z = NormalDist().inv_cdf(0.995)
    assert wilson(10, 10, confidence=0.99)[0] == pytest.approx(10 / (10 + z * z))


def test_the_bootstrap_of_many_segments_is_that_of_the_normal_curve():
    amounts = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = bootstrap(list(amounts), [1] * 400)
    half = Z * amounts.std() / 20
    assert low == pytest.approx(amounts.mean() - half, abs=half / 10)
    assert high == pytest.approx(amounts.mean() + half, abs=half / 10)


def test_the_bootstrap_is_of_the_ratio_of_sums():
    """Segments that differ in size but not in bits per byte leave nothing to doubt."""
    assert bootstrap([2.0, 20.0, 8.0], [1, 10, 4]) == pytest.approx((2, 2))


def test_a_paired_difference_is_surer_than_what_it_is_the_difference_of():
    segments = np.random.default_rng(2).normal(2.0, 1.0, 80)
    other = segments + np.random.default_rng(3).normal(0.01, 0.001, 80)
    low, high = bootstrap(list(other - segments), [1] * 80)
    assert 0 < low < 0.01 < high < 0.02
    alone = bootstrap(list(segments), [1] * 80)
    assert alone[1] - alone[0] > 100 * (high - low)


def test_the_same_seed_draws_the_same_interval():
    amounts = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap(amounts, [1] * 4) == bootstrap(amounts, [1] * 4)
    assert bootstrap(amounts, [1] * 4, seed=1, draws=99) != bootstrap(amounts, [1] * 4, draws=99)


def test_what_has_no_interval_is_refused():
    for right, asked in [(3, 2), (-1, 2), (0, 0)]:
        with pytest.raises(ValueError, match="right must lie in 0"):
            wilson(right, asked)
    with pytest.raises(ValueError, match="each segment has an amount and a size, got 2 and 1"):
        bootstrap([1.0, 2.0], [1])
