"""The intervals and verdicts: what must hold for any times, and how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.analysis import stats

TIMES = st.lists(st.floats(0.01, 100.0), min_size=2, max_size=30, unique=True)
PAIRS = st.lists(
    st.tuples(st.floats(0.01, 100.0), st.floats(0.01, 100.0)), min_size=2, max_size=30, unique=True
)
SCALES = st.floats(0.001, 1000.0)


def numbers(interval):
    return [float(end) for end in (interval.ratio, interval.low, interval.high)]


def assert_close(left, right):
    assert numbers(left) == pytest.approx(numbers(right), rel=1e-6)


@given(PAIRS, SCALES)
def test_pairs_in_another_unit_have_the_same_ratio(pairs, scale):
    base, new = np.array(pairs).T
    assert_close(
        stats.paired_ratio(base, new, 0.95), stats.paired_ratio(base * scale, new * scale, 0.95)
    )


@given(TIMES, TIMES, SCALES)
def test_runs_in_another_unit_have_the_same_ratio(base, new, scale):
    base, new = np.array(base), np.array(new)
    assert_close(
        stats.unpaired_ratio(base, new, 0.95),
        stats.unpaired_ratio(base * scale, new * scale, 0.95),
    )


@given(PAIRS)
def test_swapped_pairs_invert_the_ratio(pairs):
    base, new = np.array(pairs).T
    assert_inverse(stats.paired_ratio(base, new, 0.95), stats.paired_ratio(new, base, 0.95))


@given(TIMES, TIMES)
def test_swapped_runs_invert_the_ratio(base, new):
    base, new = np.array(base), np.array(new)
    assert_inverse(stats.unpaired_ratio(base, new, 0.95), stats.unpaired_ratio(new, base, 0.95))


def assert_inverse(forth, back):
    ratio, low, high = numbers(back)
    inverted = [1 / ratio, 1 / high, 1 / low if low else math.inf]
    assert numbers(forth) == pytest.approx(inverted, rel=1e-6)


@given(PAIRS, st.randoms())
def test_the_order_of_pairs_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert_close(
        stats.paired_ratio(*np.array(pairs).T, 0.95),
        stats.paired_ratio(*np.array(shuffled).T, 0.95),
    )


@given(TIMES, TIMES, st.randoms())
def test_the_order_of_machines_does_not_matter(base, new, random):
    def ratio(before, after):
        return stats.unpaired_ratio(np.array(before), np.array(after), 0.95, one_machine=False)

    assert_close(
        ratio(base, new), ratio(random.sample(base, len(base)), random.sample(new, len(new)))
    )


@given(TIMES, TIMES, st.randoms())
def test_the_order_of_repeats_moves_no_ratio(base, new, random):
    straight = stats.unpaired_ratio(np.array(base), np.array(new), 0.95)
    shuffled = stats.unpaired_ratio(
        np.array(random.sample(base, len(base))), np.array(random.sample(new, len(new))), 0.95
    )
    assert float(straight.ratio) == pytest.approx(float(shuffled.ratio))


@given(TIMES, TIMES, st.floats(0.5, 0.99), st.floats(0.001, 0.009))
def test_more_confidence_gives_a_wider_interval(base, new, confidence, more):
    base, new = np.array(base), np.array(new)
    n = min(len(base), len(new))
    for rule, left, right in (
        (stats.unpaired_ratio, base, new),
        (stats.paired_ratio, base[:n], new[:n]),
    ):
        narrow, wide = rule(left, right, confidence), rule(left, right, confidence + more)
        assert wide.low <= narrow.low <= narrow.high <= wide.high


@given(TIMES, TIMES)
def test_the_interval_holds_its_ratio(base, new):
    found = stats.unpaired_ratio(np.array(base), np.array(new), 0.95)
    assert found.low <= found.ratio <= found.high


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_one_repeat_is_inconclusive(base, new):
    for rule in (stats.paired_ratio, stats.unpaired_ratio):
        found = rule(np.array([base]), np.array([new]), 0.95)
        assert float(found.ratio) == pytest.approx(new / base)
        assert stats.verdict(found, 0.05) == stats.INCONCLUSIVE


def test_one_repeat_against_many_is_inconclusive():
    found = stats.unpaired_ratio(np.array([1.0]), np.array([2.0, 2.1, 2.2]), 0.95)
    assert stats.verdict(found, 0.05) == stats.INCONCLUSIVE


def test_no_pair_at_all_is_inconclusive():
    found = stats.paired_ratio(np.array([]), np.array([]), 0.95)
    assert math.isnan(float(found.ratio))
    assert stats.verdict(found, 0.05) == stats.INCONCLUSIVE


def test_equal_times_come_from_a_coarse_clock_and_say_nothing():
    base, new = np.full(5, 0.010), np.full(5, 0.011)
    for rule in (stats.paired_ratio, stats.unpaired_ratio):
        assert stats.verdict(rule(base, new, 0.95), 0.05) == stats.INCONCLUSIVE


@pytest.mark.parametrize(
    ("ratio", "low", "high", "expected"),
    [
        (1.00, 0.97, 1.03, stats.SAME),
        (1.02, 1.01, 1.04, stats.SAME),
        (1.33, 1.28, 1.38, stats.SLOWER),
        (1.06, 1.01, 1.12, stats.SLOWER),
        (0.80, 0.70, 0.90, stats.FASTER),
        (1.04, 1.01, 1.07, stats.INCONCLUSIVE),
        (1.20, 0.99, 1.40, stats.INCONCLUSIVE),
        (0.96, 0.94, 0.99, stats.INCONCLUSIVE),
    ],
)
def test_verdicts_against_a_margin_of_5_percent(ratio, low, high, expected):
    interval = stats.Interval(np.array(ratio), np.array(low), np.array(high))
    assert stats.verdict(interval, 0.05) == expected


def test_the_t_quantile_is_scipys():
    from scipy import stats as scipy_stats

    # Without clipping or correction the rule is a paired t: two pairs are never clipped.
    base, new = np.array([1.0, 1.0]), np.array([1.1, 1.3])
    found = stats.paired_ratio(base, new, 0.95)
    plain = scipy_stats.ttest_1samp(np.log(new), 0).confidence_interval(0.95)
    half = (plain.high - plain.low) / 2 * (1 + 0.8 / 2)
    assert math.log(found.high / found.ratio) == pytest.approx(half, rel=1e-6)


def test_one_wild_repeat_hardly_moves_the_ratio():
    random = np.random.default_rng(3)
    base, new = np.exp(0.05 * random.standard_normal((2, 10)))
    quiet = stats.paired_ratio(base, new, 0.95)
    new[4] *= 3
    wild = stats.paired_ratio(base, new, 0.95)
    assert float(wild.ratio) == pytest.approx(float(quiet.ratio), abs=0.05)


def test_autocorrelation_widens_the_interval():
    random = np.random.default_rng(4)
    noise = np.sort(random.standard_normal((2, 20)), axis=1)
    ordered = stats.unpaired_ratio(*np.exp(0.1 * noise), 0.95)
    mixed = stats.unpaired_ratio(*np.exp(0.1 * random.permuted(noise, axis=1)), 0.95)
    assert math.log(ordered.high / ordered.low) > 1.3 * math.log(mixed.high / mixed.low)


def test_phases_share_what_may_go_wrong_and_those_found_leave_theirs():
    random = np.random.default_rng(6)
    base, new = np.exp(0.05 * random.standard_normal((2, 3, 12)))
    factors = (1.5, 1.0, 1.0)

    def interval(number, confidence):
        return stats.paired_ratio(base[number], factors[number] * new[number], confidence)

    confidences = [confidence for _, confidence in stats.step_down(3, 0.95, interval)]
    assert confidences == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert stats.step_down(0, 0.95, interval) == []


def test_two_equal_phases_raise_no_more_false_alarms_than_one():
    random = np.random.default_rng(7)
    alarms = 0
    for _ in range(1_000):
        base, new = np.exp(0.17 * random.standard_normal((2, 2, 10)))
        found = stats.step_down(2, 0.95, lambda n, c: stats.paired_ratio(base[n], new[n], c))  # noqa: B023
        verdicts = {stats.verdict(interval, 0.05) for interval, _ in found}
        alarms += bool(verdicts & {stats.FASTER, stats.SLOWER})
    assert alarms / 1_000 <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / 1_000)


RUNS = 4_000


def binomial_slack(share):
    """Three and a half standard errors: a right rule fails once in 4,000 tests."""
    return 3.5 * math.sqrt(share * (1 - share) / RUNS)


def simulated(noise, n, seed):
    """Two sides of `n`, drawn side by side, and equal but for their noise."""
    random = np.random.default_rng([seed, n])
    if noise == "lognormal":
        drawn = 0.17 * random.standard_normal((2, RUNS, n))
    elif noise == "heavy":
        drawn = 0.1 * random.standard_t(3, (2, RUNS, n))
    else:
        doubled = random.random((2, RUNS, n)) < 0.1
        drawn = 0.05 * random.standard_normal((2, RUNS, n)) + math.log(2) * doubled
    return np.exp(drawn)


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("noise", ["lognormal", "heavy", "outliers"])
@pytest.mark.parametrize("rule", [stats.paired_ratio, stats.unpaired_ratio])
def test_intervals_cover_and_equal_things_are_rarely_called_different(rule, noise, n):
    base, new = simulated(noise, n, 11)
    found = rule(base, new, 0.95)
    covered = ((found.low <= 1) & (found.high >= 1)).mean()
    assert covered >= 0.95 - binomial_slack(0.95)
    verdicts = stats.verdicts(found, 0.05)
    alarms = np.isin(verdicts, [stats.FASTER, stats.SLOWER]).mean()
    assert alarms <= 0.05 + binomial_slack(0.05)


def test_a_slowdown_of_10_percent_is_found_in_10_pairs_of_5_percent_spread():
    random = np.random.default_rng(12)
    base, new = np.exp(0.05 * random.standard_normal((2, RUNS, 10)))
    verdicts = stats.verdicts(stats.paired_ratio(base, 1.1 * new, 0.95), 0.05)
    assert (verdicts == stats.SLOWER).mean() >= 0.90


@pytest.mark.parametrize("n", [10, 30])
def test_neighbouring_blocks_under_drift_are_rarely_called_different(n):
    random = np.random.default_rng([13, n])
    steps = random.standard_normal((RUNS, 2 * n))
    slow = np.empty_like(steps)
    slow[:, 0] = steps[:, 0]
    for time in range(1, 2 * n):
        slow[:, time] = 0.9 * slow[:, time - 1] + math.sqrt(1 - 0.81) * steps[:, time]
    fast = random.standard_normal((RUNS, 2 * n))
    times = np.exp(0.17 * (math.sqrt(0.45) * slow + math.sqrt(0.55) * fast))
    found = stats.unpaired_ratio(times[:, :n], times[:, n:], 0.95)
    assert ((found.low <= 1) & (found.high >= 1)).mean() >= 0.93 - binomial_slack(0.93)
    alarms = np.isin(stats.verdicts(found, 0.05), [stats.FASTER, stats.SLOWER]).mean()
    assert alarms <= 0.10


settings.register_profile("quick", max_examples=50, deadline=None)
settings.load_profile("quick")


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e4), st.floats(1e-6, 1e4)), min_size=1, max_size=30),
    st.booleans(),
)
def test_the_typical_times_are_those_of_the_ratio(pairs, paired):
    base, new = np.array(pairs).T
    ratio = stats.paired_ratio if paired else stats.unpaired_ratio
    first, second = stats.typical_times(base, new, paired=paired)
    assert second / first == pytest.approx(float(ratio(base, new, 0.95).ratio), rel=1e-9)
    for seconds, side in ((first, base), (second, new)):
        assert side.min() * (1 - 1e-9) <= seconds <= side.max() * (1 + 1e-9)
