"""Data-parallel training: several devices, in sync and recorded, or refused in one line."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Session, benchmark_here, failure_line, rows, run_here
from fake_sweeps import Fake, plan_of, quiet, terms
from hand_written_runs import OTHER_NOISE, compare, times, write_run
from team_tasks import failing, first_alone, killed

from mnistbench.config.devices import check_seen
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.measuring.executor import TaskFailure
from mnistbench.measuring.jobs import RepeatJob
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.team import Team
from mnistbench.session.sweep.sweep import start_sweep

FEW = ("dataset.train_samples=320", "dataset.test_samples=160", "training.batch_size=64")
"""The last batches have 64 and 32 images."""
QUIET = ("--no-calibrate", "--device", "cpu")
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


def refused(*settings: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config("mnist-dense", [*FEW, *settings])
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["training.devices=0"], "0 must be all, or a whole number from 1 to 1024"),
        (["training.devices=2.5"], "2.5 must be all, or a whole number from 1 to 1024"),
        (["training.devices=both"], "'both' must be all, or a whole number"),
        (["training.devices='2'"], "write 2 without quotes"),
        (["training.devices=true"], "true must be all"),
        (["training.devices=2000"], "2000 must be all"),
        (["training.processes=0"], "0 must be at least 1"),
        (["training.devices=2", "backend=torch"], "Keras's fit on PyTorch knows one device"),
        (["training.devices=all", "backend=torch"], "all is not possible on torch"),
        (["training.devices=2", "training.execution=fused"], "its epoch is one program on one"),
        (["training.devices=2", "training.jit=on"], "fails under MirroredStrategy where XLA"),
        (["training.devices=2", "training.processes=2"], "fails under MultiWorkerMirroredStrategy"),
        (["training.devices=3"], "64 images cannot be shared equally by 3 devices"),
        (["training.devices=64"], "the last batch of the test set has 32 images (160 by 64)"),
        (["training.devices=4", "training.validation=0.13"],
         "the last batch of the training set has 22 images (278 by 64)"),
        (["training.devices=3", "training.processes=2", "backend=jax"],
         "3 cannot be shared equally by 2 processes"),
        (["training.devices=2", "training.processes=2", "backend=jax", "device=gpu"],
         "would each take all GPUs"),
        (["training.devices=2", "training.processes=2", "backend=jax", "training.validation=0.2"],
         "Keras would cut it off in each process"),
    ],
)  # fmt: skip
def test_what_no_machine_can_train_is_refused_in_one_line(settings: list[str], told: str) -> None:
    line = refused(*settings)
    assert told in line
    assert "--set training." in line
    assert "\n" not in line


def test_more_gpus_than_there_are_are_refused_in_one_line() -> None:
    two = load_config("mnist-dense", [*FEW, "training.devices=2"])
    with pytest.raises(InputError, match="2 were asked for, and there is 1 GPU that TensorFlow"):
        check_seen(two, "gpu", 1)
    check_seen(two, "gpu", 2)
    check_seen(two, "cpu", 1)
    with_all = load_config("mnist-dense", [*FEW, "training.devices=all"])
    with pytest.raises(InputError, match="64 images cannot be shared equally by 3 devices"):
        check_seen(with_all, "gpu", 3)
    check_seen(with_all, "gpu", 4)
    of_processes = ["backend=jax", "training.devices=2", "training.processes=2"]
    with pytest.raises(InputError, match="each take all GPUs"):
        check_seen(load_config("mnist-dense", [*FEW, *of_processes]), "gpu", 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["explain"], "where the time of several goes is not told"),
        (["benchmark", "--roofline"], "the peak that is measured is that of one"),
        (["benchmark", "mnist-dense", "--duet"], "half of the cores is one device"),
    ],
)
def test_what_is_of_one_device_alone_says_so(arguments: list[str], told: str) -> None:
    command, *options = arguments
    sets = [part for setting in (*FEW, "training.devices=2") for part in ("--set", setting)]
    done = run_here(command, "mnist-dense", *options, *sets)
    assert done.returncode == 2
    assert told in failure_line(done)


def by_devices(config: RunConfig, noise: random.Random) -> tuple[float, float]:
    """Two devices take .625 of the time of one: an efficiency of .8."""
    devices = int(config.training.devices)
    return (8.0 if devices == 1 else 5.0) * (1 + noise.uniform(-0.01, 0.01)), 0.9


@pytest.mark.parametrize("order", ["1,2", "2,1"])
def test_a_sweep_over_devices_tells_how_well_it_scales(tmp_path: Path, order: str) -> None:
    plan = plan_of(f"training.devices={order}", repeats=6, overrides=FEW)
    folder = start_sweep(plan, tmp_path, terms(Fake(by_devices)), quiet).folder
    (scaling,) = [r for r in rows(folder / "sweep.csv") if r["finding"] == "scaling_efficiency"]
    assert (scaling["base"], scaling["value"], scaling["n"]) == ("1", "2", "6")
    assert float(scaling["estimate"]) == pytest.approx(0.8, abs=0.01)
    assert 0.78 < float(scaling["low"]) < 0.8 < float(scaling["high"]) < 0.82
    status = run_here("sweep", "status", str(folder))
    assert "Scaling efficiency of 2 devices: 8" in status.stdout or "devices: 79" in status.stdout


def test_compare_tells_how_well_it_scales_where_nothing_else_differs(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", {"train": times(8.0)}, settings=FEW)
    two = write_run(
        tmp_path / "two", {"train": times(5.0, OTHER_NOISE)}, settings=[*FEW, "training.devices=2"]
    )
    for sides in ((one, two), (two, one)):
        _, output, _ = compare(*sides)
        assert "Scaling efficiency of 2 devices: 80.0% (" in " ".join(output.split())
    other = write_run(
        tmp_path / "other",
        {"train": times(5.0, OTHER_NOISE)},
        settings=[*FEW, "training.devices=2", "training.epochs=2"],
    )
    assert "Scaling efficiency" not in compare(one, other)[1]


def of(session: Session, config: str, metric: str) -> list[float]:
    return [float(value) for value in session.metric(config, metric)]


@pytest.fixture(scope="module")
def swept(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One and two logical devices of TensorFlow, each once, with a validation."""
    output = tmp_path_factory.mktemp("swept")
    sets = [part for each in (*FEW, "training.validation=test") for part in ("--set", each)]
    done = run_here(
        "sweep", "mnist-dense", "--grid", "training.devices=1,2", "--repeats", "1", *sets, *QUIET,
        "--output", str(output),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, next(output.iterdir())


def test_tensorflow_trains_on_two_logical_devices_in_sync(swept) -> None:  # type: ignore[no-untyped-def]
    done, folder = swept
    points = {row["settings"]: folder / row["folder"] for row in rows(folder / "points.csv")}
    figures = {}
    for settings, run in points.items():
        table = rows(run / "metrics.csv")
        figures[settings] = {
            name: [r["value"] for r in table if r["metric"] == name]
            for name in {r["metric"] for r in table}
        }
        assert {r["status"] for r in rows(run / "timings.csv")} <= {"ok", "inherited"}
    one, two = figures["training.devices=1"], figures["training.devices=2"]
    for metric, values in {
        "replicas_in_sync": ("1", "2"), "global_batch_size": ("64", "64"),
        "replica_batch_size": ("64", "32"), "training_processes": ("1", "1"),
        "train_samples": ("320", "320"), "train_steps": ("5", "5"),
    }.items():  # fmt: skip
        assert (set(one[metric]), set(two[metric])) == ({values[0]}, {values[1]}), metric
    assert set(two["jit_compile"]) == {"false"}
    # The same batches in the same order: what is learnt is the same but for rounding.
    for metric in ("train_loss", "test_loss", "validation_loss", "test_accuracy"):
        assert [float(value) for value in two[metric]] == pytest.approx(
            [float(value) for value in one[metric]], rel=1e-3, abs=1e-3
        ), metric
    assert "Scaling efficiency of 2 devices: " in done.stdout
    assert "logical devices that share its cores" in done.stderr


def test_what_was_learnt_on_two_devices_is_kept_gone_on_with_and_tested_on_one(
    tmp_path: Path,
) -> None:
    sets = [part for each in (*FEW, "training.devices=2") for part in ("--set", each)]
    done = run_here(
        "train", "mnist-dense", *sets, "--device", "cpu", "--set", "training.epochs=2",
        "--checkpoint-every", "1", "--output", str(tmp_path / "runs"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    metrics = {row["metric"]: row["value"] for row in rows(run / "metrics.csv")}
    assert metrics["replicas_in_sync"] == "2"
    tested = run_here("evaluate", str(run), "--output", str(tmp_path / "tested"))
    assert tested.returncode == 0, tested.stderr
    (evaluation,) = (tmp_path / "tested").iterdir()
    found = {row["metric"]: row["value"] for row in rows(evaluation / "metrics.csv")}
    assert found["test_accuracy"] == metrics["test_accuracy"]


@pytest.mark.long
@needs_jax
def test_jax_trains_on_two_devices_and_in_two_processes_as_on_one(tmp_path: Path) -> None:
    ways = {"one": "", "two": "devices: 2", "processes": "devices: 2, processes: 2"}
    for name, more in ways.items():
        (tmp_path / f"{name}.yaml").write_text(
            "backend: jax\ndataset: {train_samples: 320, test_samples: 160}\n"
            "model: {family: dense}\n"
            f"training: {{batch_size: 64, shuffle: false, validation: test, {more}}}\n"
        )
    files = [str(tmp_path / f"{name}.yaml") for name in ways]
    session = benchmark_here(tmp_path / "results", *files, "--repeats", "1", *QUIET)
    assert session.done.returncode == 0, session.done.stderr
    for name, values in {
        "one": (1, 1, 64, 64), "two": (2, 1, 64, 32), "processes": (2, 2, 64, 32),
    }.items():  # fmt: skip
        metrics = (
            "replicas_in_sync",
            "training_processes",
            "global_batch_size",
            "replica_batch_size",
        )
        assert tuple(of(session, name, metric)[0] for metric in metrics) == values
        assert of(session, name, "train_samples") == [320]
        assert len(rows(session.folder(name) / "timings.csv")) == 8
    # Every second image of a batch, and the others: the same batches, so the same is learnt.
    for name in ("two", "processes"):
        for metric in ("train_loss", "test_loss", "validation_loss", "test_accuracy"):
            assert of(session, name, metric) == pytest.approx(
                of(session, "one", metric), rel=1e-3, abs=1e-3
            ), (name, metric)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_processes_that_train_together_end_together(tmp_path: Path) -> None:
    team = Team(measuring_environment("cpu"), "spawn", 2)
    job = RepeatJob(load_config("mnist-dense"), "cpu", 1)
    heard: list[object] = []
    member = team.run(first_alone, job, tmp_path / "log", heard.append)
    assert (member.number, heard) == (0, [0])
    for task, status in ((failing, "failed"), (killed, "killed:SIGKILL")):
        with pytest.raises(TaskFailure) as caught:
            team.run(task, job, tmp_path / "log", heard.append)
        assert caught.value.status == status
    assert (team.cpu_seconds() or 0) > 0


NOT_IN_SYNC = """
import numpy as np
from types import SimpleNamespace
from mnistbench.errors import RunError
from mnistbench.measuring.inside.replicas import check_in_sync

def told(*copies):
    try:
        check_in_sync(SimpleNamespace(count=2, copies=lambda model: copies), None)
    except RunError as error:
        return str(error)

one, other = np.zeros(3), np.array([0, 0, 1e-9])
assert told([one, one], [other, other]) is None
assert "weights have 1 copies: the training was not distributed" in told([one, one], [one])
assert "it was not in sync" in told([one, one], [one, other])
"""


def test_replicas_that_are_not_in_sync_are_no_measurement() -> None:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-c", NOT_IN_SYNC], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
