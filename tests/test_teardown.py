"""How long TensorFlow takes to release its input pipelines: timed, told, left out if asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import FEW, rows, run_here
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write_run

RELEASES = """
import time
import tensorflow as tf
from mnistbench.measuring.inside.backends.teardown import TeardownWatch

watch = TeardownWatch()
assert watch.seconds is None
watch.begin()
watch.begin()  # a second time changes nothing
assert watch.seconds == 0.0
for pause in (0.0, 0.2):
    iterator = iter(tf.data.Dataset.range(100).map(lambda x: x + 1, tf.data.AUTOTUNE))
    assert int(next(iterator)) == 1
    time.sleep(pause)
    before, start = watch.seconds, time.perf_counter()
    del iterator
    whole = time.perf_counter() - start
    assert 0 < watch.seconds - before <= whole, (before, watch.seconds, whole)
    assert watch.seconds - before > whole - 0.05, "it is the release that takes the time"
another = TeardownWatch()
another.begin()
assert another.seconds is None, "one that times already is not taken for TensorFlow's own"
"""


def test_each_release_is_timed() -> None:
    done = subprocess.run([sys.executable, "-c", RELEASES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_left_of_the_phases_is_written(tmp_path: Path) -> None:
    done = run_here(
        "benchmark", "mnist-dense", *FEW, "--set", "training.epochs=2", "--no-calibrate",
        "--output", str(tmp_path), "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    seconds = {row["phase"]: float(row["seconds"]) for row in rows(folder / "timings.csv")}
    metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
    for phase in ("train", "test"):
        teardown = float(metrics[f"{phase}_teardown_seconds"])
        left = float(metrics[f"{phase}_without_teardown_seconds"])
        assert 0 < teardown < seconds[phase]
        assert abs(teardown + left - seconds[phase]) < 1e-6
    assert float(metrics["steady_step_seconds"]) * 30 < float(
        metrics["train_without_teardown_seconds"]
    )


def two_runs(tmp_path: Path, waits: list[float], others: list[float]) -> tuple[Path, Path]:
    """Return equal trainings of 1 s, which then waited for their release."""
    folders = []
    for name, each, noise in (("base", waits, NOISE), ("new", others, OTHER_NOISE)):
        left = times(1.0, noise)
        whole = [seconds + wait for seconds, wait in zip(left, each, strict=True)]
        metrics = {
            "train_teardown_seconds": (each, "s"),
            "train_without_teardown_seconds": (left, "s"),
        }
        folders.append(write_run(tmp_path / name, {"train": whole}, session="s", metrics=metrics))
    return folders[0], folders[1]


def test_compare_tells_it_and_can_leave_it_out(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path, [0.01] * 10, [1.6] * 10)
    code, wrapped, _ = compare(base, new)
    told = " ".join(wrapped.split())
    assert code == 3
    assert (
        f"train: releasing input pipelines took 0.01 s (1%) in {base} and 1.6 s (62%) in {new}, "
        "on average; --metric train_without_teardown_seconds leaves it out"
    ) in told
    code, _, found = verdicts(base, new, "--metric", "train_without_teardown_seconds")
    assert (code, [row["verdict"] for row in found]) == (0, ["same"])


def test_next_to_nothing_is_not_told(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path, [0.01] * 10, [0.012] * 10)
    assert "releasing" not in compare(base, new)[1]


def test_unknown_is_not_told(tmp_path: Path) -> None:
    base = write_run(tmp_path / "base", {"train": times(4.0)}, session="s")
    new = write_run(tmp_path / "new", {"train": times(4.0)}, session="s")
    assert "releasing" not in compare(base, new)[1]
