"""The test of a trend over the repeats: how often it cries for nothing, and what it finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mnistbench.analysis import drift

RUNS = 600


def told(noise: np.ndarray, ratio: float = 1.0) -> float:
    """Return the share of runs, one a row, that are told of a drift."""
    rise = np.linspace(0, math.log(ratio), noise.shape[1])
    found = [drift.trend(range(noise.shape[1]), row) for row in np.exp(noise + rise)]
    return sum(one is not None and one.is_clear for one in found) / len(found)


def slack() -> float:
    """Return three and a half standard errors: a right rule fails once in 4,000 tests."""
    return 3.5 * math.sqrt(drift.LEVEL * (1 - drift.LEVEL) / RUNS)


def test_of_all_orders_of_six_repeats_no_more_than_the_level_are_told() -> None:
    seconds = (1.0, 1.1, 1.3, 1.35, 1.7, 2.4)
    orders = list(itertools.permutations(seconds))
    found = [drift.trend(range(6), order) for order in orders]
    clear = sum(one is not None and one.is_clear for one in found)
    assert 0 < clear / len(orders) <= drift.LEVEL


def test_independent_repeats_are_told_of_a_drift_no_more_often_than_the_level() -> None:
    noise = 0.17 * np.random.default_rng(20261122).standard_normal((RUNS, 20))
    assert told(noise) <= drift.LEVEL + slack()


def test_repeats_with_outliers_neither() -> None:
    random = np.random.default_rng(20261123)
    noise = 0.05 * random.standard_normal((RUNS, 10))
    assert told(noise + math.log(2) * (random.random((RUNS, 10)) < 0.1)) <= drift.LEVEL + slack()


def test_a_steady_slowdown_is_found_and_measured() -> None:
    noise = 0.05 * np.random.default_rng(7).standard_normal((200, 20))
    assert told(noise, 1.20) >= 0.85
    found = [drift.trend(range(20), row * 1.2 ** (np.arange(20) / 19)) for row in np.exp(noise)]
    ratios = [one.ratio for one in found if one is not None]
    assert np.median(ratios) == pytest.approx(1.20, abs=0.01)
    covered = [one.low <= 1.20 <= one.high for one in found if one is not None]
    assert np.mean(covered) >= 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / 200)


def test_the_autocorrelation_of_a_real_machine_costs_what_the_documents_say() -> None:
    steps = np.random.default_rng(5).standard_normal((RUNS, 20))
    noise = steps.copy()
    for time in range(1, 20):
        noise[:, time] = 0.28 * noise[:, time - 1] + math.sqrt(1 - 0.28**2) * steps[:, time]
    assert 0.01 <= told(0.17 * noise) <= 0.07


def test_the_places_in_the_order_count_and_not_the_numbers_of_the_repeats() -> None:
    seconds = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    near = drift.trend([1, 2, 3, 4, 5, 6], seconds)
    turned = drift.trend([6, 5, 4, 3, 2, 1], seconds)
    assert near is not None
    assert turned is not None
    assert near.ratio == pytest.approx(1 / turned.ratio)
    assert near.ratio == pytest.approx(1.5, abs=0.02)
    assert near.p_value == pytest.approx(2 / math.factorial(6))
    assert near.is_clear


def test_five_repeats_cannot_tell_and_equal_ones_neither() -> None:
    assert 2 / math.factorial(drift.FEWEST_REPEATS) < drift.LEVEL
    assert 2 / math.factorial(drift.FEWEST_REPEATS - 1) > drift.LEVEL
    assert drift.trend(range(5), [1.0, 1.1, 1.2, 1.3, 1.4]) is None
    assert drift.trend(range(8), [1.0] * 8) is None
    assert drift.trend([], []) is None


def test_one_wild_repeat_is_no_drift() -> None:
    seconds = [1.00, 1.02, 0.99, 1.01, 0.98, 1.03, 1.00, 9.0]
    found = drift.trend(range(8), seconds)
    assert found is not None
    assert not found.is_clear
    assert found.ratio == pytest.approx(1.0, abs=0.05)
