"""Small machines, and another user: a benchmark ends there as it does here, or says why not."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import pytest
from conftest import FEW, command, rows
from soak import limits

Limit = Callable[[], AbstractContextManager[Sequence[str]]]


def limited(arguments: Sequence[str], *machine: Limit) -> subprocess.CompletedProcess[str]:
    with ExitStack() as stack:
        try:
            before = [word for limit in machine for word in stack.enter_context(limit())]
        except limits.Unavailable as why:
            pytest.skip(str(why))
        # A measure of coverage would write where another user may not, and complain.
        own = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
        return subprocess.run(
            [*before, *command(*arguments)], capture_output=True, text=True, timeout=250, env=own
        )


def two_gigabytes() -> AbstractContextManager[Sequence[str]]:
    return limits.memory(2 * 1000**3)


def a_tenth_of_a_core() -> AbstractContextManager[Sequence[str]]:
    return limits.cpu_quota(0.1)


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that every user can come to and write in; pytest's own are this user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.long
def test_one_core_2_gb_and_a_user_without_a_name_or_a_home(anybodys: Path) -> None:
    """A training, with its pictures and its model."""
    output = anybodys / "out"
    done = limited(
        ["train", "mnist-dense", *FEW, "--output", str(output)],
        limits.one_core, two_gigabytes, limits.other_user,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = output.iterdir()
    assert {row["status"] for row in rows(folder / "timings.csv")} == {"ok"}
    assert {row["user"] for row in rows(folder / "timings.csv")} == {""}, "it has none"
    facts = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
    assert facts["cpu_affinity_threads"] == "1"
    assert (folder / "model.keras").is_file()
    assert (folder / "curves.png").is_file()


def test_a_tenth_of_a_core_is_told(tmp_path: Path) -> None:
    """What imports no framework: that alone would take most of a minute."""
    done = limited(["config", "show", "mnist-dense"], a_tenth_of_a_core)
    assert (done.returncode, done.stderr) == (0, "")


def test_memory_that_no_library_can_live_with_is_refused_at_once() -> None:
    """With less, OpenBLAS waited for ever, ended the process, or was told as an interrupt."""
    for mebibytes in (60, 120, 300):
        done = limited(["compare", "a", "b"], partial(limits.memory, mebibytes * 2**20))
        assert done.returncode == 1
        assert done.stderr == (
            f"mnistbench: not enough memory: this process may have {mebibytes} MiB (ulimit -d), "
            "and needs 500 MiB; raise the limit\n"
        )
    done = limited(["compare", "--help"], lambda: limits.memory(60 * 2**20))
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    # The images alone, of 8 bytes a pixel, take 359 MiB, and what they are made from 45: what the
    # framework has is its own matter, and differs from machine to machine.
    whole = ("--set", "dataset.image_dtype=float64")
    done = limited(
        ["benchmark", "mnist-dense", *whole, "--no-calibrate", "--output", str(tmp_path)],
        lambda: limits.memory(530 * 2**20),
    )
    assert done.returncode in (1, 2)
    assert "memory" in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    # What began at all has failed, and is told as that.
    told = [row for file in tmp_path.glob("*/timings.csv") for row in rows(file)]
    assert not any(row["status"] == "ok" for row in told if row["phase"] == "total")
