"""Which times stand against which, and what is made of one phase: on sides written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mnistbench.analysis import stats
from mnistbench.analysis.identity import Identity
from mnistbench.analysis.judging import (
    Accuracies,
    Rules,
    Samples,
    judge,
    median,
    normalize,
)
from mnistbench.analysis.normalization import Prediction, Ratio
from mnistbench.analysis.pairing import Design, design_of, intervals_of, samples_of
from mnistbench.analysis.sides import ConfigRuns, SideRun, Values

PAIRED = Design(True, "repeat", "")
APART = Design(False, "repeat", "")
MACHINES = Design(False, "machine", "")


def side(runs, rows=()):
    """Return a side of runs as (session, node), and of train times as (run, repeat, seconds)."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    times = Values(
        amounts=np.array(columns[2], float),
        repeat=np.array(columns[1], int),
        run=np.array(columns[0], int),
    )
    return ConfigRuns(
        name="c", digest="d",
        runs=tuple(SideRun(f"r{n}", session, node) for n, (session, node) in enumerate(runs)),
        identity=Identity({}), phases={"train": times}, accuracies=np.array([]), unfinished=0,
        contended=0, repeats=0, zeros=frozenset(), drifts=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "new", "paired", "unit"),
    [
        ([("s", "a")], [("s", "a")], True, "repeat"),
        ([("s", "a")], [("t", "a")], False, "repeat"),
        ([("", "a")], [("", "a")], False, "repeat"),
        ([("s", "a"), ("", "a")], [("s", "a"), ("", "a")], False, "repeat"),
        ([("s", "a"), ("t", "a")], [("t", "a"), ("s", "a")], True, "repeat"),
        ([("s", "a"), ("t", "a")], [("t", "a")], False, "repeat"),
        ([("s", "")], [("s", "a")], True, "repeat"),
        ([("s", ""), ("s", "a")], [("s", "a")], True, "repeat"),
        ([("s", "a"), ("s", "b")], [("t", "b"), ("t", "a")], True, "machine"),
        ([("s", "a"), ("s", "b")], [("s", "a")], False, "machine"),
        ([("s", "a")], [("s", "a"), ("s", "b")], False, "machine"),
        ([("s", "a"), ("s", "b")], [("s", "b"), ("s", "c")], False, "machine"),
        ([("s", "a"), ("s", "b")], [("s", "c"), ("s", "d")], False, "machine"),
    ],
)
def test_what_is_a_pair_and_what_is_the_unit(base, new, paired, unit):
    design = design_of(side(base), side(new))
    assert (design.paired, design.unit) == (paired, unit)
    assert design.text.startswith("paired: " if paired else "not paired: ")


def train_samples(base, new, design):
    """Return the train phase of both sides as a design sets it against each other."""
    return samples_of(base, new, (base.phases["train"], new.phases["train"]), design)


def test_each_machine_counts_with_its_median_repeat():
    base = side(
        # The last one finished no repeat of this phase.
        [("s", "b"), ("s", "a"), ("s", "b"), ("s", "c"), ("s", "Z")],
        [(0, 1, 9.0), (1, 1, 4.0), (0, 2, 1.0), (1, 2, 2.0), (2, 1, 3.0), (1, 3, 8.0), (1, 4, 6.0),
         (3, 1, 7.0)],
    )  # fmt: skip
    new = side([("t", "d"), ("t", "b"), ("t", "a")], [(0, 1, 5.0), (2, 1, 1.0), (1, 1, 2.5)])
    left, right = train_samples(base, new, MACHINES)
    assert (left.tolist(), right.tolist()) == ([5.0, 3.0, 7.0], [1.0, 2.5, 5.0])
    left, right = train_samples(base, new, Design(True, "machine", ""))
    assert (left.tolist(), right.tolist()) == ([5.0, 3.0], [1.0, 2.5])


def test_a_round_is_that_of_a_session_whatever_the_order():
    base = side([("s", "a"), ("t", "a")], [(0, 1, 1.0), (0, 2, 2.0), (1, 1, 3.0), (1, 3, 4.0)])
    new = side([("t", "a"), ("s", "a")], [(0, 1, 30.0), (0, 2, 31.0), (1, 2, 20.0), (1, 1, 10.0)])
    left, right = train_samples(base, new, PAIRED)
    assert (left.tolist(), right.tolist()) == ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])
    left, right = train_samples(base, new, APART)
    assert (left.tolist(), right.tolist()) == ([1.0, 2.0, 3.0, 4.0], [30.0, 31.0, 20.0, 10.0])


def test_runs_of_one_config_in_one_session_are_paired_in_their_order():
    twice = [("s", "a"), ("s", "a")]
    base = side(twice, [(0, 1, 1.0), (1, 1, 2.0), (0, 2, 3.0), (1, 2, 4.0)])
    new = side(twice, [(0, 1, 10.0), (1, 1, 20.0), (0, 2, 30.0)])
    left, right = train_samples(base, new, PAIRED)
    assert (left.tolist(), right.tolist()) == ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])


FIRST = np.array([1.0, 1.1, 1.05, 0.98]), np.array([1.3, 1.2, 1.35, 1.22])
TWO = np.array([1.0, 1.1]), np.array([1.01, 1.08])
ONE = np.array([2.0]), np.array([3.0])


