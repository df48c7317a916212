"""`mnistbench peak`, and what `benchmark` says of the machine beside a training."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from conftest import FEW, Session, benchmark_here, failure_line, rows, run_here
from rich.console import Console

from mnistbench.analysis.roofline import peaks, share_metrics, work_metrics
from mnistbench.config.loading import load_config
from mnistbench.config.work import forward_flops, training_flops
from mnistbench.errors import RunError
from mnistbench.machine.workloads import WORKLOADS, calibration_points, copy_size, peak_points
from mnistbench.measuring.executor import TaskFailure
from mnistbench.report.peak import print_peak
from mnistbench.report.values import unit_text
from mnistbench.results.rows import Metric, Sample
from mnistbench.session.rates import PeakResult, measure_calibration, rate_rows, summarized

VALIDATED = ("--set", "training.validation=test", "--set", "training.epochs=2")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What `peak` printed as JSON, and the folder it kept."""
    done = run_here("peak", "--format", "json", "--output", str(tmp_path_factory.mktemp("peak")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    """Two configs on the one device, with everything that is measured beside them."""
    done = benchmark_here(
        tmp_path_factory.mktemp("roofline"), "mnist-dense-512", "mnist-dense-relu", *FEW,
        *VALIDATED, "--roofline",
    )  # fmt: skip
    assert done.done.returncode == 0, done.done.stderr
    return done


def test_peak_measures_each_workload_and_its_spread(told):
    found = {peak["workload"]: peak for peak in told["peaks"]}
    expected = [w.name for w in WORKLOADS if told["device"] == "gpu" or w.name != "matmul-float16"]
    assert list(found) == expected
    for name, peak in found.items():
        own = [s for s in told["samples"] if s["workload"] == name and s["size"] == peak["size"]]
        assert peak["n"] == len(own) >= 3
        assert peak["median"] == median(s["rate"] for s in own)
        assert peak["best"] >= peak["median"] > 0
        if peak["n"] >= 6:
            assert peak["low"] <= peak["median"] <= peak["high"]
    # Any machine that runs TensorFlow multiplies more than 100 million numbers a second.
    assert found["matmul-float32"]["median"] > 1e8


def test_a_rate_is_the_work_over_the_seconds(told):
    for sample in told["samples"]:
        workload = next(w for w in WORKLOADS if w.name == sample["workload"])
        calls = sample["rate"] * sample["seconds"] / workload.amount(sample["size"])
        assert calls == pytest.approx(round(calls))
        assert sample["unit"] == workload.unit


def test_peak_is_kept_with_the_machine_it_is_of(told):
    kept = rows(Path(told["folder"]) / "peak.csv")
    assert [float(row["rate"]) for row in kept] == [s["rate"] for s in told["samples"]]
    assert {row["run_id"] for row in kept} == {told["run_id"]}
    machine = rows(Path(told["folder"]) / "machine.csv")
    assert {"cpu_model", "tensorflow_version"} <= {row["attribute"] for row in machine}


def test_the_peak_as_a_table():
    samples = [
        Sample("matmul-float32", size, 0.01, rate, "FLOP/s")
        for size, rates in ((512, [1e9] * 6), (1024, [2e9, 3e9, 4e9, 5e9, 6e9, 9e9, 8e9]))
        for rate in rates
    ]
    samples += [Sample("memory-copy", 1 << 26, 0.1, 12.34e9, "bytes/s")] * 3
    listed = rate_rows(samples, "r", "")
    console = Console(width=120, record=True, file=io.StringIO())
    print_peak(console, PeakResult("r", "cpu", tuple(listed), tuple(summarized(listed)), None))
    text = console.export_text()
    [line] = [line for line in text.splitlines() if "matrix product" in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "matrix product, float32", "1024", "7", "5.00 GFLOP/s", "2.00 G to 9.00 GFLOP/s",
        "9.00 GFLOP/s",
    ]  # fmt: skip
    # Three samples say nothing of the median's interval.
    [line] = [line for line in text.splitlines() if "memory copy" in line]
    cells = [cell.strip() for cell in line.split("│")[1:-1]]
    assert cells == ["memory copy", "64 MiB", "3", "12.3 GB/s", "", "12.3 GB/s"]


@pytest.mark.parametrize(
    ("rate", "text"),
    [(432.4e9, "432 GFLOP/s"), (1.5e12, "1.50 TFLOP/s"), (79.6e6, "79.6 MFLOP/s"), (None, "")],
)
def test_rates_have_three_figures(rate, text):
    assert unit_text(rate, "FLOP/s") == text


def test_a_gpu_that_is_not_there_is_refused_in_one_line(told, tmp_path):
    if told["device"] == "gpu":
        pytest.skip("there is one")
    done = run_here("peak", "--device", "gpu", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "TensorFlow sees none" in failure_line(done)
    assert not (tmp_path / "out").exists()


def test_a_copy_is_larger_than_the_caches():
    assert copy_size("cpu", 8 << 20) == 64 << 20
    assert copy_size("cpu", 384 << 20) == 768 << 20
    assert copy_size("cpu", None) == 64 << 20


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_what_calibrates_is_among_what_peak_measures(device):
    every = peak_points(device, None)
    chosen = calibration_points(device, None)
    assert all(point in every for point in chosen)
    assert {point.workload.kind for point in chosen} == {
        "matmul", "convolution", "copy", "dispatch",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["mnist-dense-512", "mnist-dense-relu"])
def test_a_train_phase_tells_what_it_computed(session, name):
    # 512 images in two epochs, each followed by a validation on 256.
    config = load_config(name)
    flops = 2 * (512 * training_flops(config) + 256 * forward_flops(config))
    assert session.metric(name, "train_flops") == [str(flops)]
    [seconds] = [
        float(row["seconds"])
        for row in rows(session.folder(name) / "timings.csv")
        if row["phase"] == "train"
    ]
    assert float(*session.metric(name, "train_flops_per_second")) == flops / seconds
    moved = int(*session.metric(name, "train_bytes"))
    assert float(*session.metric(name, "train_bytes_per_second")) == moved / seconds


@pytest.mark.parametrize("name", ["mnist-dense-512", "mnist-dense-relu"])
def test_the_share_is_of_the_higher_of_the_two_measured_peaks(session, name):
    table = rows(session.folder(name) / "peak.csv")
    assert {row["moment"] for row in table} == {"before", "after"}
    for metric, share, workload in (
        ("train_flops_per_second", "train_peak_share", "matmul-float32"),
        ("train_bytes_per_second", "train_bandwidth_share", "memory-copy"),
    ):
        medians = []
        for moment in ("before", "after"):
            own = [r for r in table if (r["workload"], r["moment"]) == (workload, moment)]
            sizes = {row["size"] for row in own}
            medians.append(
                max(median(float(r["rate"]) for r in own if r["size"] == size) for size in sizes)
            )
        told = float(*session.metric(name, share))
        assert told == pytest.approx(float(*session.metric(name, metric)) / max(medians))


def test_the_summary_shows_the_share(session):
    assert session.done.stdout.count("% of the measured matrix product, float32") == 2
    assert session.done.stdout.count("% of the measured memory copy") == 2


def test_a_calibration_is_kept_with_every_run(session):
    tables = [
        rows(session.folder(name) / "calibration.csv")
        for name in ("mnist-dense-512", "mnist-dense-relu")
    ]
    without_id = [[{**row, "run_id": ""} for row in table] for table in tables]
    assert without_id[0] == without_id[1]
    counts = Counter((row["workload"], row["moment"]) for row in tables[0])
    names = ("matmul-float32", "convolution-float32", "memory-copy", "dispatch")
    assert set(counts) == {(name, moment) for name in names for moment in ("before", "after")}
    assert min(counts.values()) >= 2


def test_without_calibration_there_is_none_and_the_arithmetic_stays(tmp_path):
    session = benchmark_here(tmp_path, "mnist-dense-512", *FEW, "--no-calibrate")
    folder = session.folder("mnist-dense-512")
    assert not (folder / "calibration.csv").exists()
    assert not (folder / "peak.csv").exists()
    names = {row["metric"] for row in rows(folder / "metrics.csv")}
    assert {"train_flops", "train_bytes_per_second"} <= names
    assert not {"train_peak_share", "train_bandwidth_share"} & names
    assert "of the measured" not in session.done.stdout
    assert "Train phase computes: " in session.done.stdout


class _Failing:
    """Stands for the processes: a machine on which the calibration cannot run."""

    def run(self, *arguments):
        raise TaskFailure("killed:SIGKILL", "the process was killed by SIGKILL; out of memory?")


def test_a_calibration_that_cannot_be_measured_says_how_to_go_without(tmp_path):
    with pytest.raises(RunError) as failure:
        measure_calibration(_Failing(), "cpu", tmp_path / "log.txt")
    assert str(failure.value) == (
        "the machine's rates could not be measured: the process was killed by SIGKILL; out of "
        "memory?; --no-calibrate goes without it"
    )


COUNTS = (
    Metric("train_samples", 100, "1"),
    Metric("validation_samples", 0, "1"),
    Metric("steps_per_epoch", 25, "1"),
    Metric("train_steps", 50, "1"),
)


def test_the_peak_is_that_of_the_precision_and_unknown_stays_unknown():
    config = load_config("mnist-dense")
    found = peaks([[Sample("matmul-bfloat16", 512, 0.1, 1e9, "FLOP/s")]])
    shares = {}
    for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
        measured = work_metrics(config, COUNTS, 2.0, precision)
        share = share_metrics(measured, precision, found)[0]
        shares[precision] = share.value
    rate = 2 * 100 * training_flops(config) / 2.0
    assert shares == {"float32": None, "mixed_bfloat16": rate / 1e9, "mixed_float16": None}
