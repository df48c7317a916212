"""`compare --metric`: any number of metrics.csv, judged as a time is."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from conftest import FEW, rows, run_here
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, write, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.analysis import stats
from mnistbench.results.metrics import known_kind
from mnistbench.results.rows import MetricRow, to_csv


def around(value, noise=NOISE, share=1.0):
    """Return a value for each of ten repeats, with the noise of times, or a share of it."""
    return [value * (1 + share * percent / 100) for percent in noise]


def two_runs(folder, name, unit, before, after, *, session="s", **options):
    """Write BASE and NEW with one metric each, their train phases equal but for noise."""
    phases = [{"train": times(20.0, noise)} for noise in (NOISE, OTHER_NOISE)]
    base = write_run(
        folder / "base", phases[0], session=session, metrics={name: (before, unit)}, **options
    )
    new = write_run(
        folder / "new", phases[1], session=session, metrics={name: (after, unit)}, **options
    )
    return base, new


def judged(*arguments):
    """Return the exit code and the rows of the CSV that the command prints."""
    code, output, error = compare(*arguments, "--format", "csv")
    assert not error, error
    return code, list(csv.DictReader(io.StringIO(output)))


REGRESSIONS = {
    # name: unit, BASE, NEW for the worse, what it is called
    "epoch_mean_seconds": ("s", 2.0, 2.3, "slower"),
    "steady_step_seconds": ("s", 1e-3, 1.2e-3, "slower"),
    "peak_rss_bytes": ("bytes", 8e8, 9e8, "worse"),
    "train_samples_per_second": ("samples/s", 40_000, 34_000, "slower"),
    "cpu_energy_joules": ("J", 300.0, 360.0, "worse"),
    "test_loss": ("", 0.30, 0.36, "worse"),
}


@pytest.mark.parametrize("session", ["s", ""])
@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_found_and_ends_in_3(tmp_path, name, session):
    unit, before, after, word = REGRESSIONS[name]
    folders = two_runs(
        tmp_path, name, unit, around(before), around(after, OTHER_NOISE), session=session
    )
    code, [row] = judged(*folders, "--metric", name)
    assert (code, row["verdict"], row["metric"], row["metric_unit"]) == (3, word, name, unit)
    assert float(row["ratio"]) == pytest.approx(after / before, rel=0.02)
    assert float(row["low"]) < after / before < float(row["high"])
    assert row["phase"] == row["base_median_seconds"] == ""
    # The other way round it is no regression.
    code, [row] = judged(*reversed(folders), "--metric", name)
    assert (code, row["verdict"]) == (0, {"slower": "faster", "worse": "better"}[word])


def test_accuracy_is_held_in_points(tmp_path):
    lost = two_runs(
        tmp_path, "test_accuracy", "1", around(0.91, share=0.1), around(0.90, OTHER_NOISE, 0.1)
    )
    code, [row] = judged(*lost, "--metric", "test_accuracy")
    assert (code, row["verdict"], row["ratio"], row["low"]) == (3, "worse", "", "")
    assert float(row["difference"]) == pytest.approx(-0.01, abs=1e-3)
    assert float(row["difference_low"]) < -0.01 < float(row["difference_high"]) < 0
    assert float(row["base_typical"]) == pytest.approx(0.91, abs=1e-3)
    code, output, _ = compare(*lost, "--metric", "test_accuracy")
    assert code == 3
    assert "points" in output
    assert "91.0" in output
    # One point is within a margin of two.
    code, [row] = judged(*lost, "--metric", "test_accuracy", "--accuracy-margin", "2%")
    assert (code, row["verdict"]) == (0, "same")


def test_a_difference_in_points_is_that_of_the_means(tmp_path):
    """By hand: a paired t over differences none of which is far out, with our small factor."""
    before = [0.900, 0.910, 0.905, 0.908, 0.902, 0.907, 0.904, 0.909, 0.903, 0.906]
    after = [value + step for value, step in zip(before, (0.001, 0.002) * 5, strict=True)]
    _, [row] = judged(
        *two_runs(tmp_path, "test_accuracy", "1", before, after), "--metric", "test_accuracy"
    )
    assert float(row["difference"]) == pytest.approx(0.0015, abs=1e-6)
    half = 2.262 * 0.000527 / 10**0.5 * 1.08
    assert float(row["difference_high"]) == pytest.approx(0.0015 + half, rel=0.01)


def test_equal_counts_are_known_to_be_the_same(tmp_path):
    """A clock may be too coarse; a count is not."""
    code, [row] = judged(
        *two_runs(tmp_path, "peak_rss_bytes", "bytes", [5e8] * 10, [5e8] * 10),
        "--metric", "peak_rss_bytes",
    )  # fmt: skip
    assert (code, row["verdict"], row["low"], row["high"]) == (0, "same", "1.0", "1.0")
    more = two_runs(tmp_path / "2", "peak_rss_bytes", "bytes", [5e8] * 10, [6e8] * 10)
    assert judged(*more, "--metric", "peak_rss_bytes")[0] == 3
    seconds = two_runs(tmp_path / "3", "epoch_mean_seconds", "s", [1.0] * 10, [1.0] * 10)
    code, [row] = judged(*seconds, "--metric", "epoch_mean_seconds")
    assert (code, row["verdict"]) == (4, "inconclusive")
    assert "clock" in row["reason"]


def test_what_is_neither_better_nor_worse_is_more_or_less(tmp_path):
    folders = two_runs(tmp_path, "parameters", "1", [50_890] * 10, [407_050] * 10)
    code, [row] = judged(*folders, "--metric", "parameters")
    assert (code, row["verdict"], row["better"]) == (0, "more", "neither")
    code, output, _ = compare(*folders, "--metric", "parameters")
    assert "8.00x more" in output
    # A metric of another program: nobody knows what is better.
    own = two_runs(tmp_path / "own", "frobs", "frob", around(3.0), around(2.0, OTHER_NOISE))
    code, [row] = judged(*own, "--metric", "frobs")
    assert (code, row["verdict"], row["metric_unit"]) == (0, "less", "frob")


def test_faster_by_a_metric_must_not_cost_accuracy(tmp_path):
    base = write_run(
        tmp_path / "base", {"train": times(20.0)}, session="s", accuracy=0.91,
        metrics={"epoch_mean_seconds": (around(2.0), "s")},
    )  # fmt: skip
    new = write_run(
        tmp_path / "new", {"train": times(20.0, OTHER_NOISE)}, session="s", accuracy=0.85,
        metrics={"epoch_mean_seconds": (around(1.0, OTHER_NOISE), "s")},
    )  # fmt: skip
    code, [row] = judged(base, new, "--metric", "epoch_mean_seconds")
    assert (code, row["verdict"]) == (4, "inconclusive")
    assert "accuracy fell from 91.00% to 85.00%" in row["reason"]


def test_phases_come_with_metrics_only_when_asked_for(tmp_path):
    folders = two_runs(tmp_path, "peak_rss_bytes", "bytes", around(8e8), around(8e8, OTHER_NOISE))
    _, alone = judged(*folders, "--metric", "peak_rss_bytes")
    assert [(row["phase"], row["metric"]) for row in alone] == [("", "peak_rss_bytes")]
    _, both = judged(*folders, "--metric", "peak_rss_bytes", "--phase", "train")
    assert [(row["phase"], row["metric"]) for row in both] == [
        ("train", ""), ("", "peak_rss_bytes"),
    ]  # fmt: skip
    assert float(both[1]["confidence"]) > float(alone[0]["confidence"])  # judged together
    output = compare(*folders, "--metric", "peak_rss_bytes", "--format", "json")[1]
    [config] = json.loads(output)["comparisons"][0]["configs"]
    assert config["phases"] == []
    [metric] = config["metrics"]
    assert (metric["metric"], metric["better"], metric["scale"]) == (
        "peak_rss_bytes", "less", "ratio",
    )  # fmt: skip
    for form in ("table", "markdown"):
        output = compare(*folders, "--metric", "peak_rss_bytes", "--format", form)[1]
        assert "Metric" in output
        assert "799.9 MB" in output


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peak_rss_byte", "did you mean peak_rss_bytes?"),
        ("train_seconds", "it is a phase: --phase train"),
        ("train", "it is a phase: --phase train"),
        ("zzz", "known are "),
        ("jit_reason", "is no number in"),
    ],
)
def test_a_name_that_is_none_is_told_with_the_nearest(tmp_path, name, words):
    folders = two_runs(tmp_path, "jit_reason", "", ["Keras's own choice"] * 10, ["auto"] * 10)
    code, output, error = compare(*folders, "--metric", name)
    assert (code, output) == (2, "")
    assert error.startswith("mnistbench: --metric: ")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([None] * 10, around(3.0), "no repeat of {base} has a value of it"),
        (around(3.0), [0.0] * 10, "{new} has a value that is not above 0, and no ratio"),
        ([-1.0] * 10, around(3.0), "{base} has a value that is not above 0, and no ratio"),
    ],
)
def test_what_cannot_be_compared_says_why_and_ends_in_5(tmp_path, before, after, words):
    base, new = two_runs(tmp_path, "cpu_energy_joules", "J", before, after)
    code, [row] = judged(base, new, "--metric", "cpu_energy_joules")
    assert (code, row["verdict"], row["metric"]) == (5, "not comparable", "cpu_energy_joules")
    assert row["reason"] == words.format(base=base, new=new)


def test_a_metric_that_only_a_roofline_run_has(tmp_path):
    folders = two_runs(tmp_path, "peak_rss_bytes", "bytes", around(8e8), around(8e8))
    code, [row] = judged(*folders, "--metric", "train_peak_share")
    assert (code, row["verdict"]) == (5, "not comparable")


def test_values_that_are_no_numbers_are_counted_and_named(tmp_path):
    after = [*around(8e8, OTHER_NOISE)[:8], "nan", "12 MB"]
    base, new = two_runs(tmp_path, "peak_rss_bytes", "bytes", around(8e8), after)
    code, output, _ = compare(base, new, "--metric", "peak_rss_bytes", "--format", "markdown")
    output = output.replace("\\", "")
    assert code == 0
    assert "2 values of a metric that are no finite numbers are left out, the first: " in output
    assert "peak_rss_bytes of repeat 9: nan" in output
    assert "up to 2 values have no partner and are left out" in output
    _, [row] = judged(base, new, "--metric", "peak_rss_bytes")
    assert row["n_base"] == row["n_new"] == "8"


def test_two_values_of_one_metric_are_refused(tmp_path):
    base, new = two_runs(tmp_path, "peak_rss_bytes", "bytes", around(8e8), around(8e8))
    file = new / "metrics.csv"
    write(file, file.read_text() + to_csv([MetricRow("new", 3, "peak_rss_bytes", 1, "bytes")]))
    code, _, error = compare(base, new, "--metric", "peak_rss_bytes")
    assert code == 2
    assert f"{file}: run 'new' has two values of peak_rss_bytes of repeat 3" in error


def test_contended_repeats_are_left_out_of_a_metric_too(tmp_path):
    marks = [["true"] * 2 + ["false"] * 8, ["false"] * 10]
    folders = []
    for name, marked, values in zip("ab", marks, (around(8e8), around(8e8)), strict=True):
        folders.append(
            write_run(
                tmp_path / name, {"train": times(20.0)}, session="s",
                metrics={"peak_rss_bytes": (values, "bytes"), "contended": (marked, "")},
            )
        )  # fmt: skip
    _, [row] = judged(*folders, "--metric", "peak_rss_bytes", "--without-contended")
    assert row["n_base"] == "8"


def test_metrics_lie_beside_the_timings_of_a_run_folder_alone(tmp_path):
    base, new = two_runs(tmp_path, "peak_rss_bytes", "bytes", around(8e8), around(8e8))
    code, _, _ = compare(base / "timings.csv", new, "--metric", "peak_rss_bytes")
    assert code == 0
    write(tmp_path / "alone.csv", (base / "timings.csv").read_text())
    code, [row] = judged(tmp_path / "alone.csv", new, "--metric", "peak_rss_bytes")
    assert (code, row["verdict"]) == (5, "not comparable")


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=12), st.floats(-0.2, 0.2))
@settings(max_examples=40, deadline=None)
def test_points_are_judged_on_the_scale_of_differences(values, step):
    """What `compare` does with shares: exponentials, whose ratio is the difference's."""
    base = np.array(values)
    new = base + step + np.linspace(-0.01, 0.01, len(values))
    found = stats.paired_ratio(np.exp(base), np.exp(new), 0.95)
    shifted = stats.paired_ratio(np.exp(base + 0.5), np.exp(new + 0.5), 0.95)
    assert np.log(found.ratio) == pytest.approx(step, abs=2e-3)
    assert np.log(found.low) == pytest.approx(np.log(shifted.low), abs=1e-9)


def test_every_number_that_a_benchmark_writes_is_in_the_registry(tmp_path):
    done = run_here(
        "benchmark", *FEW, "--roofline", "--until", "test_accuracy>=0.2", "--output", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    [file] = tmp_path.glob("*/metrics.csv")
    numbers = 0
    for row in rows(file):
        try:
            float(row["value"])
        except ValueError:
            continue
        kind = known_kind(row["metric"])
        assert kind is not None, row
        assert kind.unit == row["unit"], row
        numbers += 1
    assert numbers > 60
    values = {row["metric"]: row["value"] for row in rows(file)}
    [train] = [row for row in rows(file.with_name("timings.csv")) if row["phase"] == "train"]
    assert values["train_cpu_seconds"] == train["cpu_seconds"]
