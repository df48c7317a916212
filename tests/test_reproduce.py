"""`mnistbench reproduce`: the lessons' figures beside the measured ones, and an honest verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import rows, run_here

from mnistbench.analysis.lessons import LESSONS
from mnistbench.analysis.reproduction import ReproductionRow, reproduction
from mnistbench.config.loading import load_config
from mnistbench.results.rows import MetricRow, TimingRow, to_csv
from mnistbench.results.tables import METRICS, TIMINGS

REFERENCE = Path(__file__).parents[1] / "results" / "reference"


def write_run(
    parent: Path, config: str, accuracy: float, parameters: int, digest: str = ""
) -> Path:
    """Write a run as `benchmark` would have; the figures are made up."""
    folder = parent / config
    folder.mkdir(parents=True)
    settings = load_config(config)
    training, digest = settings.training, digest or settings.digest()
    timings = [
        TimingRow(
            config, config, digest, "mnist", "", "dense", "tensorflow", "cpu", "float32",
            training.epochs, training.batch_size, 1, 1, phase, 2.0, None, "", "ok", "", "", "",
        )
        for phase in ("data-load", "compile", "train", "test")
    ]  # fmt: skip
    metrics = [
        MetricRow(config, 1, "test_accuracy", accuracy, "1"),
        MetricRow(config, 1, "parameters", parameters, "1"),
    ]
    (folder / TIMINGS).write_text(to_csv(timings, TimingRow), newline="")
    (folder / METRICS).write_text(to_csv(metrics, MetricRow), newline="")
    return folder


def verdict(rows: list[ReproductionRow], config: str) -> str:
    return next(row.verdict for row in rows if row.report.config == config)


@pytest.mark.parametrize("config", LESSONS)
def test_a_row_is_reproduced_only_within_its_bounds(tmp_path: Path, config: str) -> None:
    report = LESSONS[config]
    for number, (accuracy, parameters, expected) in enumerate(
        (
            (report.lowest, report.parameters, "reproduced"),
            (report.lowest - 0.001, report.parameters, "differs: accuracy below"),
            (report.highest + 0.001, report.parameters, "differs: accuracy above"),
            (report.lowest, report.parameters + 1, "differs: "),
        )
    ):
        folder = write_run(tmp_path / str(number), config, accuracy, parameters)
        assert verdict(reproduction([folder]), config).startswith(expected)


def test_other_settings_are_no_reproduction(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "mnist-mlp", 0.98, 669_706, digest="0" * 64)
    rows = reproduction([folder])
    assert verdict(rows, "mnist-mlp") == "measured with other settings"
    assert verdict(rows, "mnist-dense") == "not measured"


@pytest.mark.parametrize("config", LESSONS)
def test_every_lesson_is_a_shipped_config_of_its_size(config: str) -> None:
    assert load_config(config).parameters == LESSONS[config].parameters


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    done = run_here("reproduce", "--from", str(tmp_path))
    assert (done.returncode, "holds no run" in done.stderr) == (2, True)


def test_the_lessons_own_table_is_transcribed_in_our_columns() -> None:
    table = rows(REFERENCE / "lesson-2019-colab" / TIMINGS)
    seconds = {row["phase"]: float(row["seconds"]) for row in table}
    assert seconds == LESSONS["mnist-dense"].seconds
    assert {row["data_digest"] for row in table} == {""}, "unknown is empty"


def test_the_committed_reference_reproduces_every_lesson() -> None:
    done = run_here("reproduce", "--from", str(REFERENCE / "two-core-cloud-vm"))
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("reproduced") == len(LESSONS)
