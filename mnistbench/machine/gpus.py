"""What NVIDIA's driver tells of its GPUs at one moment; nothing where there is no driver."""

from __future__ import annotations

import atexit
import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mnistbench.machine.system_files import Facts

# By bit, the reasons for which a GPU runs slower than it could; being idle is none of them.
_THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_THERMAL = ("software thermal slowdown", "hardware thermal slowdown")
_POWER_POLICY, _THERMAL_POLICY = 0, 1


@dataclass(frozen=True)
class GpuReading:
    """One GPU at one moment; None for what this driver or this GPU does not tell."""

    clock_hz: float | None
    """Of the multiprocessors."""
    memory_clock_hz: float | None
    power_watts: float | None
    temperature_celsius: float | None
    throttle_reasons: tuple[str, ...] | None
    """Why it runs slower than it could; empty for no reason."""
    energy_joules: float | None
    """Since the driver was loaded."""
    throttled_by_power_seconds: float | None
    """Since the driver was loaded, as is throttled_by_heat_seconds."""
    throttled_by_heat_seconds: float | None

    @property
    def is_too_hot(self) -> bool:
        """Return whether heat slows it at this moment."""
        return any(reason in _THERMAL for reason in self.throttle_reasons or ())


def read_gpus() -> tuple[GpuReading, ...]:
    """Return a reading of every GPU, in the driver's order."""
    return tuple(_read_gpu(device) for device in _devices())


@functools.cache
def _devices() -> tuple[Any, ...]:
    """Return the driver's handles of its GPUs; it stays loaded, as loading it takes a while."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    atexit.register(pynvml.nvmlShutdown)
    try:
        count = pynvml.nvmlDeviceGetCount()
        return tuple(pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(count))
    except pynvml.NVMLError:
        return ()


def _read_gpu(device: Any) -> GpuReading:
    import pynvml

    def told(read: Callable[..., Any], *arguments: object) -> Any:
        try:
            return read(device, *arguments)
        except pynvml.NVMLError:  # this GPU does not tell, or not this user
            return None

    reasons = told(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons)
    temperature = told(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU)
    return GpuReading(
        clock_hz=_scaled(told(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM), 1e6),
        memory_clock_hz=_scaled(told(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_MEM), 1e6),
        power_watts=_scaled(told(pynvml.nvmlDeviceGetPowerUsage), 1e-3),
        temperature_celsius=_scaled(temperature, 1.0),
        throttle_reasons=None if reasons is None else throttle_reasons(reasons),
        energy_joules=_scaled(told(pynvml.nvmlDeviceGetTotalEnergyConsumption), 1e-3),
        throttled_by_power_seconds=_violation_seconds(
            told(pynvml.nvmlDeviceGetViolationStatus, _POWER_POLICY)
        ),
        throttled_by_heat_seconds=_violation_seconds(
            told(pynvml.nvmlDeviceGetViolationStatus, _THERMAL_POLICY)
        ),
    )


def throttle_reasons(mask: int) -> tuple[str, ...]:
    """Return the driver's bit mask of reasons in words."""
    return tuple(words for bit, words in _THROTTLE_REASONS.items() if mask & bit)


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _violation_seconds(status: Any) -> float | None:
    return None if status is None else status.violationTime / 1e9


def gpu_facts() -> Facts:
    """Return NVIDIA's GPUs, their memory, and the driver; nothing where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {"gpu_count": None}
    try:
        facts: Facts = {
            "gpu_count": pynvml.nvmlDeviceGetCount(),
            "gpu_driver_version": _text(pynvml.nvmlSystemGetDriverVersion()),
            "gpu_cuda_driver_version": _cuda_version(pynvml.nvmlSystemGetCudaDriverVersion()),
        }
        for number in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(number)
            facts[f"gpu_{number}_name"] = _text(pynvml.nvmlDeviceGetName(device))
            with contextlib.suppress(pynvml.NVMLError):  # not told by unified-memory GPUs
                memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                facts[f"gpu_{number}_memory_bytes"] = int(memory.total)
        return facts
    except pynvml.NVMLError as error:
        return {"gpu_count": None, "gpu_error": str(error)}
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
