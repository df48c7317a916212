"""Numbers and clocks as they should not be: told for what they are, and nothing made of them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import FEW, command, failure_line, rows, run, run_here
from hand_written_runs import compare, times, write_run
from PIL import Image
from soak import clocks

from mnistbench.machine.clocks import clock_resolution_seconds
from mnistbench.machine.warnings import warnings_before

DIVERGE = ("--set", "training.optimizer=sgd", "--set", "training.learning_rate=1e38",
           "--set", "dataset.normalization=none")  # fmt: skip


def only_folder(output: Path) -> Path:
    (folder,) = output.iterdir()
    return folder


def refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training whose weights are no numbers."""
    output = tmp_path_factory.mktemp("diverged") / "out"
    done = run_here("train", "mnist-dense", *FEW, *DIVERGE, "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "The network did not learn: the loss became NaN in epoch 1" in done.stdout
    return only_folder(output)


def test_a_model_that_gives_no_number_is_told(diverged: Path, tmp_path: Path) -> None:
    done = run_here("evaluate", str(diverged), "--format", "json", "--mistakes",
                    "--output", str(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout, parse_constant=refuse)
    assert told["loss"] is None
    assert told["remarks"] == [
        "gives no number (NaN) for 256 of 256 images: its training diverged; each counts as a "
        "guess of 0, as Keras counts it"
    ]
    guesses = rows(only_folder(tmp_path) / "predictions.csv")
    assert {row["probability"] for row in guesses} == {""}


def test_it_guesses_no_picture(diverged: Path, tmp_path: Path) -> None:
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    done = run_here("evaluate", str(diverged), "--images", str(tmp_path / "a.png"),
                    "--output", str(tmp_path / "out"))  # fmt: skip
    assert done.returncode == 2
    assert "gives no number (NaN) for these pictures" in failure_line(done)
    assert not any((tmp_path / "out").glob("*"))


def copied(run: Path, target: Path) -> Path:
    """The same run under another name: `compare` takes no run twice."""
    shutil.copytree(run, target)
    for file in target.glob("*.csv"):
        file.write_text(file.read_text().replace(run.name, target.name), newline="")
    return target


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("report", "{run}", "--format", "markdown"), 0),
        (("export", "pytest-benchmark", "{run}"), 0),
        (("compare", "{run}", "{copy}", "--metric", "test_loss", "--format", "json"), 5),
        (("compare", "{run}", "{copy}", "--phase", "train", "--format", "json"), 4),
    ],
)
def test_what_diverged_is_read_by_all(
    arguments: tuple[str, ...], code: int, diverged: Path, tmp_path: Path
) -> None:
    places = {"{run}": str(diverged), "{copy}": str(copied(diverged, tmp_path / "copy"))}
    done = run_here(*(places.get(word, word) for word in arguments))
    assert done.returncode == code, done.stderr
    if done.stdout.startswith("{"):
        json.loads(done.stdout, parse_constant=refuse)


