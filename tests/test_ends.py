"""One end for every run: whatever ends it, a repeat is on the disk whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import command, rows
from hand_written_runs import compare, times, write_run
from test_cases_cli import HALF_IMPORTED
from test_failures import LONG, start, wait_for

from mnistbench.config.temporary import remove_abandoned, temporary_folder
from mnistbench.errors import OutputError
from mnistbench.measuring.interrupts import held_back
from mnistbench.results.folder import RunFolder
from mnistbench.results.rows import MetricRow
from mnistbench.results.tables import MACHINE, METRICS

CODES = [(signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), CODES)
def test_term_and_hup_keep_the_finished_repeats(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    process = start(tmp_path, "mnist-dense-512", *LONG, "--repeats", "50")
    folder = wait_for(tmp_path, "repeat 2 begins")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert error.strip().splitlines()[-1] == "mnistbench: interrupted; 1 finished repeats are kept"
    assert {row["repeat"] for row in rows(folder / "timings.csv")} == {"1"}
    assert (folder / "cloudmesh.log").exists()


@pytest.mark.parametrize(("number", "code"), CODES)
def test_term_and_hup_while_anything_is_imported_are_one_line(
    number: signal.Signals, code: int
) -> None:
    script = HALF_IMPORTED.format(module="pydantic").replace("signal.SIGINT", str(int(number)))
    done = subprocess.run(
        [sys.executable, "-c", script, "config", "show", "mnist-dense"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "mnistbench: interrupted\n")


def test_hup_that_is_ignored_stays_ignored() -> None:
    script = HALF_IMPORTED.format(module="pydantic").replace("signal.SIGINT", "signal.SIGHUP")
    done = subprocess.run(
        ["nohup", sys.executable, "-c", script, "config", "show", "mnist-dense"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_no_process_outlives_a_command_that_was_killed_while_it_imported(
    method: str, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command("benchmark", "--start-method", method, "--output", str(tmp_path)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    parent = psutil.Process(process.pid)
    while not (children := parent.children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)  # into the import of the framework
    children = [*children, *parent.children(recursive=True)]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


def metric_rows(repeat: int) -> Sequence[MetricRow]:
    return [MetricRow("r", repeat, name, 1.0, "") for name in ("order", "contention")]


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_repeat_is_in_both_tables_or_in_none(
    failing: int, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its flushes to the disk fails."""
    folder = RunFolder.create(tmp_path, "run", "{}\n")
    folder.append_together({METRICS: metric_rows(1), MACHINE: metric_rows(1)})
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise error
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    if failing < 3:
        with pytest.raises(expected):
            folder.append_together({METRICS: metric_rows(2), MACHINE: metric_rows(2)})
    else:
        folder.append_together({METRICS: metric_rows(2), MACHINE: metric_rows(2)})
    whole = {METRICS: 2, MACHINE: 2} if failing < 3 else {METRICS: 4, MACHINE: 4}
    assert {name: len(rows(folder.path / name)) for name in whole} == whole


def killed_between(folder: Path, cut: str) -> None:
    """Take the last repeat's rows out of one of the tables, as a crash between the two leaves."""
    lines = (folder / cut).read_bytes().decode().splitlines(keepends=True)
    place = lines[0].split(",").index("repeat")
    kept = [line for line in lines if line.split(",")[place] != "10"]
    assert len(kept) < len(lines)
    (folder / cut).write_text("".join(kept), newline="")


def test_compare_takes_no_times_without_metrics(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)})
    killed_between(new, "metrics.csv")
    code, output, error = compare(base, new)
    assert (code, error) == (0, "")
    place = new / "timings.csv"
    assert f"1 repeat without its metrics is left out, the first: {place}: 'repeat 10'" in (
        " ".join(output.split())
    )
    assert "9" in output


def test_compare_takes_no_metrics_without_times(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)})
    text = (new / "metrics.csv").read_bytes().decode()
    (new / "metrics.csv").write_text(
        text.replace("new,10,test_accuracy,0.91", "new,10,test_accuracy,0.11")
    )
    killed_between(new, "timings.csv")
    code, output, error = compare(base, new, "--format", "json")
    assert (code, error) == (0, "")
    assert '"new_test_accuracy": 0.91' in output


def test_what_a_call_left_that_was_killed_is_taken_away_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "root"
    script = (
        "import os, pathlib, sys\n"
        "from mnistbench.config.temporary import temporary_folder\n"
        "with temporary_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'big').write_bytes(b'x')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    with temporary_folder(root) as alive:
        subprocess.run([sys.executable, "-c", script, str(root)], check=False)
        assert len([path for path in root.iterdir() if path.is_dir()]) == 2
        with temporary_folder(root) as other:
            assert {path for path in root.iterdir() if path.is_dir()} == {alive, other}
    assert not root.exists()
    subprocess.run([sys.executable, "-c", script, str(root)], check=False)
    remove_abandoned(root)
    assert not root.exists()


def test_a_temporary_folder_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def full(path: Path, *arguments: Any, **options: Any) -> None:
        if path.parent == tmp_path / "root":
            raise OSError(errno.EIO, "Input/output error")
        real(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", full)
    place = temporary_folder(tmp_path / "root")
    with pytest.raises(OutputError, match="root: cannot be written"), place:
        pass
    assert not [*tmp_path.iterdir()]


def test_a_signal_waits_for_what_must_not_be_cut() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
