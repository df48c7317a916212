"""The machine's counters at one moment, read by the parent beside a repeat; unknown is None.

Read right before a repeat's process starts and right after it has ended, never in between, so
that nothing of this is on a timed path. A file that is not there, or not for this user, is None.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mnistbench.machine import cgroups, cpu, host, system_files
from mnistbench.machine.gpus import GpuReading, read_gpus
from mnistbench.results import wall_clock

PRESSURES = ("cpu_some", "cpu_full", "memory_some", "memory_full", "io_some", "io_full")
"""What the kernel counts as pressure: time in which some, or all, tasks had to wait."""

_PROC = Path("/proc")
_SYS = Path("/sys")

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# In the order of /proc/stat; guest time is part of user time already.
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq
_STEAL = 7

# Chips that tell the temperature of the CPU. psutil reads every sensor there is, which wakes
# disks and takes up to a tenth of a second.
_CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "scpi_sensors")


@dataclass(frozen=True)
class CpuTimes:
    """What some cores have done since the machine started, in seconds, all of them together."""

    busy_seconds: float
    steal_seconds: float | None
    """The machine beneath gave the core to another one; None where the kernel does not tell."""


@dataclass(frozen=True)
class Throttling:
    """How often a control group's CPU quota stopped this process, since the group was made."""

    periods: int
    seconds: float
    """All cores together."""


@dataclass(frozen=True)
class EnergyCounter:
    """A counter of RAPL, which begins anew when it is full."""

    joules: float
    full_joules: float


@dataclass(frozen=True)
class Reading:
    """Every counter at one moment."""

    at_seconds: float
    """By `time.perf_counter`."""
    cores: int
    """CPU threads that this process may use."""
    cpu: CpuTimes | None
    """Of those cores."""
    own_cpu_seconds: float | None
    """CPU time of mnistbench and the measuring processes that have ended."""
    throttling: Throttling | None
    pressure_seconds: Mapping[str, float]
    """By the names in PRESSURES; those that the kernel does not count are missing."""
    swapped_bytes: int | None
    """Brought in from swap since the machine started."""
    thermal_throttles: int | None
    """How often heat slowed the first CPU package since the machine started."""
    load_1min: float | None
    runnable: int | None
    """Threads running or waiting for a core at this moment, this one included."""
    cpu_frequency_hz: float | None
    """Mean of the cores at this moment."""
    cpu_temperature_celsius: float | None
    """Of the hottest sensor of the CPU."""
    energy: Mapping[str, EnergyCounter] = field(default_factory=dict)
    """By RAPL domain, for example `intel-rapl:0`."""
    gpus: tuple[GpuReading, ...] = ()
    at_utc_seconds: float | None = None
    """By the wall clock, since 1970: it can be set meanwhile."""


def take(own_cpu_seconds: float | None = None) -> Reading:
    """Read every counter now; takes a millisecond or two."""
    cores = cpu.affinity()
    loaded = parse_loadavg(_read(_PROC / "loadavg"))
    return Reading(
        at_seconds=time.perf_counter(),
        cores=len(cores) or psutil.cpu_count() or 1,
        cpu=_cpu_times(cores),
        own_cpu_seconds=own_cpu_seconds,
        throttling=read_throttling(cgroups.cgroup_folders("cpu")),
        pressure_seconds=_pressure_seconds(),
        swapped_bytes=parse_swapped_bytes(_read(_PROC / "vmstat")),
        thermal_throttles=_thermal_throttles(cores),
        load_1min=loaded[0],
        runnable=loaded[1],
        cpu_frequency_hz=cpu.cpu_frequency()[0],
        cpu_temperature_celsius=read_cpu_temperature(_SYS / "class" / "hwmon"),
        energy=read_energy(_SYS / "class" / "powercap"),
        gpus=read_gpus(),
        at_utc_seconds=wall_clock.utc_seconds(),
    )


def parse_cpu_times(text: str | None, cores: Iterable[int]) -> CpuTimes | None:
    """Return the times of the given cores from /proc/stat; None if any of them is missing."""
    by_core = {}
    for line in (text or "").splitlines():
        name, *ticks = line.split() or [""]
        if re.fullmatch(r"cpu[0-9]+", name) and len(ticks) > max(_BUSY) and _all_digits(ticks):
            by_core[int(name[3:])] = [int(tick) for tick in ticks]
    wanted = list(cores)
    if not wanted or any(core not in by_core for core in wanted):
        return None
    chosen = [by_core[core] for core in wanted]
    busy = sum(ticks[column] for ticks in chosen for column in _BUSY)
    told = all(len(ticks) > _STEAL for ticks in chosen)
    steal = sum(ticks[_STEAL] for ticks in chosen) / _TICKS_PER_SECOND if told else None
    return CpuTimes(busy / _TICKS_PER_SECOND, steal)