def test_the_curves_of_infinite_losses_leave_them_out(diverged: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    done = run_here("report", str(diverged), "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert "NaN" not in target.read_text().partition("<script")[0]


@pytest.mark.parametrize("execution", ["fit", "fused"])
def test_one_image_and_a_batch_larger_than_all(execution: str, tmp_path: Path) -> None:
    done = run_here(
        "benchmark", "mnist-dense-512", "--set", "dataset.train_samples=1",
        "--set", "dataset.test_samples=1", "--execution", execution, "--no-calibrate",
        "--format", "json", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    repeat = json.loads(done.stdout, parse_constant=refuse)["runs"][0]["repeats"][0]
    metrics = repeat["metrics"]
    assert (metrics["train_steps"], metrics["train_samples"]) == (1, 1)
    assert metrics["test_accuracy"] in (0.0, 1.0)
    assert metrics["train_loss"] is not None


def test_a_class_that_is_missing_has_no_recall(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    images = draw.integers(0, 255, (64, 28, 28)).astype(np.uint8)
    labels = (np.arange(64) % 3).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "mine.npz", **arrays)  # type: ignore[arg-type]
    out = tmp_path / "out"
    trained = run_here("train", "mnist-dense", "--set", f"dataset.path={tmp_path / 'mine.npz'}",
                       "--output", str(out))  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    done = run_here("evaluate", str(only_folder(out)), "--format", "json", "--output",
                    str(tmp_path / "e"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    classes = json.loads(done.stdout, parse_constant=refuse)["classes"]
    assert [row["recall"] is None for row in classes] == [False] * 3 + [True] * 7
    assert {row["support"] for row in classes[3:]} == {0}


def test_a_wall_clock_that_is_set_back_is_told_and_changes_no_time(tmp_path: Path) -> None:
    variables = clocks.environment("set:-3600", tmp_path)
    output = tmp_path / "out"
    process = subprocess.Popen(
        command("benchmark", "mnist-dense", *FEW, "--repeats", "2", "--no-calibrate",
                "--output", str(output)),
        stdout=subprocess.PIPE, text=True, env={**os.environ, **variables},
    )  # fmt: skip
    while not any("repeat 2 begins" in log.read_text() for log in output.glob("*/log.txt")):
        assert process.poll() is None
        time.sleep(0.02)
    clocks.set_now(variables)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "The wall clock was set back by 3,600 s in a repeat" in " ".join(said.split())
    folder = only_folder(output)
    first, second = (
        float(row["value"])
        for row in rows(folder / "metrics.csv")
        if row["metric"] == "wall_clock_change_seconds"
    )
    assert abs(first) < 1
    assert second == pytest.approx(-3600, abs=1)
    assert all(0 < float(row["seconds"]) < 60 for row in rows(folder / "timings.csv")
               if row["status"] == "ok")  # fmt: skip
    done = run_here("compare", str(folder), str(copied(folder, tmp_path / "copy")))
    assert "left out" not in done.stdout


def set_back(folder: Path, seconds: int) -> None:
    """Let the last repeat's test begin so much earlier than it did."""
    with (folder / "timings.csv").open(newline="") as text:
        table = list(csv.reader(text))
    start, phase, repeat = (table[0].index(name) for name in ("start_utc", "phase", "repeat"))
    for row in table[1:]:
        minute = f"2026-11-22T10:{int(row[repeat]):02d}"
        is_last = row[repeat] == "10" and row[phase] == "test"
        row[start] = (
            f"{minute}:{40 - seconds if is_last else 40 * (row[phase] == 'test'):02d}.000001Z"
        )
    with (folder / "timings.csv").open("w", newline="") as text:
        csv.writer(text).writerows(table)


@pytest.mark.parametrize(("change", "is_taken"), [(-30.0, True), (0.0, False)])
def test_times_beside_a_clock_that_was_set_are_taken(
    change: float, is_taken: bool, tmp_path: Path
) -> None:
    """Without the evidence that it was set, such a time is one that cannot be."""
    base, new = tmp_path / "base", tmp_path / "new"
    changes = {"wall_clock_change_seconds": ([0.0] * 9 + [change], "s")}
    write_run(base, {"train": times(38.0), "test": times(0.3)})
    write_run(new, {"train": times(38.0), "test": times(0.3)}, metrics=changes)
    set_back(new, 30)
    _, output, error = compare(base, new)
    assert not error
    assert ("longer than its run lasted" in output) is not is_taken


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A benchmark whose clocks move by a 64th of a second."""
    folder = tmp_path_factory.mktemp("coarse")
    return run("benchmark", "mnist-dense", *FEW, "--repeats", "2", "--output", str(folder),
               env=clocks.environment("coarse:0.015625", folder))  # fmt: skip


def test_a_coarse_clock_is_told_and_measured_with(
    coarse: subprocess.CompletedProcess[str],
) -> None:
    assert coarse.returncode == 0, coarse.stderr
    assert "the clock moves by 15.6 ms at a time: a phase shorter than 1.56 s" in coarse.stderr
    place = coarse.stdout.split("Files: ")[1].split()[0]
    seconds = [float(row["seconds"]) for row in rows(Path(place) / "timings.csv")
               if row["status"] == "ok"]  # fmt: skip
    assert {value % 0.015625 for value in seconds} == {0.0}
    facts = {row["attribute"]: row["value"] for row in rows(Path(place) / "machine.csv")}
    assert facts["clock_resolution_seconds"] == "0.015625"
    rates = [float(row["rate"]) for row in rows(Path(place) / "calibration.csv")]
    assert all(0 < rate < 1e15 for rate in rates)
    copy = copied(Path(place), Path(place).parent / "copy")
    done = run_here("compare", place, str(copy), "--phase", "all")
    assert done.returncode in (0, 4, 5), done.stderr


def test_a_fine_clock_is_nothing_to_tell() -> None:
    step = clock_resolution_seconds()
    assert 0 < step < 1e-4
    from test_evidence import BEFORE

    lines = warnings_before({"clock_resolution_seconds": step}, 1, 10, BEFORE, BEFORE)
    assert not [line for line in lines if "clock moves" in line]
    facts = {"clock_resolution_seconds": 0.015625}
    (line,) = warnings_before(facts, 1, 10, BEFORE, BEFORE)
    assert line.startswith("the clock moves by 15.6 ms at a time: a phase shorter than 1.56 s is")


def test_a_machine_whose_clock_begins_in_1970_trains_nothing_it_could_not_keep(
    tmp_path: Path,
) -> None:
    done = run("train", "mnist-dense", *FEW, "--output", str(tmp_path / "out"),
               env=clocks.environment("begin:86400", tmp_path))  # fmt: skip
    assert done.returncode == 2
    assert failure_line(done) == (
        "mnistbench: this machine's clock says 1970-01-02, and a kept model is a zip archive, "
        "whose dates begin with 1980; set the clock, as with: date --set"
    )
    assert not (tmp_path / "out").exists()