@pytest.mark.parametrize("design", [PAIRED, APART, MACHINES])
def test_phases_of_one_repeat_take_nothing_from_the_others(design):
    def alone(sample, confidence):
        if design.paired:
            return stats.paired_ratio(*sample, confidence)
        one_machine = design.unit == "repeat"
        return stats.unpaired_ratio(*sample, confidence, one_machine=one_machine)

    found = intervals_of([ONE, TWO, FIRST, TWO], design, 0.9)
    confidences = [confidence for _, confidence in found]
    first = found[2][0]
    kept = not first.low <= 1 <= first.high
    share = 1 - 0.1 / 3
    others = 0.95 if kept else share
    assert confidences == pytest.approx([0.9, others, share, others])
    for (interval, confidence), sample in zip(found, (ONE, TWO, FIRST, TWO), strict=True):
        assert interval == alone(sample, confidence)
    assert math.isinf(found[0][0].high)


def judged_phase(samples, design=APART, accuracies=Accuracies(None, None), **rules):  # noqa: B008
    [judged], _ = judge(
        [Samples("train", *samples)], design, 0.95, accuracies, Rules(**rules)
    )  # fmt: skip
    return judged


def test_a_phase_is_told_whole():
    found = judged_phase(FIRST, PAIRED)
    interval = stats.paired_ratio(*FIRST, 0.95)
    typical = stats.typical_times(*FIRST, paired=True)
    assert (found.phase, found.n_base, found.n_new, found.confidence) == ("train", 4, 4, 0.95)
    assert (found.base_median_seconds, found.new_median_seconds) == (1.025, 1.26)
    assert (found.base_typical_seconds, found.new_typical_seconds) == typical
    assert (found.ratio, found.low, found.high) == (interval.ratio, interval.low, interval.high)
    assert (found.verdict, found.reason) == ("slower", "")
    assert (found.normalized_ratio, found.normalized_low, found.normalized_high) == (None,) * 3


@pytest.mark.parametrize(
    ("samples", "design", "reason"),
    [
        (ONE, PAIRED, "1 pair: 2 or more are needed, 10 advised"),
        (ONE, APART, "1 repeat: 2 or more are needed, 10 advised"),
        ((TWO[0], ONE[1]), MACHINES, "1 machine: 2 or more are needed, 10 advised"),
        (
            (np.full(3, 1.0), np.full(3, 2.0)),
            APART,
            "equal times: the clock is too coarse to judge by",
        ),
        (TWO, APART, ""),
        (TWO, PAIRED, ""),
    ],
)
def test_why_nothing_can_be_told(samples, design, reason):
    found = judged_phase(samples, design)
    assert (found.verdict, found.reason) == ("inconclusive", reason)
    assert found.ratio is not None
    assert (found.low is None, found.high is None) == (bool(reason), bool(reason))


def test_of_no_pair_nothing_is_known():
    found = judged_phase((np.array([]), np.array([])), PAIRED)
    assert found.reason == "0 pair: 2 or more are needed, 10 advised"
    known = (
        found.base_median_seconds, found.base_typical_seconds, found.new_typical_seconds,
        found.ratio, found.low, found.high,
    )  # fmt: skip
    assert known == (None,) * 6
    assert (median(np.array([])), median(np.array([1.0, 4.0]))) == (None, 2.5)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0.75, 0.5, "faster"),  # a loss of the margin itself
        (0.75, 0.49, "inconclusive"),
        (0.75, 0.9, "faster"),
        (None, 0.1, "faster"),
        (0.9, None, "faster"),
    ],
)
def test_faster_may_cost_no_more_accuracy_than_the_margin(before, after, verdict):
    found = judged_phase(FIRST[::-1], PAIRED, Accuracies(before, after), accuracy_margin=0.25)
    assert found.verdict == verdict
    lost = "faster, but test accuracy fell from 75.00% to 49.00%"
    assert found.reason == (lost if verdict == "inconclusive" else "")
    slower = judged_phase(FIRST, PAIRED, Accuracies(before, after), accuracy_margin=0.25)
    assert (slower.verdict, slower.reason) == ("slower", "")


def test_the_rules_where_the_user_asks_for_none():
    rules = Rules()
    assert (rules.margin, rules.accuracy_margin, rules.confidence) == (0.05, 0.005, 0.95)
    assert (rules.phases, rules.force) == ((), False)


def test_what_the_calibrations_predict_is_taken_out_of_every_ratio_that_is_known():
    machines = Prediction({"a": 1.2, "b": 1.25, "c": 1.15}, 0.01, 4)
    judged, unknown = (
        judged_phase(FIRST, PAIRED),
        judged_phase((np.array([]), np.array([])), PAIRED),
    )
    left, same = normalize([judged, unknown], machines)
    expected = machines.normalized(Ratio(judged.ratio, judged.low, judged.high), 0.95)
    found = (left.normalized_ratio, left.normalized_low, left.normalized_high)
    assert found == (expected.ratio, expected.low, expected.high)
    assert left.ratio == judged.ratio
    assert same == unknown
    refused = Prediction({"a": 1.2, "b": 1.25}, 0.01, 4, "too few")
    for nothing in (None, refused):
        assert normalize([judged], nothing) == (judged,)


def test_one_repeat_against_several_takes_nothing_from_the_others_either():
    found = intervals_of([(ONE[0], TWO[1]), FIRST, (TWO[0], ONE[1])], APART, 0.9)
    assert [confidence for _, confidence in found] == pytest.approx([0.9, 0.9, 0.9])
