"""Pairs that other programs disturbed unequally: compared at equal disturbance."""

import csv
import io
import json

import numpy as np
import pytest
from hand_written_runs import compare, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.analysis import stats

NOISE = np.array([0.004, -0.006, 0.001, 0.007, -0.003, -0.005, 0.006, 0.002, -0.004, -0.002])
BUSY_BESIDE_NEW = np.array([0.9, 0.1, 0.8, 0.2, 1.0, 0.7, 0.0, 0.9, 0.3, 0.6])
WALL_SECONDS = 4.0


def runs(tmp_path, ratio, busy=BUSY_BESIDE_NEW, cost=0.4, **more):
    """Write two interleaved runs: others take so many CPU threads beside NEW, none beside BASE."""

    def evidence(threads):
        others = [value if value is None else float(value) * WALL_SECONDS for value in threads]
        return {
            "other_cpu_seconds": (others, "s"),
            "repeat_wall_seconds": ([WALL_SECONDS] * len(others), "s"),
        }

    waits = cost * np.array(busy) if cost else 0.0
    new = ratio * np.exp(NOISE + waits)
    quiet = [0.0] * len(NOISE)
    return [
        write_run(tmp_path / "base", {"train": [1.0] * len(NOISE)}, session="one",
                  metrics=evidence(quiet), **more),
        write_run(tmp_path / "new", {"train": new.tolist()}, session="one",
                  metrics=evidence(busy), **more),
    ]  # fmt: skip


def judged(sides):
    code, text, error = compare(*sides, "--format", "json")
    assert not error
    return code, json.loads(text)["comparisons"][0]["configs"][0]["phases"][0]


def test_what_others_cost_is_no_slowdown(tmp_path):
    code, phase = judged(runs(tmp_path, ratio=1.0))
    assert (code, phase["verdict"]) == (0, "same")
    assert phase["ratio"] == pytest.approx(1.0, abs=0.01)
    assert phase["raw_ratio"] == pytest.approx(np.exp(0.4 * BUSY_BESIDE_NEW.mean()), abs=0.03)
    assert phase["raw_low"] > 1.05  # as measured, it would have been called slower
    assert phase["new_typical_seconds"] == pytest.approx(
        phase["ratio"] * phase["base_typical_seconds"]
    )


def test_a_slowdown_is_seen_through_what_others_cost(tmp_path):
    code, phase = judged(runs(tmp_path, ratio=1.1, cost=-0.25))
    assert (code, phase["verdict"]) == (3, "slower")
    assert phase["low"] < 1.1 < phase["high"]
    assert phase["raw_low"] < 1.0  # as measured, nothing could have been said


def test_what_others_cost_cannot_be_told_where_it_is_always_the_same(tmp_path):
    _, phase = judged(runs(tmp_path, ratio=1.1, busy=[0.6] * 10))
    assert phase["raw_ratio"] is None
    almost = [0.6] * 9 + [0.6001]
    code, phase = judged(runs(tmp_path / "almost", ratio=1.1, busy=almost))
    assert (code, phase["verdict"]) == (4, "inconclusive")


def test_the_ratio_as_measured_stands_in_every_format(tmp_path):
    sides = runs(tmp_path, ratio=1.0)
    _, table, _ = compare(*sides)
    assert "As measured" in table
    assert "equal disturbance" in " ".join(table.split())
    _, markdown, _ = compare(*sides, "--format", "markdown")
    assert "| As measured | Interval as measured |" in markdown
    _, text, _ = compare(*sides, "--format", "csv")
    row = next(csv.DictReader(io.StringIO(text)))
    assert float(row["raw_low"]) < float(row["raw_ratio"]) < float(row["raw_high"])


@pytest.mark.parametrize(
    "busy",
    [
        BUSY_BESIDE_NEW * 0.05,  # too little to explain anything
        [*BUSY_BESIDE_NEW[:-1], None],  # not known of each repeat
        [*BUSY_BESIDE_NEW[:-1], float("nan")],
        [*BUSY_BESIDE_NEW[:-1], -1.0],
    ],
)
def test_without_evidence_it_is_the_ratio_as_measured(tmp_path, busy):
    _, phase = judged(runs(tmp_path, ratio=1.0, busy=list(busy), cost=0.0))
    assert phase["raw_ratio"] is None
    changes = stats.paired_ratio(np.ones(10), np.exp(NOISE), 0.95)
    assert phase["ratio"] == pytest.approx(float(changes.ratio))


def test_runs_measured_one_after_the_other_have_no_pairs_to_explain(tmp_path):
    base, _ = runs(tmp_path / "a", ratio=1.0)
    _, new = runs(tmp_path / "b", ratio=1.0, cost=0.0)
    for folder, session in ((base, "one"), (new, "two")):
        machine = (folder / "machine.csv").read_text().replace(",one", f",{session}")
        (folder / "machine.csv").write_text(machine)
    _, phase = judged([base, new])
    assert phase["raw_ratio"] is None


@settings(deadline=None)
@given(
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.lists(st.floats(-2, 2), min_size=8, max_size=30),
)
def test_a_line_is_met_where_both_are_disturbed_alike(height, slope, waits):
    waiting = np.array([*waits, 1.5, -1.0])
    noise = 1e-4 * np.resize([1.0, -1.0, 0.5, -0.5], len(waiting))
    changes = height + slope * waiting + noise
    found = stats.paired_ratio(np.ones_like(changes), np.exp(changes), 0.95, waiting=waiting)
    assert abs(float(np.log(found.ratio)) - height) < 1e-3


def test_a_comparison_too_small_or_too_quiet_is_the_one_without():
    changes, waiting = np.exp(NOISE), np.full(10, 0.04)
    ones = np.ones(10)
    assert stats.paired_ratio(ones, changes, 0.95, waiting=waiting) == stats.paired_ratio(
        ones, changes, 0.95
    )
    few = stats.paired_ratio(ones[:4], changes[:4], 0.95, waiting=np.full(4, 3.0))
    assert few == stats.paired_ratio(ones[:4], changes[:4], 0.95)
