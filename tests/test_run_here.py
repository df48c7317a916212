"""The tests' own short cut: a command run in the test's process leaves what a real one leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import FEW, Session, benchmark, benchmark_here, rows, run, run_here

TABLES = ("timings.csv", "metrics.csv", "machine.csv")
LEARNT = ("test_loss", "test_accuracy", "train_loss", "train_accuracy", "seed", "parameters")
ARGUMENTS = ("mnist-dense", *FEW, "--repeats", "2", "--no-calibrate", "-q")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a session run here, and that of the same one in a process of its own."""
    here = benchmark_here(tmp_path_factory.mktemp("here"), *ARGUMENTS)
    apart = benchmark(tmp_path_factory.mktemp("apart"), *ARGUMENTS)
    assert (here.done.returncode, here.done.stderr) == (0, apart.done.stderr)
    assert apart.done.returncode == 0
    return folder(here), folder(apart)


def folder(session: Session) -> Path:
    return session.folder("mnist-dense")


def column(file: Path, *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in rows(file)]


def test_the_files_and_their_columns_are_the_same(both: tuple[Path, Path]) -> None:
    here, apart = both
    assert {file.name for file in here.iterdir()} == {file.name for file in apart.iterdir()}
    for name in TABLES:
        assert list(rows(here / name)[0]) == list(rows(apart / name)[0])
    assert (here / "config.yaml").read_text() == (apart / "config.yaml").read_text()


def test_what_does_not_depend_on_time_is_the_same(both: tuple[Path, Path]) -> None:
    here, apart = both
    same = ("config_digest", "data_digest", "repeat", "seed", "phase", "status", "epochs", "device")
    assert column(here / "timings.csv", *same) == column(apart / "timings.csv", *same)
    assert column(here / "metrics.csv", "repeat", "metric", "unit") == column(
        apart / "metrics.csv", "repeat", "metric", "unit"
    )
    learnt = [
        [row["value"] for row in rows(run / "metrics.csv") if row["metric"] in LEARNT]
        for run in both
    ]
    assert learnt[0] == learnt[1]
    assert len(learnt[0]) == 2 * len(LEARNT)


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "show", "mnist-cnn"),
        ("data", "list"),
        ("benchmark", "mnist-dens"),
        ("compare", "nowhere", "elsewhere"),
        ("compare", "--help"),
    ],
)
def test_what_is_said_and_the_exit_code_are_the_same(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    surroundings = {"cwd": tmp_path, "env": {"MNISTBENCH_DATA": str(tmp_path), "COLUMNS": "100"}}
    here, apart = run_here(*arguments, **surroundings), run(*arguments, **surroundings)
    assert (here.returncode, here.stdout, here.stderr) == (
        apart.returncode,
        apart.stdout,
        apart.stderr,
    )
