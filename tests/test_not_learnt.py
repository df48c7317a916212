"""A training that did not learn is said in one line, and nothing else changes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import run
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.analysis.learning import broken_loss, is_guessing, not_learnt


@pytest.mark.parametrize(
    "accuracy, samples, guessing",
    [
        (0.1, 10_000, True), (0.1135, 10_000, True), (0.13, 10_000, False), (0.0, 10_000, True),
        (0.91, 10_000, False), (0.3, 10, True), (0.6, 10, False), (1.0, 1, True),
        (0.2, 64, True), (0.3, 64, False),
    ],
)  # fmt: skip
def test_guessing_is_what_chance_gives(accuracy: float, samples: int, guessing: bool) -> None:
    assert is_guessing(accuracy, samples, 10) is guessing


@given(st.integers(30, 100_000), st.integers(2, 100))
def test_chance_is_guessing_and_knowing_all_is_not(samples: int, classes: int) -> None:
    assert is_guessing(1 / classes, samples, classes)
    assert not is_guessing(1.0, samples, classes)


@pytest.mark.parametrize(
    "loss, word", [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")]
)
@pytest.mark.parametrize(
    "name, moment",
    [("epoch_2_train_loss", "epoch 2"), ("validation_loss", "validation"), ("test_loss", "test")],
)
def test_the_first_loss_that_is_no_number_is_named(
    loss: float, word: str, name: str, moment: str
) -> None:
    metrics = {"epoch_1_train_loss": 2.3, "epoch_2_train_loss": 2.2, "test_loss": 2.1, name: loss}
    assert broken_loss(metrics) == f"the loss became {word} in {moment}"
    assert not_learnt({**metrics, "test_accuracy": 0.9, "test_samples": 100}, 10)


def test_unknown_figures_are_no_failure_to_learn() -> None:
    assert not_learnt({}, 10) == ""
    assert not_learnt({"test_accuracy": 0.1}, 10) == ""
    assert not_learnt({"test_accuracy": 0.9, "test_samples": 100, "test_loss": None}, 10) == ""


@pytest.mark.parametrize("execution", ["fit", "fused"])
def test_a_loss_of_nan_is_said_once_and_the_run_is_kept(execution: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    images, labels = draw.integers(0, 256, (80, 28, 28), np.uint8), np.arange(80, dtype=np.uint8)
    own = tmp_path / "own.npz"
    np.savez(own, x_train=images[:60], y_train=labels[:60] % 10,
             x_test=images[60:], y_test=labels[60:] % 10)  # fmt: skip
    done = run(
        "benchmark", "mnist-dense-relu", "--set", f"dataset.path={own}", "--no-calibrate",
        "--set", "dataset.normalization=none", "--set", "training.learning_rate=1e30",
        "--set", "training.epochs=1", "--execution", execution, "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    assert printed.count("did not learn") == 1
    assert "The network did not learn: the loss became NaN in epoch 1; try a smaller" in printed
    assert "the loss became NaN in epoch 1" in done.stderr
