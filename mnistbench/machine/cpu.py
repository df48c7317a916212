"""The processor: model, cores, caches, clock rates, and what of it this process may use."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import psutil

from mnistbench.machine.system_files import Facts, read_text, whole_number


def cpu_facts() -> Facts:
    """Return model, cores, affinity, caches and frequency of the CPU."""
    frequency = cpu_frequency()
    return {
        "cpu_model": _cpu_model(),
        "cpu_architecture": platform.machine() or None,
        "cpu_cores_physical": psutil.cpu_count(logical=False),
        "cpu_threads": psutil.cpu_count(logical=True),
        "cpu_affinity_threads": len(affinity()) or None,
        "cpu_affinity": ",".join(map(str, affinity())) or None,
        "cpu_frequency_current_hz": frequency[0],
        "cpu_frequency_max_hz": frequency[1],
        "cpu_governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_features": _cpu_features(),
        **_cache_facts(),
    }


def _cpu_model() -> str | None:
    match = re.search(r"^model name\s*:\s*(.+)$", read_text("/proc/cpuinfo") or "", re.MULTILINE)
    if match:
        return match[1].strip()
    # py-cpuinfo knows the other systems, and takes a second.
    import cpuinfo

    brand = cpuinfo.get_cpu_info().get("brand_raw")
    return str(brand) if brand else None


def _cpu_features() -> str | None:
    """Return those vector instructions that change how fast TensorFlow computes."""
    match = re.search(
        r"^(flags|Features)\s*:\s*(.+)$", read_text("/proc/cpuinfo") or "", re.MULTILINE
    )
    if not match:
        return None
    wanted = re.compile(r"^(sse4_2|avx.*|fma|f16c|amx.*|bf16|asimd|sve.*|i8mm)$")
    return " ".join(sorted(flag for flag in set(match[2].split()) if wanted.match(flag))) or None


def affinity() -> list[int]:
    """Return the numbers of the CPU threads this process may use; empty where none can be told."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []


def cpu_frequency() -> tuple[float | None, float | None]:
    """Return the current frequency, a mean over the cores, and the highest one, in Hz."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None, None
    if frequency is None:
        return None, None
    hertz = 1e6
    return frequency.current * hertz or None, frequency.max * hertz or None


def _cache_facts() -> Facts:
    facts: Facts = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read_text(index / name) for name in ("level", "type", "size"))
        if level and size:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind or "", "")
            facts[f"cpu_cache_l{level}{suffix}_bytes"] = _size_bytes(size)
    return facts


def last_level_cache_bytes() -> int | None:
    """Return the last caches of all processors this process may use, each counted once."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    found: dict[tuple[int, str], int] = {}
    for cpu in usable:
        for index in Path(f"/sys/devices/system/cpu/cpu{cpu}/cache").glob("index*"):
            level, size = (
                whole_number(read_text(index / "level")),
                _size_bytes(read_text(index / "size") or ""),
            )
            shared = read_text(index / "shared_cpu_list") or str(cpu)
            if level and size:
                found[(level, shared)] = size
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or None


def _size_bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(match[1]) * 1024 ** " KMG".index(match[2] or " ") if match else None
