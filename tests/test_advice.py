"""Warnings before a run: only what is true, and never without a remedy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from test_evidence import BEFORE

from mnistbench.config.loading import load_config
from mnistbench.config.work import needed_bytes
from mnistbench.machine import warnings
from mnistbench.machine.gpus import GpuReading

GIBIBYTE = 2**30
QUIET = {
    "load_1min": 0.2, "cpu_threads": 8, "cpu_affinity_threads": 8, "cpu_governor": "performance",
    "cgroup_cpu_limit_cores": None, "memory_available_bytes": 8 * GIBIBYTE,
    "cgroup_memory_limit_bytes": None, "tensorflow_version": "2.21.0",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)


def warned(facts: dict[str, object], repeats: int = 10) -> list[str]:
    return warnings.warnings_before({**QUIET, **facts}, GIBIBYTE, repeats, BEFORE, BEFORE)


def test_a_quiet_machine_is_warned_of_nothing() -> None:
    assert warned({}) == []
    assert warnings.warnings_before({}, GIBIBYTE, 1, BEFORE, BEFORE) == []


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (
            {"load_1min": 3.1, "cpu_threads": 2},
            "load 3.1 on 2 cores before the run: wait until it is lower, or use --repeats 20",
        ),
        (
            {"cgroup_cpu_limit_cores": 1.5},
            "CPU quota 1.5 cores, but TensorFlow will start 8 threads and be stopped again and "
            "again: set TF_NUM_INTRAOP_THREADS=1 and TF_NUM_INTEROP_THREADS=1, or raise the quota",
        ),
        (
            {"cgroup_cpu_limit_cores": 2.0, "env_TF_NUM_INTRAOP_THREADS": "4"},
            "CPU quota 2 cores, but TensorFlow will start 4 threads and be stopped again and "
            "again: set TF_NUM_INTRAOP_THREADS=2 and TF_NUM_INTEROP_THREADS=2, or raise the quota",
        ),
        (
            {"memory_available_bytes": GIBIBYTE // 2},
            "0.5 GiB of memory left, and a repeat takes about 1.0 GiB: close programs, or raise "
            "the container's limit",
        ),
        (
            {"cgroup_memory_limit_bytes": GIBIBYTE // 4},
            "0.2 GiB of memory left, and a repeat takes about 1.0 GiB: close programs, or raise "
            "the container's limit",
        ),
        (
            {"cpu_governor": "powersave"},
            "governor powersave: cores may be slow to reach their clock rate: "
            "sudo cpupower frequency-set -g performance",
        ),
    ],
)
def test_what_is_true_is_told_with_a_remedy(facts: dict[str, object], line: str) -> None:
    assert warned(facts) == [line]


@pytest.mark.parametrize(
    "facts",
    [
        {"load_1min": 3.9},
        {"cgroup_cpu_limit_cores": 8.0},
        {"cgroup_cpu_limit_cores": 2.0, "env_TF_NUM_INTRAOP_THREADS": "2"},
        {"cgroup_cpu_limit_cores": 2.0, "cpu_affinity_threads": 2},
        {"cpu_governor": "schedutil"},
    ],
)
def test_what_is_not_true_is_not_told(facts: dict[str, object]) -> None:
    assert warned(facts) == []


@pytest.mark.parametrize(
    ("version", "line"),
    [
        (
            "torch_version",
            "CPU quota 2 cores, but PyTorch will start 8 threads and be stopped again and again: "
            "set OMP_NUM_THREADS=2, or raise the quota",
        ),
        (
            "jax_version",
            "CPU quota 2 cores, but JAX will start 8 threads and be stopped again and again: "
            "start it by: taskset --cpu-list 0-1 mnistbench, or raise the quota",
        ),
    ],
)
def test_a_warning_is_of_the_framework_that_is_measured(version: str, line: str) -> None:
    facts = {
        **QUIET, version: "1.0", "cgroup_cpu_limit_cores": 2.0, "env_TF_NUM_INTRAOP_THREADS": "2",
    }  # fmt: skip
    del facts["tensorflow_version"]
    later = replace(BEFORE, swapped_bytes=50 * 2**20)
    quota, swapping = warnings.warnings_before(facts, GIBIBYTE, 10, BEFORE, later)
    assert quota == line
    assert f"while {line.split()[5]} was loaded" in swapping


@pytest.mark.parametrize(
    ("threads", "line"),
    [
        (("auto", 2), "will start 8 threads and be stopped again and again: set TF_NUM_INTRAOP"),
        (
            (4, 1),
            "start 4 threads and be stopped again and again: set training.threads=2, or raise",
        ),
        (
            (8,),  # as many as there would be unasked
            "start 8 threads and be stopped again and again: set training.threads=2, or raise",
        ),
        ((2,), ""),
        ((), ""),
    ],
)
def test_the_threads_of_a_quota_are_those_of_the_configs(
    threads: tuple[int | str, ...], line: str
) -> None:
    facts = {**QUIET, "cgroup_cpu_limit_cores": 2.0}
    lines = warnings.warnings_before(facts, GIBIBYTE, 10, BEFORE, BEFORE, threads)
    assert len(lines) == bool(line)
    assert all(line in each for each in lines)


def test_one_thread_cannot_be_fewer() -> None:
    facts = {**QUIET, "cgroup_cpu_limit_cores": 0.1}
    [line] = warnings.warnings_before(facts, GIBIBYTE, 10, BEFORE, BEFORE, (1,))
    assert line.endswith("will start 1 thread and be stopped again and again: raise the quota")


def test_repeats_are_no_remedy_where_there_are_enough() -> None:
    [line] = warned({"load_1min": 7.0}, repeats=20)
    assert line.endswith("wait until it is lower")


def test_swapping_and_heat_show_between_two_readings() -> None:
    gpu = GpuReading(None, None, None, 88.0, ("hardware thermal slowdown",), None, None, None)
    later = replace(BEFORE, swapped_bytes=50 * 2**20, thermal_throttles=4, gpus=(gpu,))
    swapping, heat = warnings.warnings_before(QUIET, GIBIBYTE, 1, BEFORE, later)
    assert swapping.startswith("swapping: 50 MiB came back from swap while TensorFlow was loaded")
    assert heat.startswith("heat slows the CPU and GPU 0: let it cool")
    cold = replace(BEFORE, thermal_throttles=0)
    warm = replace(cold, thermal_throttles=1)
    assert warnings.warnings_before(QUIET, GIBIBYTE, 1, cold, cold) == []
    assert warnings.warnings_before(QUIET, GIBIBYTE, 1, cold, warm)[0].startswith(
        "heat slows the CPU:"
    )
    unread = replace(BEFORE, swapped_bytes=None, thermal_throttles=None)
    assert warnings.warnings_before(QUIET, GIBIBYTE, 1, unread, later)[0].startswith(
        "heat slows GPU"
    )


def test_a_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimpleNamespace(percent=57.4, power_plugged=False)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: state, raising=False)
    assert warned({}) == ["on battery power (57 % left), which slows most machines: plug it in"]
    state.power_plugged = None  # it does not tell
    assert warned({}) == []


@pytest.mark.parametrize(
    ("config", "measured_bytes"),
    [("mnist-dense", 890_417_152), ("cifar10-dense", 2_262_396_928)],
)
def test_the_memory_a_repeat_takes_is_as_measured(config: str, measured_bytes: int) -> None:
    assert needed_bytes(load_config(config)) == pytest.approx(measured_bytes, rel=0.1)
