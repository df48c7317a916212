"""`mnistbench sweep` with real trainings: the shipped exercises, Ctrl-C, SIGKILL, and going on."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import command, rows, run_here
from test_sweep import each_once, measured_repeats

from mnistbench.session.sweep.plan_file import read_plan

FEW = (
    "--set", "dataset.train_samples=256", "--set", "dataset.test_samples=128", "--no-calibrate",
)  # fmt: skip
EXERCISES = {
    # name: the settings that have an effect of their own, and the points
    "mnist-dense": ({"training.epochs", "training.batch_size"}, 9),
    "mnist-dense-512": ({"model.hidden_units"}, 5),
    "mnist-dense-relu": (
        {"model.hidden_units", "model.activation", "training.learning_rate",
         "training.optimizer"}, 12,
    ),
    "cifar10-cnn": ({"model"}, 3),
}  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")


@pytest.mark.parametrize(
    "name",
    [
        name if name == "mnist-dense-512" else pytest.param(name, marks=pytest.mark.long)
        for name in EXERCISES
    ],
)
def test_every_shipped_exercise_runs_to_its_summary(name: str, tmp_path: Path) -> None:
    fields, points = EXERCISES[name]
    few = (*FEW, "--synthetic") if name == "cifar10-cnn" else FEW
    done = run_here("sweep", name, *few, "--repeats", "1", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert "Best test accuracy: " in done.stdout
    synthetic = "Data: synthetic; its accuracy is not that of CIFAR-10" in done.stdout
    assert synthetic == (name == "cifar10-cnn")
    assert f"best of {points}, chosen on the test set: on new images expect less" in done.stdout
    assert "Fastest: train" in done.stdout
    assert f"Files: {folder}" in done.stdout
    effects = {row["setting"] for row in rows(folder / "sweep.csv") if row["value"]}
    assert effects == fields
    assert len(rows(folder / "points.csv")) == points
    assert f"[{points}/{points}]" in done.stderr
    assert (
        f"{points} points, each once, round by round: {points} trainings; how long" in done.stderr
    )


def test_an_accuracy_aimed_at_and_all_formats(tmp_path: Path) -> None:
    arguments = (
        "sweep", "mnist-dense", "--grid", "training.batch_size=8,32", "--grid",
        "training.epochs=3,8", "--until", "test_accuracy>=40%", *FEW, "-q",
        "--output", str(tmp_path),
    )  # fmt: skip
    done = run_here(*arguments, "--format", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    printed = list(csv.DictReader(io.StringIO(done.stdout)))
    assert all(float(row["seconds_to_accuracy"]) > 0 for row in printed if row["point"] == "1")
    (folder,) = tmp_path.iterdir()
    assert printed == rows(folder / "points.csv")
    told = json.loads(run_here("sweep", "status", str(folder), "--format", "json").stdout)
    assert [point["settings"]["training.batch_size"] for point in told["points"]] == [8, 8, 32, 32]
    chosen = {row["finding"]: row for row in told["findings"]}
    first = min(
        (row for row in printed if row["seconds_to_accuracy"]),
        key=lambda row: float(row["seconds_to_accuracy"]),
    )
    assert chosen["fastest_to_accuracy"]["point"] == int(first["point"])
    table = run_here("sweep", "status", str(folder)).stdout
    assert "Fastest to test accuracy 0.4: " in table


def started(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command("sweep", *arguments, *FEW), "--output", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_repeats(process: subprocess.Popen[str], output: Path, count: int) -> Path:
    """Return the sweep's folder once so many repeats have rows."""
    while True:
        assert process.poll() is None, process.communicate()
        tables = list(output.glob("*/*/metrics.csv"))
        if sum(row["metric"] == "contention" for table in tables for row in rows(table)) >= count:
            return tables[0].parents[1]
        time.sleep(0.05)


@pytest.mark.long
def test_killed_for_good_it_goes_on_from_the_command_line(tmp_path: Path) -> None:
    process = started(
        tmp_path, "mnist-dense", "--grid", "training.batch_size=4,8,16", "--repeats", "3"
    )
    folder = wait_for_repeats(process, tmp_path, 2)
    process.kill()
    process.communicate()
    plan = read_plan(folder)
    kept = {
        table.parent.name: table.read_text()
        for table in folder.glob("*/timings.csv")
        if "ok" in table.read_text()
    }
    assert run_here("sweep", "status", str(folder)).returncode == 0
    done = run_here("sweep", "--resume", str(folder), "--no-calibrate")
    assert done.returncode == 0, done.stderr
    assert measured_repeats(folder) == each_once(plan)
    for name, text in kept.items():
        whole = (folder / name / "timings.csv").read_text()
        assert whole.startswith(text[: text.rfind("\n", 0, -1)]) or "half written" in done.stderr
    assert "of 9 are left; about " in done.stderr
    orders = [
        row["value"]
        for table in folder.glob("*/metrics.csv")
        for row in rows(table)
        if row["metric"] == "order"
    ]
    assert sorted(map(int, orders)) == list(range(1, 10))


def test_an_interrupt_keeps_what_has_ended(tmp_path: Path) -> None:
    process = started(
        tmp_path, "mnist-dense", "--grid", "training.batch_size=1,2", "--repeats", "4"
    )
    folder = wait_for_repeats(process, tmp_path, 1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130
    kept = sum(measured_repeats(folder).values())
    assert errors.strip().splitlines()[-1] == (
        f"mnistbench: interrupted; {kept} of 8 repeats are kept"
    )
    assert f"To go on: mnistbench sweep --resume {folder}" in output
    assert Counter(row["state"] for row in rows(folder / "points.csv")) <= Counter(
        {"begun": 2, "planned": 2}
    )