def _cpu_times(cores: list[int]) -> CpuTimes | None:
    if cores:
        return parse_cpu_times(_read(_PROC / "stat"), cores)
    times = psutil.cpu_times()  # macOS and Windows know no affinity here: all cores
    return CpuTimes(sum(times) - times.idle, None)


def parse_pressure(text: str | None) -> dict[str, float]:
    """Return the totals of one file of /proc/pressure, in seconds, by `some` and `full`."""
    found = {}
    for line in (text or "").splitlines():
        match = re.fullmatch(r"(some|full)\s(?:.*\s)?total=([0-9]+)\s*", line)
        if match:
            found[match[1]] = int(match[2]) / 1e6
    return found


def _pressure_seconds() -> dict[str, float]:
    return {
        f"{resource}_{kind}": seconds
        for resource in ("cpu", "memory", "io")
        for kind, seconds in parse_pressure(_read(_PROC / "pressure" / resource)).items()
    }


def parse_throttling(text: str | None) -> Throttling | None:
    """Return the throttling from a group's cpu.stat, of version 1 or 2; None if it has none."""
    counts = parse_counts(text)
    periods = counts.get("nr_throttled")
    if periods is None:
        return None
    if "throttled_usec" in counts:
        return Throttling(periods, counts["throttled_usec"] / 1e6)
    if "throttled_time" in counts:
        return Throttling(periods, counts["throttled_time"] / 1e9)
    return None


def read_throttling(groups: Iterable[Path]) -> Throttling | None:
    """Return the throttling of a control group and those above it, together."""
    found = [parse_throttling(_read(group / "cpu.stat")) for group in groups]
    known = [throttling for throttling in found if throttling is not None]
    if not known:
        return None
    return Throttling(sum(t.periods for t in known), sum(t.seconds for t in known))


def parse_counts(text: str | None) -> dict[str, int]:
    """Return lines of a name and a whole number, as in cpu.stat and /proc/vmstat."""
    counts = {}
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if _all_digits([value.strip()]):
            counts[name] = int(value)
    return counts


def parse_swapped_bytes(text: str | None) -> int | None:
    """Return the bytes brought in from swap, from /proc/vmstat."""
    pages = parse_counts(text).get("pswpin")
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def parse_loadavg(text: str | None) -> tuple[float | None, int | None]:
    """Return the load of the last minute and the runnable threads, from /proc/loadavg."""
    match = re.match(r"([0-9]+\.[0-9]+) \S+ \S+ ([0-9]+)/[0-9]+ ", f"{text} ")
    if match:
        return float(match[1]), int(match[2])
    return host.load_facts()["load_1min"], None


def _thermal_throttles(cores: list[int]) -> int | None:
    if not cores:
        return None
    folder = _SYS / "devices" / "system" / "cpu" / f"cpu{cores[0]}" / "thermal_throttle"
    return _whole_number(_read(folder / "package_throttle_count"))


def read_cpu_temperature(root: Path) -> float | None:
    """Return the temperature of the CPU's hottest sensor from /sys/class/hwmon, in Celsius."""
    found = [
        millidegrees / 1000
        for chip in sorted(root.glob("hwmon*"))
        if _read(chip / "name") in _CPU_CHIPS
        for sensor in chip.glob("temp*_input")
        if (millidegrees := _whole_number(_read(sensor))) is not None
    ]
    return max(found, default=None)


def read_energy(root: Path) -> dict[str, EnergyCounter]:
    """Return RAPL's counters of whole CPU packages from /sys/class/powercap.

    Empty unless all of them can be read: most systems let only root do so.
    """
    found = {}
    for domain in sorted(root.glob("intel-rapl:*")):
        if not re.fullmatch(r"package-[0-9]+", _read(domain / "name") or ""):
            continue
        used = _whole_number(_read(domain / "energy_uj"))
        full = _whole_number(_read(domain / "max_energy_range_uj"))
        if used is None or not full:
            return {}
        found[domain.name] = EnergyCounter(used / 1e6, full / 1e6)
    return found


def _all_digits(words: Iterable[str]) -> bool:
    return all(word.isascii() and word.isdigit() for word in words)


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]+", text) else None


def _read(path: Path) -> str | None:
    return system_files.read_text(path)
