"""Code that lies in the current folder is the user's own: nothing of it runs, or measures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FEW, rows

from mnistbench.errors import RunError
from mnistbench.measuring import interpreters
from mnistbench.measuring.executor import StartMethod
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import probe
from mnistbench.measuring.workers import Workers

TRAP = """
import os
with open(os.environ["TRAPPED"], "a") as log:
    log.write(__name__ + "\\n")
raise ImportError("a file of the user's own was run")
"""
SCRIPT = [sys.executable, str(Path(sys.executable).with_name("mnistbench"))]


def names_loaded(argument: object, tell: Callable[[object], None]) -> list[str]:
    """Every top-level module of this process, after what a measurement imports."""
    from mnistbench.measuring import tasks

    tasks.probe("auto", tell)
    from mnistbench.measuring.inside import evaluate, kernels, train  # noqa: F401

    return sorted({name.partition(".")[0] for name in sys.modules})


@pytest.fixture(scope="module")
def loaded_names() -> list[str]:
    workers = Workers(measuring_environment("auto"), "auto")
    names: list[str] = workers.run(names_loaded, None, Path(os.devnull), lambda message: None)
    return names


@pytest.fixture(scope="module")
def trapped_folder(loaded_names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trap under the name of every module that a measuring process has."""
    folder = tmp_path_factory.mktemp("traps")
    for name in {*loaded_names, "multiprocessing", "sitecustomize", "usercustomize", "_pickle"}:
        (folder / f"{name}.py").write_text(TRAP)
    (folder / "mnistbench.py").unlink()
    (folder / "mnistbench").mkdir()
    (folder / "mnistbench" / "__init__.py").write_text(TRAP)
    return folder


def run_among_traps(command: list[str], folder: Path, log: Path) -> None:
    """Run a command in the folder; assert that it succeeds, and that no trap was run."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "TRAPPED": str(log)}, capture_output=True, text=True
    )
    assert not log.exists(), log.read_text()
    assert done.returncode == 0, done.stderr


def test_the_traps_cover_what_is_measured_with(loaded_names: list[str]) -> None:
    assert {"tensorflow", "keras", "json", "psutil", "numpy", "mnistbench"} <= set(loaded_names)


def test_a_trap_is_run_where_the_current_folder_counts(
    trapped_folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", "import psutil"],
        cwd=trapped_folder, env={**os.environ, "TRAPPED": str(log)}, capture_output=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert log.exists()


@pytest.mark.long
def test_no_command_runs_what_lies_in_the_current_folder(
    trapped_folder: Path, tmp_path: Path
) -> None:
    """A training from a fork server, its evaluation spawned, and commands that measure nothing."""
    log, output = tmp_path / "log", tmp_path / "out"
    train = [*SCRIPT, "train", *FEW, "--start-method", "fork", "-q", "--output", str(output)]
    run_among_traps(train, trapped_folder, log)
    (folder,) = output.iterdir()
    evaluate = [*SCRIPT, "evaluate", str(folder), "--start-method", "spawn", "-q"]
    run_among_traps(evaluate, trapped_folder, log)
    for arguments in (["config", "list"], ["data", "list"], ["compare", "--help"]):
        run_among_traps([*SCRIPT, *arguments], trapped_folder, log)
    assert {row["status"] for row in rows(folder / "timings.csv")} == {"ok"}


def test_python_m_runs_nothing_there_but_what_python_itself_needs_to_find_us(
    loaded_names: list[str], tmp_path: Path
) -> None:
    """`python -m` looks for the package, and for what looks for it, in the current folder first."""
    for name in ("json", "keras", "tensorflow", "numpy", "psutil", "click", "rich", "yaml"):
        assert name in {*loaded_names, "click", "rich"}
        (tmp_path / f"{name}.py").write_text(TRAP)
    command = [sys.executable, "-m", "mnistbench", "machine-info", "--format", "json"]
    run_among_traps(command, tmp_path, tmp_path / "log")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_api_call_among_traps_is_measured_by_the_caller(
    method: StartMethod, trapped_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the folder stands in sys.path, and in PYTHONPATH as an empty entry."""
    log = tmp_path / "log"
    monkeypatch.setenv("TRAPPED", str(log))
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{trapped_folder}")
    monkeypatch.chdir(trapped_folder)
    monkeypatch.syspath_prepend(str(trapped_folder))
    workers = Workers(measuring_environment("auto"), method)
    answer = workers.run(probe, "auto", tmp_path / "text", lambda message: None)
    assert not log.exists(), log.read_text()
    assert answer.facts["keras_backend"] == "tensorflow"


def test_another_package_of_the_same_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a launcher that loads another copy is found out, before it measures anything."""
    copy = tmp_path / "mnistbench"
    copy.symlink_to(Path(interpreters.__file__).parents[1])
    other = tmp_path / "other"
    monkeypatch.setattr(interpreters, "is_this_package", lambda file: Path(file).parent == other)
    workers = Workers(measuring_environment("auto"), "spawn")
    with pytest.raises(RunError, match="loaded another mnistbench"):
        workers.run(probe, "auto", tmp_path / "log", lambda message: None)
