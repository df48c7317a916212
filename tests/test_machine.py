"""The machine's facts: limits of containers, and what is left empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnistbench.machine import cgroups, gpus, host


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "own", "cores", "memory"),
    [
        ({"a/cpu.max": "150000 100000", "a/memory.max": "1000"}, "0::/a", 1.5, 1000),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, "0::/a/b", 2.0, None),
        ({"a/memory.max": "max"}, "0::/a", None, None),
        ({"cpu.max": "50000 100000"}, "0::/", 0.5, None),
        ({}, "0::/gone", None, None),
        ({}, "", None, None),
        (
            {
                "cpu/a/cpu.cfs_quota_us": "300000",
                "cpu/a/cpu.cfs_period_us": "100000",
                "memory/a/memory.limit_in_bytes": "4096",
            },
            "4:cpu,cpuacct:/a\n3:memory:/a",
            3.0,
            4096,
        ),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            "4:cpu:/\n3:memory:/",
            None,
            None,
        ),
    ],
)
def test_limits_of_a_control_group(
    tmp_path: Path, files: dict[str, str], own: str, cores: float | None, memory: int | None
) -> None:
    write(tmp_path, files)
    assert cgroups.cgroup_facts(tmp_path, own) == {
        "cgroup_cpu_limit_cores": cores,
        "cgroup_memory_limit_bytes": memory,
    }


def test_variables_that_change_speed_are_recorded_and_others_are_not() -> None:
    facts = host.machine_facts(
        {"OMP_NUM_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "",
         "AWS_SECRET": "x", "HOME": "/root"}
    )  # fmt: skip
    told = {name: value for name, value in facts.items() if name.startswith("env_")}
    assert told == {
        "env_OMP_NUM_THREADS": "1",
        "env_TF_ENABLE_ONEDNN_OPTS": "0",
        "env_CUDA_VISIBLE_DEVICES": "",
    }


def test_no_fact_is_told_twice_under_one_name_or_as_text_none() -> None:
    facts = host.machine_facts({})
    assert not [name for name, value in facts.items() if value in ("None", "", "unkown")]


class _Nvml:
    """NVIDIA's library as it answers on a machine with one GPU: none can be had in tests."""

    class NVMLError(Exception):
        pass

    nvmlInit = nvmlShutdown = staticmethod(lambda: None)  # noqa: N815
    nvmlDeviceGetCount = staticmethod(lambda: 1)  # noqa: N815
    nvmlSystemGetDriverVersion = staticmethod(lambda: b"570.1")  # noqa: N815
    nvmlSystemGetCudaDriverVersion = staticmethod(lambda: 12080)  # noqa: N815
    nvmlDeviceGetHandleByIndex = staticmethod(lambda number: number)  # noqa: N815
    nvmlDeviceGetName = staticmethod(lambda device: "NVIDIA H100")  # noqa: N815

    @staticmethod
    def nvmlDeviceGetMemoryInfo(device: int) -> object:  # noqa: N802
        return type("Memory", (), {"total": 80 * 2**30})


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", _Nvml)
    assert gpus.gpu_facts() == {
        "gpu_count": 1,
        "gpu_driver_version": "570.1",
        "gpu_cuda_driver_version": "12.8",
        "gpu_0_name": "NVIDIA H100",
        "gpu_0_memory_bytes": 80 * 2**30,
    }


def test_without_a_driver_the_number_of_gpus_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoDriver(_Nvml):
        @staticmethod
        def nvmlInit() -> None:  # noqa: N802
            raise _Nvml.NVMLError

    monkeypatch.setitem(__import__("sys").modules, "pynvml", NoDriver)
    assert gpus.gpu_facts() == {"gpu_count": None}
