"""The intervals and verdicts: what must hold for any times, and how often they are wrong."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

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
        # At the very edge: of the margin, and of "no change".
        (1.02, 1.00, 1.05, stats.INCONCLUSIVE),
        (1.00, 1 / 1.05, 1.04, stats.INCONCLUSIVE),
        (1.20, 1.00, 1.40, stats.INCONCLUSIVE),
        (0.80, 0.70, 1.00, stats.INCONCLUSIVE),
        (1.05, 1.01, 1.09, stats.INCONCLUSIVE),
        (1 / 1.05, 0.91, 0.99, stats.INCONCLUSIVE),
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


def clipped(value):
    return max(-2.0, min(2.0, value))


def huber(values):
    """Return centre, standard error and influence by the definition: the root, not reweighting."""
    n, middle = len(values), statistics.median(values)
    mad = statistics.median(abs(value - middle) for value in values) / 0.6744897501960817
    spread = max(mad, 0.2 * statistics.stdev(values))
    centre = optimize.brentq(
        lambda centre: sum(clipped((value - centre) / spread) for value in values),
        min(values), max(values), xtol=1e-15,
    )  # fmt: skip
    influence = [clipped((value - centre) / spread) for value in values]
    inside = sum(abs(value - centre) <= 2 * spread for value in values) / n
    square = sum(each**2 for each in influence) / (n - 1) / inside**2 / n
    return centre, (1 + (1 - inside) / inside / n) * spread * math.sqrt(square), influence


def inflation(*runs):
    total = 0.0
    for influence in runs:
        mean = statistics.fmean(influence)
        centred = [each - mean for each in influence]
        products = sum(first * second for first, second in itertools.pairwise(centred))
        total += len(centred) * products / sum(each**2 for each in centred) + 1
    correlation = min(max(total / sum(map(len, runs)), 0.0), 0.8)
    return (1 + correlation) / (1 - correlation)


LOGS = {
    "quiet": [0.02, -0.01, 0.03, -0.02, 0.01, 0.0, -0.03],
    "one far out": [0.02, -0.01, 0.7, -0.02, 0.01, 0.0, -0.03, 0.015],
    "two far out": [0.02, -0.9, 0.01, 0.8, -0.02, 0.0, 0.035, -0.03, 0.005],
    "mostly equal": [0.1, 0.1, 0.1, 0.1, 0.2],
    "falling and rising": [0.05, 0.03, 0.0, -0.03, -0.05, -0.02, 0.01, 0.04, 0.06],
    "a ramp": [0.01 * step for step in range(40)],
    "two": [0.1, 0.3],
}


@pytest.mark.parametrize("name", LOGS)
def test_the_typical_time_is_hubers_estimate_with_its_interval(name):
    logs = LOGS[name]
    n = len(logs)
    centre, error, influence = huber(logs)
    half = special.stdtrit(n - 1, 0.95) * (1 + 0.8 / n) * math.sqrt(inflation(influence)) * error
    found = stats.typical_time(np.exp(logs), 0.9)
    expected = [math.exp(centre), math.exp(centre - half), math.exp(centre + half)]
    assert numbers(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOGS)
def test_the_ratio_of_pairs_is_hubers_estimate_with_its_interval(name):
    logs = LOGS[name]
    n = len(logs)
    centre, error, _ = huber(logs)
    half = special.stdtrit(n - 1, 0.95) * (1 + 0.8 / n) * error
    base = np.linspace(1.0, 3.0, n)
    expected = [math.exp(centre), math.exp(centre - half), math.exp(centre + half)]
    assert numbers(stats.paired_ratio(base, base * np.exp(logs), 0.9)) == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("one_machine", [True, False])
@pytest.mark.parametrize("names", list(itertools.combinations(LOGS, 2)), ids=" and ".join)
def test_the_ratio_of_runs_is_welchs_of_two_estimates(names, one_machine):
    before, after = (huber(LOGS[name]) for name in names)
    sizes = [len(LOGS[name]) for name in names]
    squares = [before[1] ** 2, after[1] ** 2]
    freedom = sum(squares) ** 2 / sum(
        square**2 / (n - 1) for square, n in zip(squares, sizes, strict=True)
    )
    repeats = inflation(before[2], after[2])
    total = sum(
        square * (repeats + 0.15 * n if one_machine else 1)
        for square, n in zip(squares, sizes, strict=True)
    )
    small = 1 + 0.8 / (sum(sizes) - 1)
    half = special.stdtrit(freedom, 0.95) * small * math.sqrt(total)
    change = after[0] - before[0]
    base, new = (np.exp(LOGS[name]) for name in names)
    found = stats.unpaired_ratio(base, new, 0.9, one_machine=one_machine)
    expected = [math.exp(change), math.exp(change - half), math.exp(change + half)]
    assert numbers(found) == pytest.approx(expected, rel=1e-6)


def test_many_comparisons_at_once_are_each_what_they_are_alone():
    base, new = simulated("outliers", 7, 5)
    base, new = base[:6].reshape(2, 3, 7), new[:6].reshape(2, 3, 7)
    for rule in (
        stats.paired_ratio,
        stats.unpaired_ratio,
        lambda _, new, c: stats.typical_time(new, c),
    ):
        together = rule(base, new, 0.95)
        for place in np.ndindex(2, 3):
            alone = rule(base[place], new[place], 0.95)
            assert numbers(alone) == pytest.approx(
                [float(end[place]) for end in (together.ratio, together.low, together.high)]
            )
    for paired in (True, False):
        together = stats.typical_times(base, new, paired=paired)
        alone = stats.typical_times(base[1, 2], new[1, 2], paired=paired)
        assert [float(side[1, 2]) for side in together] == pytest.approx(list(map(float, alone)))


def test_too_few_repeats_have_a_ratio_and_no_interval():
    def ends(found):
        return [np.asarray(part).tolist() for part in (found.ratio, found.low, found.high)]

    few = [
        (stats.paired_ratio(np.array([2.0]), np.array([3.0]), 0.95), 1.5),
        (stats.unpaired_ratio(np.array([2.0]), np.array([3.0]), 0.95), 1.5),
        (stats.unpaired_ratio(np.array([2.0]), np.array([3.0, 3.0, 3.0]), 0.95), 1.5),
        (stats.unpaired_ratio(np.array([2.0, 2.0]), np.array([3.0]), 0.95), 1.5),
        (stats.typical_time(np.array([3.0]), 0.95), 3.0),
    ]
    for found, ratio in few:
        assert ends(found) == [pytest.approx(ratio), 0.0, math.inf]
    none = [
        stats.paired_ratio(np.array([]), np.array([]), 0.95),
        stats.unpaired_ratio(np.array([]), np.array([3.0, 4.0]), 0.95),
        stats.typical_time(np.array([]), 0.95),
    ]
    for found in none:
        assert ends(found) == [pytest.approx(math.nan, nan_ok=True), 0.0, math.inf]
    assert np.isnan(stats.typical_time(np.empty((2, 0)), 0.95).ratio).tolist() == [True, True]


def test_half_of_what_may_go_wrong_is_left_after_looking():
    assert stats.after_looking(0.95) == pytest.approx(0.975)


def test_equal_repeats_against_spread_ones_have_the_freedom_of_the_spread_ones():
    base, new = np.full(4, 1.0), np.exp([0.1, 0.2, 0.35])
    centre, error, _ = huber(np.log(new).tolist())
    half = special.stdtrit(2, 0.975) * (1 + 0.8 / 6) * error
    found = stats.unpaired_ratio(base, new, 0.95, one_machine=False)
    assert math.log(found.high) == pytest.approx(centre + half, rel=1e-6)


def test_an_interval_that_touches_no_change_is_no_difference():
    def interval(number, confidence):
        low, high = ((1.1, 1.3), (1.0, 1.2), (0.8, 1.0))[number]
        return stats.Interval(np.array(1.1), np.array(low), np.array(high))

    confidences = [confidence for _, confidence in stats.step_down(3, 0.94, interval)]
    assert confidences == pytest.approx([0.98, 0.97, 0.97])
