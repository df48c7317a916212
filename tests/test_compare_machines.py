"""`mnistbench compare` between two machines: the ratio beside what their calibrations predict.

There is one machine to test on. The other one is synthetic: real runs of this machine, whose
machine.csv, calibration.csv and times the tests rewrite.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FEW, Session, benchmark_here, rows
from hand_written_runs import NOISE, compare, times, verdicts, write, write_run
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.analysis import stats
from mnistbench.analysis.normalization import Prediction, Ratio, predict
from mnistbench.results.rows import RateRow, to_csv

WORKLOADS = ("matmul-float32", "convolution-float32", "memory-copy", "dispatch")
OTHER = {"cpu_model": "A CPU made up by a test", "session": "another"}


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    """A real run of this machine, with its calibration."""
    done = benchmark_here(
        tmp_path_factory.mktemp("real"), "mnist-dense-512", *FEW, "--repeats", "2"
    )
    assert done.done.returncode == 0, done.done.stderr
    return done


def rewritten(real: Path, folder: Path, *, slower: float, calibrated: dict[str, float]) -> Path:
    """Copy a real run as if of another machine, with its times and its rates changed."""
    shutil.copytree(real, folder)
    edit(folder / "timings.csv", seconds=lambda row: scaled(row["seconds"], slower))
    edit(folder / "machine.csv", value=lambda row: OTHER.get(row["attribute"], row["value"]))
    edit(
        folder / "calibration.csv",
        rate=lambda row: scaled(row["rate"], 1 / calibrated[row["workload"]]),
    )
    for name in ("timings.csv", "metrics.csv", "machine.csv", "calibration.csv"):
        edit(folder / name, run_id=lambda row: folder.name)
    return folder


def scaled(text: str, factor: float) -> str:
    return repr(float(text) * factor) if text else ""


def edit(file: Path, **columns) -> None:
    table = rows(file)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({**row, **{n: change(row) for n, change in columns.items()}} for row in table)
    write(file, text.getvalue())


def test_a_real_run_beside_a_synthetic_machine_that_is_as_much_slower(session, tmp_path):
    base = session.folder("mnist-dense-512")
    new = rewritten(base, tmp_path / "other", slower=1.6, calibrated=dict.fromkeys(WORKLOADS, 1.6))
    _, _, [train] = verdicts(base, new, "--phase", "train")
    assert float(train["ratio"]) == pytest.approx(1.6)
    if train["normalization_refused"]:
        # This machine's own rates were too far apart before and after: then nothing may be said.
        assert "predicts badly" in train["normalization_refused"]
        assert train["normalized_ratio"] == ""
    else:
        assert float(train["normalized_ratio"]) == pytest.approx(1.0)
        low, high = float(train["normalized_low"]), float(train["normalized_high"])
        # The machines' error is added to that of the runs.
        assert math.log(high / low) > math.log(float(train["high"]) / float(train["low"]))


RATES = {
    "matmul-float32": 2e11,
    "convolution-float32": 1.5e11,
    "memory-copy": 1e10,
    "dispatch": 5e4,
}


def calibration(folder: Path, factors=(1, 1, 1, 1), moments=("before", "after"), noise=NOISE):
    """Write a calibration by hand: rates of a machine that many times slower, 1 % of spread."""
    listed = [
        RateRow(
            folder.name, name, 1024, moment, 0.01, rate / factor * (1 + percent / 100), "FLOP/s"
        )
        for (name, rate), factor in zip(RATES.items(), factors, strict=True)
        for number, moment in enumerate(moments)
        for percent in noise[5 * number : 5 * number + 5]
    ]
    write(folder / "calibration.csv", to_csv(listed, RateRow))
    return folder


@pytest.fixture
def machines(tmp_path):
    """Two runs written by hand, NEW of another CPU and twice as slow; calibrations as asked."""

    def make(base=(1, 1, 1, 1), new=(2, 2, 2, 2), factor=2.0, machine=OTHER, **options):
        before = write_run(tmp_path / "base", {"train": times(20.0)}, session="s1")
        after = write_run(
            tmp_path / "new",
            {"train": times(20.0 * factor, NOISE[::-1])},
            machine=machine,
            session=machine.get("session", "s1"),
        )
        for folder, factors in ((before, base), (after, new)):
            if factors is not None:
                calibration(folder, factors, **options)
        return before, after

    return make


def test_a_slower_machine_alone_leaves_nothing(machines):
    code, found, [row] = verdicts(*machines())
    # The verdict and the exit code stay those of the ratio itself.
    assert (code, found) == (3, {"train": "slower"})
    assert float(row["ratio"]) == pytest.approx(2.0, rel=0.01)
    assert float(row["normalized_ratio"]) == pytest.approx(1.0, rel=0.01)
    assert float(row["normalized_low"]) < 1 < float(row["normalized_high"])
    assert row["normalization_refused"] == ""


def test_what_the_machine_does_not_explain_is_left(machines):
    _, _, [row] = verdicts(*machines(factor=2.0, new=(1.0, 1.0, 1.0, 1.0)))
    assert float(row["normalized_ratio"]) == pytest.approx(2.0, rel=0.01)
    assert float(row["normalized_low"]) > 1.5


def test_disagreeing_workloads_widen_the_interval(machines, tmp_path):
    def width(new):
        _, _, [row] = verdicts(*machines(new=new))
        for name in ("base", "new"):
            shutil.rmtree(tmp_path / name)
        return math.log(float(row["normalized_high"]) / float(row["normalized_low"]))

    assert width((1.9, 2.1, 2.0, 2.0)) > 1.5 * width((2, 2, 2, 2))


def test_workloads_that_disagree_much_are_refused_in_words(machines):
    base, new = machines(new=(1.0, 2.0, 4.0, 2.0))
    code, output, _ = compare(base, new)
    text = " ".join(output.split())
    assert code == 3
    assert "no normalised ratio: the calibration predicts badly, to a factor of" in text
    assert "memory-copy 4.00x slower" in text
    assert "refused" in text
    _, _, [row] = verdicts(base, new)
    assert row["normalized_ratio"] == row["normalized_low"] == row["normalized_high"] == ""
    assert "at most 2 is of use" in row["normalization_refused"]


def test_a_busy_machine_is_refused_too(machines):
    noisy = tuple(40.0 * (1 if number < 5 else -1) for number in range(10))
    _, _, [row] = verdicts(*machines(noise=noisy))
    assert "the machines were busy" in row["normalization_refused"]


@pytest.mark.parametrize("side", ["base", "new"])
def test_without_a_calibration_there_is_no_normalised_ratio(machines, side, tmp_path):
    base, new = machines(**{side: None})
    code, output, _ = compare(base, new)
    assert code == 3
    assert f"{tmp_path / side} holds no calibration" in output.replace("\n", "")


def test_a_calibration_cut_short_by_ctrl_c_has_no_error(machines):
    _, _, [row] = verdicts(*machines(moments=("before",)))
    assert "measured once only" in row["normalization_refused"]


def test_one_kind_of_hardware_is_not_normalised(machines):
    base, new = machines(machine={"session": "s1"}, factor=1.0)
    code, found, [row] = verdicts(base, new)
    assert (code, found) == (0, {"train": "same"})
    names = ("normalized_ratio", "normalized_low", "normalized_high", "normalization_refused")
    assert [row[name] for name in names] == [""] * 4
    _, output, _ = compare(base, new)
    assert "ormalised" not in output


def test_every_format_tells_it(machines):
    base, new = machines()
    _, table, _ = compare(base, new)
    assert "the calibration would have NEW 2.00x slower" in " ".join(table.split())
    _, markdown, _ = compare(base, new, "--format", "markdown")
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert "| Normalised | Normalised interval | Verdict |" in lines[0]
    assert len({line.count("|") for line in lines}) == 1
    _, text, _ = compare(base, new, "--format", "json")
    config = json.loads(text)["comparisons"][0]["configs"][0]
    assert config["calibration"]["predicted_ratio"] == pytest.approx(2.0, rel=0.01)
    assert config["calibration"]["low"] < 2 < config["calibration"]["high"]
    assert set(config["calibration"]["workload_ratios"]) == set(WORKLOADS)
    phase = config["phases"][0]
    assert phase["normalized_low"] < phase["normalized_ratio"] < phase["normalized_high"]


def test_a_torn_last_line_is_left_out(machines):
    base, new = machines()
    whole = (new / "calibration.csv").read_bytes()
    (new / "calibration.csv").write_bytes(whole + b"new,dispatch,200,after,0.01,2")
    _, _, [row] = verdicts(base, new)
    assert float(row["normalized_ratio"]) == pytest.approx(1.0, rel=0.01)


def test_a_file_that_is_no_calibration_is_named(machines):
    base, new = machines()
    (new / "calibration.csv").write_text("a,b\n1,2\n")
    code, _, error = compare(base, new)
    assert code == 2
    assert error.strip() == (
        f"mnistbench: {new / 'calibration.csv'}: the column workload is missing"
    )


RATES_OF_A_SIDE = st.lists(
    st.tuples(*[st.floats(1e3, 1e12)] * 2), min_size=3, max_size=6
)  # fmt: skip


@given(RATES_OF_A_SIDE, st.randoms(), st.floats(0.01, 100.0))
def test_swapped_machines_invert_the_prediction(rates, random, scale):
    base = {f"w{n}": [np.array([a]), np.array([a * 1.01])] for n, (a, _) in enumerate(rates)}
    new = {f"w{n}": [np.array([b]), np.array([b * 0.99])] for n, (_, b) in enumerate(rates)}
    forth, back = predict(base, new, "a", "b"), predict(new, base, "b", "a")
    assert forth.ratio == pytest.approx(1 / back.ratio)
    assert forth.factor(0.95) == pytest.approx(back.factor(0.95))
    # A unit of the rates is no matter.
    other = {name: [scale * part for part in parts] for name, parts in base.items()}
    times_scale = predict(other, new, "a", "b")
    assert times_scale.ratio == pytest.approx(forth.ratio * scale)
    assert times_scale.factor(0.95) == pytest.approx(forth.factor(0.95))


@given(st.floats(0.1, 10.0), st.floats(1.01, 2.0), st.floats(0.0, 0.3))
def test_no_interval_is_narrower_than_that_of_the_runs(ratio, width, error):
    found = Prediction({"a": 2.0, "b": 2.1, "c": 1.9}, error, 6)
    left = found.normalized(Ratio(ratio, ratio / width, ratio * width), 0.95)
    assert left.ratio == pytest.approx(ratio / found.ratio)
    assert left.high / left.ratio == pytest.approx(left.ratio / left.low)
    assert left.high / left.ratio >= width


@pytest.mark.parametrize("disagreement", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_the_interval_holds_the_truth(disagreement, noise):
    """Machines that differ by any ratio, on which each kind of work differs by a little more.

    The code is the same on both, so that the truth is 1. Of 300 intervals of 95 %, fewer than 273
    hold it with a probability below one in a thousand.
    """
    random = np.random.default_rng(20261122)
    held = 0
    for _ in range(300):
        machine = random.normal(0, 0.5)
        own = machine + disagreement * random.standard_normal(4)

        def rates(slower, random=random):
            # Before and after: whatever disturbs the machine disturbs all its work together.
            moments = noise * random.standard_normal(2)
            return {
                name: [
                    np.exp(20 - shift + moment + 0.02 * random.standard_normal(6))
                    for moment in moments
                ]
                for name, shift in zip(WORKLOADS, slower, strict=True)
            }

        training = machine + disagreement * random.standard_normal()
        base, new = np.exp(0.05 * random.standard_normal((2, 10)))
        raw = stats.unpaired_ratio(base, new * np.exp(training), 0.95)
        found = predict(rates(np.zeros(4)), rates(own), "a", "b")
        left = found.normalized(Ratio(float(raw.ratio), float(raw.low), float(raw.high)), 0.95)
        held += left.low <= 1 <= left.high
    assert held >= 273
