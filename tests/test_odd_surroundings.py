"""What the surroundings of a run must not change, and what they must not break."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import FEW, command, failure_line, rows, run, run_here

QUICK = (
    "--quiet",
    "--no-calibrate",
    *FEW,
    "--set",
    "training.batch_size=512",
    "--set",
    "training.epochs=3",
)
"""One step an epoch."""


def only_folder(output: Path) -> Path:
    (folder,) = output.iterdir()
    return folder


def metrics(folder: Path) -> dict[str, str]:
    return {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}


def shell(line: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line, "bash", *command(*arguments)], capture_output=True, timeout=200
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a relative data path, in a folder named like markup, by Keras set up to cheat."""
    cwd = tmp_path_factory.mktemp("odd")
    settings = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (cwd / "keras.json").write_text(json.dumps(settings))
    images = np.zeros((600, 28, 28), np.uint8)
    labels = (np.arange(600) % 10).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(cwd / "mine.npz", **arrays)  # type: ignore[arg-type]
    done = run(
        "benchmark", *QUICK, "--output", "out[red]x:fire:", "--tag", os.fsdecode(b"a\xffb"),
        "--set", "dataset.path=mine.npz", "--set", "training.validation=test",
        cwd=cwd,
        env={
            "KERAS_HOME": str(cwd), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1",
            "KERAS_MAX_STEPS_PER_EPOCH": "1", "TF_ODD": os.fsdecode(b"\xff"),
            "PYTHONIOENCODING": "ascii",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Files: out[red]x:fire:/" in done.stdout
    return only_folder(cwd / "out[red]x:fire:")


def test_keras_settings_of_the_user_do_not_cut_the_training_short(odd: Path) -> None:
    assert metrics(odd)["train_steps"] == "3"
    assert "epoch_3_seconds" in metrics(odd)
    (precision,) = {row["precision"] for row in rows(odd / "timings.csv")}
    assert precision == "float32"


def test_text_that_is_no_utf8_is_shown_and_loses_no_result(odd: Path) -> None:
    assert {row["tag"] for row in rows(odd / "timings.csv")} == {"a\\udcffb"}
    machine = {row["attribute"]: row["value"] for row in rows(odd / "machine.csv")}
    assert machine["env_TF_ODD"] == "\\udcff"


def test_the_config_that_a_run_leaves_finds_data_given_by_a_relative_path(odd: Path) -> None:
    text = run_here("config", "show", str(odd / "config.yaml")).stdout
    assert f"path: {odd.parent.parent / 'mine.npz'}\n" in text


def test_the_first_of_one_step_an_epoch_does_not_hold_the_validation(odd: Path) -> None:
    found = metrics(odd)
    # Validation's first pass is traced: it takes far more than the clock's own steps in between.
    between = float(found["epoch_1_seconds"]) - float(found["first_step_seconds"])
    assert between > 0.05
    assert float(found["steady_step_seconds"]) > 0


def test_closed_streams_lose_no_result(tmp_path: Path) -> None:
    arguments = ("benchmark", *QUICK, "--output", str(tmp_path))
    done = shell('"$@" >&- 2>&-', *arguments)
    assert done.returncode == 0
    assert {row["status"] for row in rows(only_folder(tmp_path) / "timings.csv")} == {"ok"}


def test_a_diverged_loss_is_null_in_json(tmp_path: Path) -> None:
    done = run_here(
        "benchmark", *QUICK, "--output", str(tmp_path), "--format", "json",
        "--set", "training.optimizer=sgd", "--set", "training.learning_rate=1e38",
        "--set", "dataset.normalization=none",
    )  # fmt: skip

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    told = json.loads(done.stdout, parse_constant=refuse)
    assert told["runs"][0]["repeats"][0]["metrics"]["test_loss"] is None


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    done = run_here("benchmark", "--output", str(tmp_path / "out"), "--set",
               f"dataset.path={tmp_path / 'one.npz'}")  # fmt: skip
    assert done.returncode == 2
    assert "one.npz: is a single NumPy array (.npy), not a NumPy archive" in failure_line(done)


def test_arrays_without_dimensions_are_told(tmp_path: Path) -> None:
    zero = np.uint8(0)
    np.savez(tmp_path / "z.npz", x_train=zero, y_train=zero, x_test=zero, y_test=zero)
    done = run_here("benchmark", "--output", str(tmp_path / "out"), "--set",
               f"dataset.path={tmp_path / 'z.npz'}")  # fmt: skip
    assert done.returncode == 2
    assert "z.npz: x_train is uint8 ()" in failure_line(done)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("~nobody-here/x.yaml",), "CONFIG: '~nobody-here/x.yaml' names a home folder"),
        (("mnist-mlp", "--set", "dataset.path=~nobody-here/x"), "names a home folder"),
        (
            ("mnist-mlp", "--set", "dataset.train_samples=2", "--set", "training.validation=0.9"),
            "--set training.validation=0.9: training.validation: 0.9 of 2 images leaves none",
        ),
        (("mnist-mlp", "--set", "training.batch_size=1e30"), "must be a whole number"),
        (
            ("mnist-mlp", "--set", "training.batch_size=99999999999999999999"),
            "must be less than 2147483648",
        ),
    ],
)
def test_odd_mistakes_are_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = run_here("config", "show", *arguments)
    assert done.returncode == 2
    assert words in failure_line(done)


def test_a_config_is_read_from_a_pipe() -> None:
    done = shell('echo "model: {family: dense}" | "$@"', "config", "show", "/dev/stdin")
    assert done.returncode == 0, done.stderr
    assert b"name: stdin" in done.stdout
