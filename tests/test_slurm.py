"""Sweeps on a real Slurm of two nodes on this machine: end to end, killed, cancelled, collected.

Skipped where there is no Slurm. The commands are those of docs/cluster.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import command, rows, run
from test_sweep import each_once, measured_repeats

from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.plan_file import read_plan

TOOLS = Path(__file__).parents[1] / ".." / "shared" / "tools"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "munged")
FEW = (
    "--set", "dataset.train_samples=256", "--set", "dataset.test_samples=64", "--no-calibrate",
)  # fmt: skip


def why_not() -> str:
    """Return why there can be no Slurm here; empty if there can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"Slurm is not installed: {missing[0]} is not there (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    if not (TOOLS / "slurm-up.sh").is_file():
        return "the script that starts a Slurm is not there: ../shared/tools/slurm-up.sh"
    return ""


if sys.platform == "win32" or why_not():
    reason = "Slurm" if sys.platform == "win32" else why_not()
    pytest.skip(reason, allow_module_level=True)
pytest.importorskip("submitit", reason="the extra [slurm] is not installed")


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of a Slurm of two nodes, n1 and n2."""
    place = tmp_path_factory.mktemp("slurm")
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(
        0, range(psutil.cpu_count() or 1)
    )  # a node each, as far as there are cores
    up = subprocess.run(
        ["bash", str(TOOLS / "slurm-up.sh"), str(place), "2"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    os.sched_setaffinity(0, pinned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(place / "slurm.conf"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        try:
            if "idle" not in up.stdout:
                pytest.skip(
                    f"Slurm does not come up here: {(up.stderr or up.stdout).strip()[-300:]}"
                )
            yield place
            subprocess.run(["scancel", "--me"], check=False)
        finally:
            subprocess.run(["bash", str(TOOLS / "slurm-down.sh"), str(place)], check=False)
            end_left_over(place)


def end_left_over(place: Path) -> None:
    """End what a killed node left: its steps have this Slurm's folder in their arguments."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if str(place) in " ".join(process.info["cmdline"] or ()):
            process.kill()


@pytest.fixture(autouse=True)
def _nothing_left_in_the_queue(slurm: Path) -> Iterator[None]:
    yield
    subprocess.run(["scancel", "--me"], check=False)
    wait_for(lambda: not queue())


