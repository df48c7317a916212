"""Models, pictures and files of other people's: the inputs on which the tool once failed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import failure_line, run
from fused_edges import EDGES

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def case(name: str) -> Path:
    """Return a file or folder of the cases; skip where they are not beside the project."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def write_npz(path: Path, train: int, test: int) -> Path:
    """Write a small data set in MNIST's form, of noise."""
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (train + test, 28, 28), np.uint8)
    labels = draw.integers(0, 10, train + test, np.uint8)
    np.savez(path, x_train=images[:train], y_train=labels[:train],
             x_test=images[train:], y_test=labels[train:])  # fmt: skip
    return path


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def learnt_both_ways(request: pytest.FixtureRequest) -> dict[str, list[dict[str, list[float]]]]:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    program = Path(__file__).with_name("fused_edges.py")
    command = [sys.executable, str(program), request.param]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    edges: dict[str, list[dict[str, list[float]]]] = json.loads(done.stdout.splitlines()[-1])
    return edges


@pytest.mark.parametrize("edge", EDGES)
def test_fused_learns_what_fit_learns_at_every_edge(
    edge: str, learnt_both_ways: dict[str, list[dict[str, list[float]]]]
) -> None:
    fit, fused = learnt_both_ways[edge]
    assert fused.keys() == fit.keys()
    assert ("val_loss" in fit) == (EDGES[edge][3] != "none")
    for name, values in fit.items():
        assert fused[name] == pytest.approx(values, rel=0.001, abs=1e-5), name


def test_a_batch_larger_than_the_training_set_is_one_partial_batch(tmp_path: Path) -> None:
    small = case("01-fused-batch-larger-than-train/small.npz")
    done = run(
        "benchmark", "mnist-dense", "--set", f"dataset.path={small}", "--execution", "fused",
        "--set", "training.batch_size=128", "--no-calibrate", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    assert ",steps_per_epoch,1," in (folder / "metrics.csv").read_text()


@pytest.mark.parametrize("execution", ["fit", "fused"])
@pytest.mark.parametrize("train, fraction, purpose", [(60, "0.999", "train"), (1, "0.5", "train")])
def test_a_validation_that_leaves_nothing_is_refused_before_anything_is_made(
    execution: str, train: int, fraction: str, purpose: str, tmp_path: Path
) -> None:
    own = write_npz(tmp_path / "own.npz", train, 5)
    done = run(
        "benchmark", "--set", f"dataset.path={own}", "--execution", execution,
        "--set", f"training.validation={fraction}", "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 2
    problem = f"training.validation: {fraction} of {train} images leaves none to {purpose} on"
    assert problem in failure_line(done)
    assert not (tmp_path / "out").exists()
