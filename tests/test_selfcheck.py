"""A machine against itself: what its pairs tell, and the command that measures them."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import FEW, command, failure_line, rows, run_here
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.analysis import selfcheck, stats
from mnistbench.analysis.selfcheck import DISJOINT, RESAMPLED, find
from mnistbench.errors import InputError
from mnistbench.report.selfcheck import advice
from mnistbench.results.rows import SelfcheckRow, columns


def pairs(n, spread, seed=3, bias=1.0):
    random = np.random.default_rng(seed)
    base, new = np.exp(spread * random.standard_normal((2, n)))
    return 20 * base, 20 * bias * new


def share(found, figure, how, n, change=None):
    return find(found.rows, figure, how, n, change).share


@pytest.fixture(scope="module")
def noisy():
    return selfcheck.check("A", *pairs(60, 0.05), seed=1)


def test_the_pairs_are_cut_into_comparisons_that_share_none(noisy):
    for n, comparisons in ((5, 12), (10, 6), (20, 3), (30, 2)):
        row = find(noisy.rows, selfcheck.FALSE_ALARMS, DISJOINT, n)
        assert row.comparisons == comparisons
        assert row.share == row.count / comparisons
        assert row.low <= row.share <= row.high
    # Clopper and Pearson: the upper end for none of six is 1 - .025 ** (1 / 6).
    none_of_six = find(noisy.rows, selfcheck.FALSE_ALARMS, DISJOINT, 10)
    assert none_of_six.count == 0
    assert none_of_six.high == pytest.approx(1 - 0.025 ** (1 / 6))


def test_equal_things_rarely_look_different_and_slower_ones_do(noisy):
    for n in selfcheck.SIZES:
        assert share(noisy, selfcheck.FALSE_ALARMS, RESAMPLED, n) <= 0.05
    # 10 pairs of 5 % spread: benchmarks/verdicts.py finds 94 % of slowdowns of 10 %.
    assert 0.75 < share(noisy, selfcheck.SLOWDOWN_FOUND, RESAMPLED, 10, 0.10) < 1
    assert share(noisy, selfcheck.SLOWDOWN_FOUND, DISJOINT, 10, 0.20) == 1


def test_resampled_comparisons_have_no_interval(noisy):
    for row in noisy.rows:
        assert (row.low is None) == (row.how == RESAMPLED)


def test_what_can_be_seen_shrinks_with_pairs_and_grows_with_noise(noisy):
    smallest = [
        find(noisy.rows, selfcheck.SMALLEST_CHANGE, RESAMPLED, n).change for n in selfcheck.SIZES
    ]
    assert smallest == sorted(smallest, reverse=True)
    needed = [
        find(noisy.rows, selfcheck.PAIRS_NEEDED, RESAMPLED, change=change).pairs
        for change in selfcheck.CHANGES
    ]
    assert needed == sorted(needed, reverse=True)
    noisier = selfcheck.check("A", *pairs(60, 0.17), seed=1)
    for n, seen in zip(selfcheck.SIZES, smallest, strict=True):
        assert find(noisier.rows, selfcheck.SMALLEST_CHANGE, RESAMPLED, n).change > 2 * seen


def test_the_smallest_change_is_seen_as_often_as_promised():
    base, new = pairs(40, 0.05)
    found = selfcheck.check("A", base, new, seed=1)
    change = find(found.rows, selfcheck.SMALLEST_CHANGE, RESAMPLED, 10).change
    random = np.random.default_rng(8)
    chosen = random.choice(np.log(new / base), (3_000, 10)) * random.choice((-1, 1), (3_000, 10))
    fresh = stats.paired_ratio(np.ones((3_000, 10)), (1 + change) * np.exp(chosen), 0.95)
    assert (fresh.low > 1).mean() == pytest.approx(selfcheck.POWER, abs=0.02)


def test_few_pairs_leave_out_what_they_cannot_tell():
    found = selfcheck.check("A", *pairs(7, 0.05), seed=1)
    assert find(found.rows, selfcheck.FALSE_ALARMS, DISJOINT, 5).comparisons == 1
    assert find(found.rows, selfcheck.FALSE_ALARMS, DISJOINT, 10) is None
    assert find(found.rows, selfcheck.FALSE_ALARMS, RESAMPLED, 5).share <= 0.08
    assert find(found.rows, selfcheck.SMALLEST_CHANGE, RESAMPLED, 10) is None
    wild = selfcheck.check("A", *pairs(30, 2.0), seed=1)
    assert find(wild.rows, selfcheck.PAIRS_NEEDED, RESAMPLED, change=0.02).pairs is None


@given(st.integers(2, 12), st.integers(0, 2**32), st.floats(0.001, 1.0))
@settings(max_examples=5, deadline=None)
def test_the_same_seed_gives_the_same_figures(n, seed, spread):
    base, new = pairs(n, spread)
    assert selfcheck.check("A", base, new, seed) == selfcheck.check("A", base, new, seed)


@pytest.mark.parametrize(("n", "words"), [(0, "0 pairs"), (1, "1 pairs")])
def test_too_few_pairs(n, words):
    with pytest.raises(InputError, match=words):
        selfcheck.check("A", *pairs(n, 0.1), seed=1)


@pytest.fixture
def two_runs(tmp_path):
    def make(**options):
        base = write_run(tmp_path / "a", {"train": times(20.0, NOISE)}, session="s")
        new = write_run(
            tmp_path / "b", {"train": times(20.0, OTHER_NOISE)}, **{"session": "s", **options}
        )
        return str(base), str(new)

    return make


def test_runs_that_are_there_are_read_and_judged_as_compare_does(two_runs):
    folders = two_runs()
    found = selfcheck.check_folders(*folders, seed=1)
    _, _, [row] = verdicts(*folders, "--phase", "train")
    for name in ("ratio", "low", "high"):
        assert float(row[name]) == pytest.approx(float(getattr(found.overall, name)))
    assert row["verdict"] == found.verdict
    assert found.pairs == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"session": "t"}, "was not measured interleaved"),
        ({"settings": ["training.epochs=3"]}, "is not the config of"),
    ],
)
def test_runs_that_are_no_self_comparison_are_refused(two_runs, options, words):
    done = run_here("selfcheck", "--from", *two_runs(**options))
    assert done.returncode == 2
    assert words in failure_line(done)


def test_measuring_and_reading_exclude_each_other(two_runs):
    done = run_here("selfcheck", "mnist-dense", "--from", *two_runs())
    assert done.returncode == 2
    assert (
        "--from: measures nothing; leave CONFIG, --duet, --one-core and --set out"
        in failure_line(done)
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    output = tmp_path_factory.mktemp("selfcheck")
    done = run_here("selfcheck", *FEW, "--pairs", "5", "--output", str(output))
    assert done.returncode == 0, done.stderr
    return done, output


def test_it_says_first_how_long_it_takes_and_keeps_two_ordinary_runs(measured):
    done, output = measured
    # A busy machine is warned of beside this.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert lines[0].startswith("mnist-dense-512 against itself, in turn: 5 pairs")
    assert lines[3].startswith("it will take about ")
    folders = sorted(output.iterdir())
    assert len(folders) == 2
    for folder in folders:
        table = rows(folder / "timings.csv")
        assert {row["repeat"] for row in table} == set("12345")
        assert f"Files: {folder}" in done.stdout
    seeds = [{row["seed"] for row in rows(folder / "timings.csv")} for folder in folders]
    assert seeds[0] == seeds[1], "equal things have equal seeds"


def test_its_table_agrees_with_its_file_and_with_a_second_reading(measured):
    done, output = measured
    [file] = output.glob("*/selfcheck.csv")
    table = rows(file)
    assert tuple(table[0]) == columns(SelfcheckRow)
    documented = (Path(__file__).parents[1] / "docs" / "results.md").read_text()
    assert all(f"`{column}`" in documented for column in table[0])
    [alarms] = [r for r in table if (r["figure"], r["how"]) == ("false_alarms", "disjoint")]
    assert f"{alarms['count']} of 1" in done.stdout
    assert math.isclose(float(alarms["share"]), int(alarms["count"]))
    other = next(folder for folder in output.iterdir() if folder != file.parent)
    again = run_here("selfcheck", "--from", str(file.parent), str(other), "--format", "csv")
    assert again.returncode == 0
    assert list(csv.DictReader(io.StringIO(again.stdout))) == table
    told = run_here("selfcheck", "--from", str(file.parent), str(other), "--format", "json")
    [checked] = json.loads(told.stdout)["checks"]
    assert (checked["pairs"], checked["design"]) == (5, "interleaved")
    assert f"On this machine: {json.loads(told.stdout)['advice']}." in done.stdout
    for words in ("Pairs needed to see a change of 2 %", "Resampled", "5 pairs"):
        assert words in done.stdout


def test_compare_reads_its_runs(measured):
    _, output = measured
    code, text, _ = compare(*sorted(output.iterdir()), "--phase", "train", "--fail-on", "none")
    assert code == 0
    assert "paired: measured interleaved" in text


def test_designs_are_set_beside_each_other(two_runs):
    """A machine whose pairs differ less at once than in turn needs the duet, and the reverse."""
    noisy = selfcheck.check("A", *pairs(40, 0.17), seed=1)
    quiet = selfcheck.check("A", *pairs(40, 0.04), seed=1, design="duet")
    assert (noisy.design, quiet.design) == ("interleaved", "duet")
    needed = [
        find(checked.rows, selfcheck.PAIRS_NEEDED, RESAMPLED, change=0.10).pairs
        for checked in (noisy, quiet)
    ]
    assert needed[0] > 2 * needed[1]
    assert advice([noisy, quiet]) == (
        f"interleaved: 10 % with {needed[0]} pairs; duet: with {needed[1]} pairs. "
        "This machine needs the duet: benchmark A B --duet"
    )
    calm = selfcheck.check("A", *pairs(40, 0.02), seed=1)
    assert advice([calm, quiet]).endswith("needs no more: benchmark A B")
    calmest = selfcheck.check("A", *pairs(40, 0.005), seed=1, design="one-core")
    assert advice([noisy, quiet, calmest]).endswith("one core for both: benchmark A B --one-core")
    assert advice([noisy]) == f"interleaved: 10 % with {needed[0]} pairs"
    done = run_here("selfcheck", "--from", *two_runs(), "--format", "csv")
    assert {row["design"] for row in csv.DictReader(io.StringIO(done.stdout))} == {"interleaved"}


@pytest.mark.long
def test_ctrl_c_keeps_the_finished_pairs(tmp_path):
    process = subprocess.Popen(
        command("selfcheck", *FEW, "--pairs", "500", "--output", str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if sum("repeat 3 begins" in log.read_text() for log in tmp_path.glob("*/log.txt")) == 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "mnistbench: interrupted; the finished pairs are kept"
    assert "2 pairs" in out
    assert len(list(tmp_path.glob("*/selfcheck.csv"))) == 1
