"""Where a measurement came from: the commit of the code, the file of the config, the version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FEW, benchmark_here, rows

ROOT = Path(__file__).parents[1]


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_machine_csv_names_the_commit_that_measured(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the code is no git checkout")
    session = benchmark_here(tmp_path, "mnist-dense", *FEW, "--no-calibrate", "-q")
    table = rows(session.folder("mnist-dense") / "machine.csv")
    facts = {row["attribute"]: row["value"] for row in table}
    dirty = "-dirty" if _git("status", "--porcelain", "-uno") else ""
    assert facts["mnistbench_git_commit"] == _git("rev-parse", "HEAD") + dirty
    version = subprocess.run(
        [sys.executable, "-m", "mnistbench", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert facts["mnistbench_version"] == version.stdout.split()[-1]


def test_the_configs_that_ship_are_those_of_the_checkout() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mnistbench", "config", "list"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert listed == [path.stem for path in sorted(Path(ROOT, "configs").glob("*.yaml"))]
