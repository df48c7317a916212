"""What is installed: the wheel holds the data and the configs, and finds them from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mnistbench.config.frameworks import BACKENDS, TENSORBOARD

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_a_run_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for config in (ROOT / "configs").glob("*.yaml"):
        assert f"mnistbench/config/shipped/{config.name}" in names
    assert {"mnistbench/data/mnist.npz", "mnistbench/data/LICENSE-MNIST.txt"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "results"))]


def test_an_installed_copy_finds_its_configs_and_data(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    script = (
        "from mnistbench import data\n"
        "from mnistbench.config import files, loading\n"
        "loaded = loading.load_config('mnist-cnn')\n"
        "print(files.find_config('mnist-cnn'), data.identify(data.load(loaded), loaded).canonical)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = tmp_path / "site" / "mnistbench" / "config" / "shipped" / "mnist-cnn.yaml"
    assert done.stdout.split() == [str(found), "True"]


def test_what_a_message_has_installed_is_what_the_package_asks_for() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert BACKENDS["tensorflow"].requirement in project["dependencies"]
    assert [BACKENDS["jax"].requirement] == extras["jax"]
    assert [BACKENDS["torch"].requirement] == extras["torch"]
    assert extras["tensorboard"] == [TENSORBOARD]
