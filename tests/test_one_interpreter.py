"""Several calls in one interpreter: each is measured by what it asked for, and by nothing older."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import rows

from mnistbench.config.loading import load_config
from mnistbench.measuring import fork_servers
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult, run_benchmark

FEW = (
    "dataset.train_samples=256", "dataset.test_samples=128", "training.batch_size=64",
)  # fmt: skip

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


def measured(output: Path, *settings: str) -> BenchmarkResult:
    config = load_config("mnist-dense", [*FEW, *settings])
    plan = BenchmarkPlan((config,), 1, 0, output, calibrate=False)
    return run_benchmark(plan, lambda event: None)


@needs_jax
def test_two_calls_with_two_backends_give_rows_of_two_backends(tmp_path: Path) -> None:
    """What the frameworks say of themselves, in the process that measured, is what rows name."""
    for number, backend in enumerate(("tensorflow", "jax", "tensorflow")):
        output = tmp_path / str(number)
        result = measured(output, f"backend={backend}")
        (folder,) = output.iterdir()
        assert {row["backend"] for row in rows(folder / "timings.csv")} == {backend}
        assert result.runs[0].repeats[0].result.backend == backend  # type: ignore[union-attr]
        machine = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
        assert machine["keras_backend"] == backend
        assert machine["start_method"] == "fork"
        assert ("jax_version" in machine) == (backend == "jax")
        assert ("tensorflow_version" in machine) == (backend == "tensorflow")


@needs_jax
def test_one_call_with_two_backends_forks_both(tmp_path: Path) -> None:
    names = ("tensorflow", "jax")
    configs = tuple(load_config("mnist-dense", [*FEW, f"backend={name}"]) for name in names)
    result = run_benchmark(
        BenchmarkPlan(configs, 1, 0, tmp_path, start_method="fork", calibrate=False),
        lambda event: None,
    )
    backends = [run.repeats[0].result.backend for run in result.runs]  # type: ignore[union-attr]
    assert backends == ["tensorflow", "jax"]


def variables(names: list[str], tell: Callable[[object], None]) -> dict[str, str | None]:
    import sys

    import keras

    keras.config.floatx()
    assert "tensorflow" in sys.modules
    return {name: os.environ.get(name) for name in names} | {"pid": str(os.getppid())}


def asked(tmp_path: Path, *names: str) -> dict[str, str | None]:
    workers = Workers(measuring_environment("auto"), "auto")
    answer: dict[str, str | None] = workers.run(
        variables, list(names), tmp_path / "log", lambda message: None
    )
    return answer


def test_another_environment_gets_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked(tmp_path, "TF_NUM_INTRAOP_THREADS", "MNISTBENCH_DATA")
    assert first["TF_NUM_INTRAOP_THREADS"] == os.environ.get("TF_NUM_INTRAOP_THREADS")
    monkeypatch.setenv("MNISTBENCH_DATA", str(tmp_path))
    same = asked(tmp_path, "MNISTBENCH_DATA")
    assert same["MNISTBENCH_DATA"] == str(tmp_path), "what no import reads is each order's own"
    assert same["pid"] == first["pid"], "and needs no server of its own"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    other = asked(tmp_path, "TF_NUM_INTRAOP_THREADS")
    assert other["TF_NUM_INTRAOP_THREADS"] == "1"
    assert other["pid"] != first["pid"], "TensorFlow may have read it as it was imported"
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert asked(tmp_path)["pid"] == first["pid"]


def test_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    first = asked(tmp_path)
    psutil.Process(int(str(first["pid"]))).kill()
    (server,) = (s for s in fork_servers._servers.values() if str(s.process_id) == first["pid"])
    while server.is_usable:
        time.sleep(0.01)
    second = asked(tmp_path)
    assert second["pid"] != first["pid"]
    assert len(fork_servers._servers) <= fork_servers.MOST_SERVERS
