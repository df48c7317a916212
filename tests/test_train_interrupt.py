"""Ctrl-C during `mnistbench train` keeps the finished epochs, and --resume goes on from them."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

NETWORK = """
model: {family: cnn, filters: [6, 6], padding: [same], pool_size: 2, dropout: 0.3}
dataset: {train_samples: 640, test_samples: 100}
training: {epochs: 5, batch_size: 16, validation: test}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mnistbench", "train", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def epochs_in(output: Path) -> list[list[str]]:
    found = list(output.glob("*/history.csv"))
    if not found:
        return []
    with found[0].open(encoding="utf-8", newline="") as text:
        return list(csv.reader(text))[1:]


def wait_until(process: subprocess.Popen[str], output: Path, epochs: int) -> None:
    until = time.monotonic() + 120
    while len(epochs_in(output)) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def told_metrics(folder: Path) -> dict[str, str]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as text:
        return {row["metric"]: row["value"] for row in csv.DictReader(text)}


def weights_file(model: Path) -> dict[str, bytes]:
    import h5py

    with zipfile.ZipFile(model) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found: dict[str, bytes] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(content) as file:
        file.visititems(keep)
    return found


@pytest.mark.long
def test_interrupted_and_resumed_equals_unbroken(tmp_path: Path) -> None:
    config = tmp_path / "small-cnn.yaml"
    config.write_text(NETWORK)
    broken, whole = tmp_path / "broken", tmp_path / "whole"

    process = start(config, "--output", broken)
    wait_until(process, broken, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    (folder,) = broken.iterdir()
    done = len(epochs_in(broken))
    assert 1 <= done < 5
    assert f"holds the model after {done} of 5 epochs" in said
    assert f"mnistbench train --resume {folder}" in said
    for name in ("model.keras", "curves.png", f"checkpoints/epoch-{done:04d}.keras"):
        assert (folder / name).stat().st_size > 1000
    with (folder / "timings.csv").open(encoding="utf-8", newline="") as text:
        statuses = {row["phase"]: row["status"] for row in csv.DictReader(text)}
    assert statuses["train"] == statuses["total"] == "interrupted"
    assert statuses["test"] == "not-run"

    both = [start("--resume", folder, "-q"), start(config, "--output", whole, "-q")]
    for process in both:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    (unbroken,) = whole.iterdir()
    ours, theirs = epochs_in(broken), epochs_in(whole)
    assert [row[:6] for row in ours] == [row[:6] for row in theirs]
    for name in ("test_loss", "test_accuracy", "train_loss"):
        assert told_metrics(folder)[name] == told_metrics(unbroken)[name]
    assert weights_file(folder / "model.keras") == weights_file(unbroken / "model.keras")


def test_nothing_is_kept_before_the_first_epoch_ends(tmp_path: Path) -> None:
    process = start("mnist-dense", "--output", tmp_path / "out")
    until = time.monotonic() + 120
    while not list(tmp_path.glob("out/*/summary.txt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "nothing is kept" in said
    assert not (tmp_path / "out").exists()


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    process = start(
        "mnist-dense-512", "--set", "dataset.train_samples=20000",
        "--set", "dataset.test_samples=100", "--set", "training.batch_size=20000",
        "--set", "model.hidden_units=[4096, 4096]",
        "--output", tmp_path / "out",
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(tmp_path.glob("out/*/summary.txt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(1.0)  # into the first step, which takes several seconds
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - started < 5
