"""Sweeps by real Dask clusters: two worker processes, one killed, no disk that they share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import command, failure_line, rows, run
from fake_sweeps import plan_of
from test_sweep import each_once, measured_repeats

from mnistbench.errors import OutputError
from mnistbench.session.sweep.launchers.dask import measure_point_here, write_attempt
from mnistbench.session.sweep.plan_file import plan_text, read_plan

distributed = pytest.importorskip("distributed", reason="the extra [dask] is not installed")

FEW = (
    "--set", "dataset.train_samples=256", "--set", "dataset.test_samples=64", "--no-calibrate",
    "--launcher", "dask",
)  # fmt: skip


OF_DASK = ("MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture(scope="module", autouse=True)
def _as_it_was() -> Iterator[None]:
    """A cluster leaves its workers' variables in this process; no other test is to inherit them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two worker processes, each of which offers to measure one point."""
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        resources={"mnistbench": 1},
        dashboard_address="127.0.0.1:0",
    )
    with cluster:
        yield cluster


@pytest.mark.long
def test_one_worker_is_killed_and_every_result_is_there_once(cluster: Any, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(
            "sweep", "mnist-dense", "--grid", "training.epochs=2,3", "--repeats", "2", *FEW,
            "--launch", f"scheduler={cluster.scheduler_address}", "--output", str(tmp_path),
        ),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    measuring: list[psutil.Process] = []
    while not measuring:
        assert process.poll() is None, process.communicate()
        measuring = [p for p in psutil.process_iter(["cmdline"]) if is_of(p, cluster)]
        time.sleep(0.05)
    worker = measuring[0].parent()
    assert worker is not None
    worker.kill()
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    (folder,) = tmp_path.iterdir()
    plan = read_plan(folder)
    assert measured_repeats(folder) == each_once(plan)
    assert "2 points given to Dask: 2 workers on 1 machine" in errors
    assert "4 of 4 repeats are collected" in errors
    assert "Best test accuracy: " in output
    assert not list((folder / "attempts").iterdir())
    for index in range(2):
        run_folder = folder / plan.run_id(index)
        assert (run_folder / "config.yaml").is_file()
        marks = {r["value"] for r in rows(run_folder / "metrics.csv") if r["metric"] == "attempt"}
        assert len(marks) == 1


def is_of(process: psutil.Process, cluster: Any) -> bool:
    """Return whether a process measures a point for a worker of this cluster."""
    words = process.info["cmdline"] or []
    workers = {nanny.process.pid for nanny in cluster.workers.values() if nanny.process}
    return "point" in words and process.ppid() in workers


def test_a_cluster_of_this_machine_is_started_where_no_address_is_given(tmp_path: Path) -> None:
    done = run(
        "sweep", "mnist-dense", "--grid", "training.epochs=1", *FEW, "--output", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    plan = read_plan(folder)
    assert measured_repeats(folder) == each_once(plan)
    machine = (folder / plan.run_id(0) / "machine.csv").read_text()
    assert "MALLOC_TRIM_THRESHOLD_" not in machine, "measured as a point in turn is"


def test_workers_that_offer_nothing_are_told(tmp_path: Path) -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        done = run(
            "sweep", "mnist-dense", "--grid", "training.epochs=1,2", *FEW, "-q",
            "--launch", f"scheduler={cluster.scheduler_address}", "--output", str(tmp_path / "out"),
        )  # fmt: skip
    assert done.returncode == 2
    assert failure_line(done) == (
        "mnistbench: --launcher dask: none of its 1 workers offers the resource mnistbench; "
        "start them with: dask worker ADDRESS --nthreads 1 --resources mnistbench=1"
    )
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_does_not_answer_is_told(tmp_path: Path) -> None:
    for address in ("tcp://127.0.0.1:9", "nothing://x"):
        done = run(
            "sweep", "mnist-dense", "--grid", "training.epochs=1,2", *FEW, "-q",
            "--launch", f"scheduler={address}", "--output", str(tmp_path / "out"),
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert f"--launch scheduler={address}: no Dask scheduler answers there" in failure_line(
            done
        )


def test_what_fails_at_a_worker_is_told_in_its_words() -> None:
    plan = plan_text(plan_of("training.epochs=1,2"))
    with pytest.raises(RuntimeError, match="has no point 9, but 1 to 2"):
        measure_point_here(plan, 9, ())


@pytest.mark.parametrize("name", ["attempts/../../x", "/etc/x", "points.csv", "attempts/a/../b"])
def test_a_worker_writes_nowhere_but_among_the_attempts(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a file that is of no attempt"):
        write_attempt(tmp_path, {name: b""})
    assert not list(tmp_path.iterdir())


AT_A_WORKER = """
import os
NAMES = ("MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
from distributed import Client, LocalCluster
from mnistbench.session.sweep.launchers.dask import _environment

if __name__ == "__main__":
    with Client(LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0")) as client:
        for task in (lambda: dict(os.environ)), _environment:
            environment = client.submit(task).result()
            print([environment.get(name) for name in NAMES])
"""


def test_a_point_is_measured_without_what_dask_sets_for_small_tasks(tmp_path: Path) -> None:
    script = tmp_path / "at_a_worker.py"
    script.write_text(AT_A_WORKER)
    given = {name: text for name, text in os.environ.items() if name not in OF_DASK}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True,
        env=given | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    at_worker, at_point = done.stdout.splitlines()
    assert at_worker == "['65536', '1', '1']"
    assert at_point == "[None, '1', None]", "what the user set stays, though Dask sets the same"