def wait_for(what: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something is so; the timeout of the test is its end."""
    while not what():
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.1)


def swept(output: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    done = run(
        "sweep", "mnist-dense", "--launcher", "slurm", "--launch", "partition=debug", *FEW,
        *arguments, "--output", str(output),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = output.iterdir()
    return done, folder


def queue() -> str:
    shown = ["squeue", "--me", "-h", "-r", "-o", "%i %T %N"]
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout


def nodes() -> str:
    shown = ["sinfo", "-h", "-N", "-o", "%N %T"]
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout


def fact(run_folder: Path, name: str) -> str:
    return next(r["value"] for r in rows(run_folder / "machine.csv") if r["attribute"] == name)


def runs_of(plan: SweepPlan, folder: Path) -> list[Path]:
    return [folder / plan.run_id(index) for index in range(len(plan.points))]


def test_a_sweep_over_two_nodes_end_to_end(tmp_path: Path) -> None:
    done, folder = swept(tmp_path, "--grid", "training.batch_size=8,16", "--repeats", "2")
    plan = read_plan(folder)
    assert measured_repeats(folder) == each_once(plan)
    assert "2 points submitted to Slurm, job " in done.stderr
    assert "4 of 4 repeats are collected" in done.stderr
    assert "Best test accuracy: " in done.stdout
    runs = runs_of(plan, folder)
    assert {fact(run_folder, "slurm_node") for run_folder in runs} == {"n1", "n2"}
    assert len({fact(run_folder, "session") for run_folder in runs}) == 2
    assert {fact(run_folder, "slurm_restart_count") for run_folder in runs} == {"0"}
    assert not list((folder / "attempts").iterdir())
    again = run("sweep", "--resume", str(folder))
    assert again.returncode == 0
    assert "submitted" not in again.stderr


def process_on(node: str) -> psutil.Process | None:
    """Return the process that measures a point on a node."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "point" in words and "mnistbench" in words:
            try:
                if process.environ().get("SLURMD_NODENAME") == node:
                    return process
            except psutil.Error:
                continue
    return None


@pytest.mark.long
def test_a_killed_task_and_a_dead_node_leave_every_result_exactly_once(
    slurm: Path, tmp_path: Path
) -> None:
    """One task is killed, the node of another dies; what that node still measures comes late."""
    done, folder = swept(
        tmp_path, "--grid", "training.epochs=30,31", "--repeats", "3", "--detach",
        "--set", "training.batch_size=16",
    )  # fmt: skip
    plan = read_plan(folder)
    assert f"mnistbench sweep collect {folder}" in done.stderr
    wait_for(lambda: process_on("n1") and process_on("n2"))
    status = run("sweep", "status", str(folder)).stdout
    assert "Running: 2 points, from job " in status
    killed, lost = process_on("n2"), process_on("n1")
    assert killed is not None
    assert lost is not None
    killed.kill()
    os.kill(int((slurm / "slurmd.n1.pid").read_text()), signal.SIGKILL)
    down = ["scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=died"]
    subprocess.run(down, check=True)  # Slurm would see it in half a minute
    wait_for(lambda: "PENDING" in queue() and "RUNNING" not in queue())
    resumed = subprocess.Popen(
        command("sweep", "--resume", str(folder), "--no-calibrate"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: start_requeued() and resumed.poll() is not None)
    output, errors = resumed.communicate()
    assert resumed.returncode == 0, (output, errors)
    assert "1 point is in the queue or measured already" in errors
    assert "1 point submitted to Slurm" in errors
    assert measured_repeats(folder) == each_once(plan)
    wait_for(lambda: not lost.is_running())
    wait_for(lambda: not queue())
    before = sorted(folder.glob("*/timings.csv"))
    collected = run("sweep", "collect", str(folder))
    assert collected.returncode == 0
    assert measured_repeats(folder) == each_once(plan)
    assert sorted(folder.glob("*/timings.csv")) == before
    assert not list((folder / "attempts").iterdir())
    restarts = {path.name.split("-")[2] for path in (folder / "left-out").iterdir()}
    restarts |= {
        f"r{fact(run_folder, 'slurm_restart_count')}"
        for run_folder in (table.parent for table in before)
    }
    assert restarts == {"r0", "r1"}, "both attempts of the lost node finished"
    subprocess.run(["slurmd", "-N", "n1"], check=True)
    up = ["scontrol", "update", "NodeName=n1", "State=RESUME"]  # refused if it is back by itself
    subprocess.run(up, capture_output=True, check=False)
    wait_for(lambda: "down" not in nodes())


def start_requeued() -> bool:
    """Let what Slurm begins again begin now: it would wait for two minutes."""
    for line in queue().splitlines():
        job, state, *_ = line.split()
        if state == "PENDING":
            subprocess.run(
                ["scontrol", "update", f"JobId={job}", "StartTime=now"],
                capture_output=True,
                check=False,
            )
    return True


@pytest.mark.long
def test_a_detached_sweep_is_cancelled_and_gone_on_with(tmp_path: Path) -> None:
    _, folder = swept(
        tmp_path, "--grid", "training.epochs=1,4000,4001", "--parallel", "1", "--detach",
        "--set", "dataset.train_samples=2048",
    )  # fmt: skip
    status = run("sweep", "status", str(folder)).stdout
    # All three, as long as the scheduler has not looked.
    assert "Waiting: 2 points" in status or "Waiting: 3 points" in status, status
    refused = run("sweep", "--resume", str(folder), "--launcher", "local")
    assert refused.returncode == 2
    assert "wait or run elsewhere, job " in refused.stderr
    wait_for(lambda: list((folder / "attempts").glob("*/sweep.csv")))
    stopped = run("sweep", "stop", str(folder))
    assert stopped.returncode == 0
    assert "2 points are cancelled; what had ended is kept" in stopped.stdout
    wait_for(lambda: not queue())
    collected = run("sweep", "collect", str(folder), "--format", "csv")
    states = [line.split(",")[2] for line in collected.stdout.splitlines()[1:]]
    assert states == ["measured", "planned", "planned"]
    assert run("sweep", "stop", str(folder)).returncode == 2


def test_a_printed_script_is_taken_by_sbatch(tmp_path: Path) -> None:
    done, folder = swept(tmp_path / "out", "--grid", "training.batch_size=8,16", "--print")
    sent = subprocess.run(
        ["sbatch", "--parsable"], input=done.stdout, capture_output=True, text=True, check=True
    )
    wait_for(lambda: not queue())
    collected = run("sweep", "collect", str(folder))
    assert collected.returncode == 0, collected.stderr
    plan = read_plan(folder)
    assert measured_repeats(folder) == each_once(plan)
    jobs = {fact(run_folder, "slurm_job") for run_folder in runs_of(plan, folder)}
    assert jobs == {f"{sent.stdout.strip()}_{number}" for number in (1, 2)}
    assert {fact(run_folder, "slurm_node") for run_folder in runs_of(plan, folder)} == {"n1", "n2"}


def test_what_slurm_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    done = run(
        "sweep", "mnist-dense", "--launcher", "slurm", "--launch", "partition=nowhere", *FEW,
        "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "mnistbench: Slurm refused: " in done.stderr.splitlines()[-1]
    assert "invalid partition specified: nowhere" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
