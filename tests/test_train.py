"""`mnistbench train`: the folder it leaves, the figures in it, and going on from a checkpoint."""

from __future__ import annotations

import csv
import io
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import run_here

SMALL = (
    "--set", "dataset.train_samples=1000", "--set", "dataset.test_samples=250",
    "--set", "training.epochs=4",
)  # fmt: skip


def mnistbench(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_here(*map(str, arguments))
    assert done.returncode == code, done.stderr
    return done


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def metrics(folder: Path, repeat: str = "1") -> dict[str, str]:
    rows = table(folder / "metrics.csv")
    return {row["metric"]: row["value"] for row in rows if row["repeat"] == repeat}


def learnt(folder: Path, repeat: str = "1") -> dict[str, str]:
    """The metrics that depend on what was computed, and not on how fast."""
    return {
        name: value
        for name, value in metrics(folder, repeat).items()
        if name.endswith(("loss", "accuracy", "parameters")) or name == "seed"
    }


def weights(model: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(model) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(content) as file:
        file.visititems(keep)
    return found


def only_folder(path: Path) -> Path:
    (folder,) = path.iterdir()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs of a dense network, with checkpoints and TensorBoard's logs."""
    output = tmp_path_factory.mktemp("train")
    done = mnistbench(
        "train", "mnist-dense-relu", *SMALL, "--output", output,
        "--checkpoint-every", 2, "--tensorboard", "--tag", "here",
    )  # fmt: skip
    folder = only_folder(output)
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_every_file_is_there(run: Path) -> None:
    names = {path.name for path in run.iterdir()} - {"stdout", "stderr"}
    assert names == {
        "architecture.png", "checkpoints", "cloudmesh.log", "config.yaml", "curves.png",
        "history.csv", "log.txt", "machine.csv", "metrics.csv", "model.keras", "summary.txt",
        "tensorboard", "timings.csv",
    }  # fmt: skip
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "epoch-0002.json", "epoch-0002.keras", "epoch-0004.json", "epoch-0004.keras",
    ]  # fmt: skip


def test_history_agrees_with_the_metrics(run: Path) -> None:
    rows, told = table(run / "history.csv"), metrics(run)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    for row in rows:
        assert row["loss"] == told[f"epoch_{row['epoch']}_train_loss"]
        assert row["seconds"] == told[f"epoch_{row['epoch']}_seconds"]
        assert float(row["learning_rate"]) == pytest.approx(0.01)
        assert float(row["samples_per_second"]) > 1000 / float(row["seconds"])
    assert rows[-1]["val_accuracy"] == told["validation_accuracy"] == told["test_accuracy"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_every_epoch_and_the_accuracy_are_told(run: Path) -> None:
    told = (run / "stderr").read_text()
    for row in table(run / "history.csv"):
        assert f"epoch {row['epoch']}: loss {float(row['loss']):.4f}" in told
    accuracy = float(metrics(run)["test_accuracy"])
    assert f"Test accuracy: {accuracy:.1%}" in (run / "stdout").read_text()


def test_summary_lists_layers_shapes_and_parameters(run: Path) -> None:
    lines = (run / "summary.txt").read_text().splitlines()
    assert lines[1].split() == ["dense", "(Dense)", "(None,", "32)", "25,120", "yes"]
    assert lines[-3:] == ["Parameters: 25,818", "Trainable: 25,818", "Not trainable: 0"]


def test_phases_are_those_of_a_benchmark(run: Path) -> None:
    rows = table(run / "timings.csv")
    assert [row["phase"] for row in rows] == [
        "import", "data-load", "preprocess", "build", "compile", "train", "test", "total",
    ]  # fmt: skip
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["tag"] for row in rows} == {"here"}


def test_tensorboard_logs_hold_every_epoch(run: Path) -> None:
    for part, prefix in (("train", ""), ("validation", "val_")):
        (file,) = (run / "tensorboard" / part).iterdir()
        logged = [value for tag, value in scalars(file) if tag == "epoch_loss"]
        expected = [float(row[f"{prefix}loss"]) for row in table(run / "history.csv")]
        assert logged == pytest.approx(expected, rel=1e-6)


def scalars(file: Path) -> list[tuple[str, float]]:
    from tensorboard.compat.proto.event_pb2 import Event

    content, found, place = file.read_bytes(), [], 0
    while place < len(content):  # a record: length, its checksum, data, its checksum
        (length,) = struct.unpack_from("<Q", content, place)
        event = Event.FromString(content[place + 12 : place + 12 + length])
        found += [
            (value.tag, struct.unpack("<f", value.tensor.tensor_content)[0])
            if value.tensor.tensor_content
            else (value.tag, value.tensor.float_val[0])
            for value in event.summary.value
            if value.tag.startswith("epoch_")
        ]
        place += 16 + length
    return found


def test_figures_equal_those_of_a_benchmarks_first_repeat(run: Path, tmp_path: Path) -> None:
    mnistbench("benchmark", "mnist-dense-relu", *SMALL, "--output", tmp_path, "-q")
    benchmarked = only_folder(tmp_path)
    assert learnt(run) == learnt(benchmarked)
    assert (run / "config.yaml").read_text() == (benchmarked / "config.yaml").read_text()


def test_resumed_training_equals_the_unbroken_one(run: Path, tmp_path: Path) -> None:
    """What a crash in the fourth epoch leaves is taken up from the checkpoint of the second."""
    broken = tmp_path / run.name
    shutil.copytree(run, broken)
    for name in ("model.keras", "checkpoints/epoch-0004.keras", "checkpoints/epoch-0004.json"):
        (broken / name).unlink()
    for name, kept in (("history.csv", 4), ("metrics.csv", 1), ("timings.csv", 1)):
        lines = (broken / name).read_bytes().splitlines(keepends=True)
        (broken / name).write_bytes(b"".join(lines[:kept]))
    mnistbench("train", "--resume", broken, "-q")
    whole, resumed = learnt(run), learnt(broken)
    done_before = {
        f"epoch_{epoch}_{split}_{what}"
        for epoch in (1, 2)
        for split in ("train", "validation")
        for what in ("loss", "accuracy")
    }
    assert resumed == {name: value for name, value in whole.items() if name not in done_before}
    for one, other in zip(table(run / "history.csv"), table(broken / "history.csv"), strict=True):
        for column in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            assert one[column] == other[column]
    same_weights(run / "model.keras", broken / "model.keras")
    statuses = {row["phase"]: row["status"] for row in table(broken / "timings.csv")}
    assert statuses["train"] == statuses["total"] == "resumed"
    assert statuses["test"] == "ok"


def same_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert len(ours) > 6
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def test_a_finished_run_is_not_resumed(run: Path) -> None:
    done = mnistbench("train", "--resume", run, code=2)
    assert done.stderr.count("\n") == 1
    assert "is finished: all 4 epochs are done" in done.stderr


def test_a_run_without_checkpoint_is_not_resumed(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "config.yaml", tmp_path)
    done = mnistbench("train", "--resume", tmp_path, code=2)
    assert done.stderr.count("\n") == 1
    assert "no checkpoint" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resume", "nowhere"), "no such folder"),
        (("mnist-dense", "--resume", "."), "'mnist-dense' cannot be given with it"),
        (("--set", "training.epochs=2", "--resume", "."), "cannot be given with it"),
        (("--checkpoint-every", "0"), "--checkpoint-every"),
    ],
)
def test_wrong_input_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = mnistbench("train", *arguments, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_tensorboard_without_its_package_is_told_before_training(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorboard'] = None; sys.argv[0] = 'mnistbench';"
        "from mnistbench.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "train", "--tensorboard", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "-m pip install 'tensorboard>=2.18,<3'" in done.stderr
    assert not list(tmp_path.iterdir())
