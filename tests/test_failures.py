"""What a user sees when something goes wrong: real signals, real processes, one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from conftest import FEW, command, failure_line, rows, run

from mnistbench.config.loading import load_config
from mnistbench.data import source_of
from mnistbench.results.phases import PHASES

LONG = ("--set", "training.epochs=40", *FEW)
"""Long enough to be caught in the middle: some seconds a repeat."""


def start(output: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("benchmark", *arguments, "--no-calibrate", "--output", str(output)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(output: Path, words: str) -> Path:
    """Return the run's folder once its log says the words."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for log in output.glob("*/log.txt"):
            if words in log.read_text():
                return log.parent
        time.sleep(0.02)
    raise AssertionError(f"the log never said {words!r}")


def measuring_process(command_process: int) -> psutil.Process:
    """Return the process that trains: the youngest below the command."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [
            p
            for p in psutil.Process(command_process).children(recursive=True)
            if p.num_threads() > 3 and p.parent().pid != command_process
        ]
        if found:
            return max(found, key=lambda p: p.create_time())
        time.sleep(0.02)
    raise AssertionError("no measuring process was found")


def test_ctrl_c_keeps_the_finished_repeats(tmp_path: Path) -> None:
    process = start(tmp_path, "mnist-dense-512", *LONG, "--repeats", "50")
    folder = wait_for(tmp_path, "repeat 2 begins")
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "mnistbench: interrupted; 1 finished repeats are kept"
    assert "Traceback" not in err
    table = rows(folder / "timings.csv")
    assert {row["repeat"] for row in table} == {"1"}
    assert len(table) == 8
    assert (folder / "cloudmesh.log").exists()
    assert str(folder) in out


def test_ctrl_c_before_anything_is_measured_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path / "out", "mnist-dense", *LONG)
    time.sleep(2.5)  # while TensorFlow is imported
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines() == ["mnistbench: interrupted"]
    assert not (tmp_path / "out").exists()


def test_a_killed_repeat_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    process = start(tmp_path, "mnist-dense-512", *LONG, "--repeats", "3")
    folder = wait_for(tmp_path, "repeat 2 begins")
    time.sleep(1)
    measuring_process(process.pid).kill()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    table = rows(folder / "timings.csv")
    assert len(table) == 3 * 8
    status = {(row["repeat"], row["phase"]): row["status"] for row in table}
    assert status["2", "total"] == "killed:SIGKILL"
    assert status["1", "total"] == status["3", "total"] == "ok"
    killed = {row["phase"]: row for row in table if row["repeat"] == "2"}
    assert killed["total"]["seconds"] == ""
    found = [killed[phase]["status"] for phase in PHASES[1:-1]]  # a forked process has no import
    # On a busy machine it is not in `train` yet.
    hit = found.index("killed:SIGKILL")
    assert found[:hit] == ["ok"] * hit
    assert found[hit + 1 :] == ["not-run"] * (len(found) - hit - 1)
    assert "Repeat 2 killed:SIGKILL: the process was killed by SIGKILL; out of memory?" in out


@pytest.mark.long
def test_a_killed_command_leaves_whole_rows_and_no_process(tmp_path: Path) -> None:
    process = start(tmp_path, "mnist-dense-512", *LONG, "--repeats", "50")
    folder = wait_for(tmp_path, "repeat 2 begins")
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    table = rows(folder / "timings.csv")
    assert [row["repeat"] for row in table] == ["1"] * 8
    assert (folder / "timings.csv").read_bytes().endswith(b"\r\n")
    assert {row["repeat"] for row in rows(folder / "metrics.csv")} == {"1"}
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def test_a_repeat_that_fails_in_a_phase_says_where_and_why(tmp_path: Path) -> None:
    embedded = source_of(load_config("mnist-dense-512")).path
    assert embedded is not None
    own = tmp_path / "own.npz"
    own.write_bytes(embedded.read_bytes())
    output = tmp_path / "out"
    process = start(
        output, "mnist-dense-512", *LONG, "--set", f"dataset.path={own}", "--repeats", "2"
    )
    folder = wait_for(output, "repeat 1 begins")
    measuring_process(process.pid)
    time.sleep(1)
    own.unlink()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    table = rows(folder / "timings.csv")
    status = {row["phase"]: row["status"] for row in table if row["repeat"] == "2"}
    assert status["data-load"] == status["total"] == "failed"
    assert status["preprocess"] == status["test"] == "not-run"
    assert {row["status"] for row in table if row["repeat"] == "1"} == {"ok"}
    assert re.search(rf"Repeat 2 failed: {own}: .*no such file", out.replace("\n", ""))
    assert "Traceback" not in err + out


def test_a_gpu_that_is_not_there_is_an_error_before_any_training(tmp_path: Path) -> None:
    done = run(
        "benchmark", "--device", "gpu", "--output", str(tmp_path / "out"),
        env={"CUDA_VISIBLE_DEVICES": "-1"},
    )  # fmt: skip
    assert done.returncode == 2
    line = failure_line(done)
    assert "device" in line
    assert "TensorFlow sees none" in line
    assert "--device cpu" in line
    assert not (tmp_path / "out").exists()


def test_a_broken_tensorflow_is_told_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(
        "import os; os.write(2, b'native chatter\\n'); raise ImportError('no libcuda')"
    )
    done = run(
        "benchmark", *FEW, "--output", str(tmp_path / "out"), env={"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1
    chatter, last = done.stderr.strip().splitlines()
    assert chatter == "native chatter"
    assert last.startswith("mnistbench: TensorFlow cannot be imported: ImportError: no libcuda")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["benchmark", "mnist-dens"], ["'mnist-dens'", "mnist-dense?"]),
        (["benchmark", "--set", "training.batch_size=0"], ["training.batch_size", "0"]),
        (["benchmark", "--repeats", "0"], ["--repeats", "1 to 10000", "--help"]),
        (["benchmark", "--device", "tpu"], ["--device", "tpu", "gpu"]),
        (["benchmark", "--warmup", "-1"], ["--warmup", "0 to 10000"]),
        (["benchmark", "--frmt", "csv"], ["--frmt", "--format"]),
        (["benchmark", "--output", "/proc/none"], ["/proc/none", "cannot be written", "--output"]),
        (["benchmrk"], ["benchmrk", "--help"]),
    ],
)
def test_wrong_arguments_get_one_line_before_tensorflow(
    arguments: list[str], parts: list[str], tmp_path: Path
) -> None:
    begun = time.process_time()
    done = run(*arguments, cwd=tmp_path, env={"PYTHONPATH": _no_tensorflow(tmp_path)})
    assert done.returncode == 2, begun
    for part in parts:
        assert part in failure_line(done)
    assert [entry.name for entry in tmp_path.iterdir()] == ["blocked"]


def _no_tensorflow(folder: Path) -> str:
    """Return a PYTHONPATH under which importing TensorFlow fails loudly."""
    (folder / "blocked").mkdir()
    (folder / "blocked" / "tensorflow.py").write_text("raise SystemError('TensorFlow imported')")
    return str(folder / "blocked")


def test_no_permission_to_write(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; a read-only file system is tested elsewhere")
    tmp_path.chmod(0o500)
    done = run("benchmark", *FEW, "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "Permission denied" in failure_line(done)
