"""`--until`: time to an accuracy, and repeats that never get there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Session, benchmark_here, failure_line, rows, run_here

FEW = ("--set", "dataset.train_samples=6000", "--set", "dataset.test_samples=1000",
       "--set", "training.batch_size=100")  # fmt: skip


@pytest.mark.parametrize("execution", ["fit", "fused"])
def test_a_training_ends_at_its_target(execution: str, tmp_path: Path) -> None:
    session = benchmark_here(
        tmp_path, "mnist-dense", *FEW, "--until", "test_accuracy>=80%", "--execution", execution,
        "--set", "training.epochs=9", "--no-calibrate",
    )  # fmt: skip
    assert session.done.returncode == 0, session.done.stderr

    def metric(name: str) -> str:
        return session.metric("mnist-dense", name)[0]

    epochs = int(metric("epochs_to_accuracy"))
    assert 1 <= epochs < 9
    assert metric("target_reached") == "true"
    assert float(metric("validation_accuracy")) >= 0.8
    assert session.metric("mnist-dense", f"epoch_{epochs + 1}_seconds") == []
    phases = {
        row["phase"]: float(row["seconds"])
        for row in rows(session.folder("mnist-dense") / "timings.csv")
    }
    until = sum(phases[name] for name in ("data-load", "preprocess", "build", "compile", "train"))
    assert float(metric("time_to_accuracy_seconds")) == pytest.approx(until)
    assert "Test accuracy 0.8: reached by 1 of 1 repeats, in a median of" in session.done.stdout


def test_repeats_that_never_get_there_are_counted_so(tmp_path: Path) -> None:
    done = run_here(
        "benchmark", "mnist-dense", *FEW, "--until", "test_accuracy>=0.999", "--repeats", "2",
        "--execution", "fused", "--format", "json", "--no-calibrate", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)["runs"]
    assert told["time_to_accuracy"] == {
        "target_accuracy": 0.999, "n": 2, "n_reached": 0, "seconds": [], "median_seconds": None,
    }  # fmt: skip
    session = Session(done, tmp_path)
    assert session.metric("mnist-dense", "time_to_accuracy_seconds") == ["", ""]
    assert session.metric("mnist-dense", "target_reached") == ["false", "false"]
    assert len(set(session.metric("mnist-dense", "seed"))) == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--until", "accuracy=0.9"), ("--until", "'accuracy=0.9'", "test_accuracy>=0.97")),
        (
            ("--until", "test_accuracy>=1.5"),
            ("--until: 'test_accuracy>=1.5'", "write 'test_accuracy>=1.5%' or"),
        ),
        (("--until", "test_accuracy>=1e"), ("--until", "'test_accuracy>=1e'")),
        (
            ("--set", "training.target_accuracy=0.9"),
            ("target_accuracy", "validation is none", "--until"),
        ),
    ],
)
def test_a_wrong_target_is_one_line(arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    done = run_here("benchmark", "mnist-dense", *arguments)
    assert done.returncode == 2
    line = failure_line(done)
    for part in parts:
        assert part in line
