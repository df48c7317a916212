"""What is installed: the wheel holds the data and the configs, and a newcomer can use it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import FEW, rows
from hand_written_runs import submitted_run

from mnistbench.config.frameworks import BACKENDS, TENSORBOARD
from mnistbench.session.sweep.search import REQUIREMENT as OPTUNA

ROOT = Path(__file__).parents[1]
MOST_BYTES = 20_000_000
"""Of the wheel: MNIST is 11 MB of it."""


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
    assert wheel.stat().st_size < MOST_BYTES


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
    assert extras["search"] == [OPTUNA]


class Newcomer:
    """Somebody with a Python that has the wheel in it, and nothing of the checkout."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        """The packages below mnistbench, which take minutes to install, are those of the tests."""
        self.home = folder
        venv.create(folder / "venv", with_pip=False)
        self.python = next((folder / "venv").glob("*/python"))
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q",
             "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)],
            check=True, capture_output=True,
        )  # fmt: skip
        self.site = next((folder / "venv").glob("**/site-packages"))
        # A line of a .pth is searched after the venv's own, and its .pth files are not read: the
        # editable mnistbench of the tests is not there.
        (self.site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the venv, in a folder that is no checkout."""
        surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [str(self.python.with_name(arguments[0])), *arguments[1:]],
            cwd=self.home, env=surroundings, capture_output=True, text=True, timeout=250,
        )  # fmt: skip

    def mnistbench(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        done = self.run("mnistbench", *arguments)
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout


@pytest.mark.skipif(os.name == "nt", reason="programs of a venv are elsewhere on Windows")
def test_a_newcomer_walks_from_the_wheel_to_a_submission(wheel: Path, tmp_path: Path) -> None:
    """Install, benchmark, again, compare, report, open it, submit."""
    newcomer = Newcomer(wheel, tmp_path)
    where = newcomer.run("python", "-c", "import mnistbench; print(mnistbench.__file__)")
    assert where.stdout.strip() == str(newcomer.site / "mnistbench" / "__init__.py")

    for tag in ("first", "second"):  # the default config, of few images, as whole ones take minutes
        newcomer.mnistbench("benchmark", *FEW, "--repeats", "2", "--no-calibrate", "--tag", tag)
    first, second = sorted((tmp_path / "results").iterdir())
    facts = {row["attribute"]: row["value"] for row in rows(first / "machine.csv")}
    assert facts["python_executable"] == str(newcomer.python), "the venv's own Python measured"
    assert facts["mnistbench_git_commit"] == "", "no checkout was there"

    said = newcomer.mnistbench("compare", str(first), str(second), codes=(0, 3, 4))
    assert "train" in said
    said = newcomer.mnistbench("report", "results")
    assert said.splitlines()[-1] == "Report: report.html"
    open_in_a_browser(tmp_path / "report.html", said.splitlines()[0])

    said = newcomer.mnistbench("submit", str(first), codes=(5,))
    assert "  refused: dataset.train_samples is 512, shipped is null" in said
    assert "  refused: 2 finished repeats are too few" in said
    said = newcomer.mnistbench("submit", str(submitted_run(tmp_path / "whole")))
    assert ": accepted: mnist-dense, fit, 10 repeats" in said
    assert (tmp_path / "results" / "machines").is_dir()


def open_in_a_browser(report: Path, first_line: str) -> None:
    """Hold the page's first line against the command's, where there is a browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright import sync_api
    except ImportError:
        chromium = None
    if chromium is None:
        assert first_line in report.read_text(encoding="utf-8")
        return
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(report.as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        assert page.locator("h1").inner_text() == first_line
        browser.close()
