"""The control groups of this process: their limits and their folders."""

from __future__ import annotations

from pathlib import Path

from mnistbench.machine.system_files import Facts, read_text, whole_number


def cgroup_facts(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> Facts:
    """Return the CPU and memory limits of this process's control group and those above it.

    Reads version 2 (`cpu.max`, `memory.max`) and version 1; no limit is None.
    `own` is the text of /proc/self/cgroup.
    """
    own = own if own is not None else read_text("/proc/self/cgroup") or ""
    cpus, memory = [], []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(root, path):
                cpus.append(_quota_v2(read_text(folder / "cpu.max")))
                memory.append(whole_number(read_text(folder / "memory.max")))
        if "cpu" in controllers.split(","):
            for folder in _upwards(root / "cpu", path):
                quota = whole_number(read_text(folder / "cpu.cfs_quota_us"))
                period = whole_number(read_text(folder / "cpu.cfs_period_us"))
                cpus.append(quota / period if quota and period else None)
        if "memory" in controllers.split(","):
            memory += [
                whole_number(read_text(folder / "memory.limit_in_bytes"))
                for folder in _upwards(root / "memory", path)
            ]
    # Version 1 writes "no limit" as a number beyond any machine.
    limits = [limit for limit in memory if limit is not None and limit < 1 << 60]
    return {
        "cgroup_cpu_limit_cores": min((quota for quota in cpus if quota), default=None),
        "cgroup_memory_limit_bytes": min(limits, default=None),
    }


def cpu_cgroups(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> list[Path]:
    """Return the folders of this process's CPU control group and of those above it.

    `own` is the text of /proc/self/cgroup.
    """
    own = own if own is not None else read_text("/proc/self/cgroup") or ""
    folders: list[Path] = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders += _upwards(root, path)
        if "cpu" in controllers.split(","):
            folders += _upwards(root / "cpu", path)
    return folders


def _upwards(root: Path, path: str) -> list[Path]:
    own = root / path.lstrip("/")
    above = [folder for folder in own.parents if folder == root or root in folder.parents]
    return [own, *above]


def _quota_v2(text: str | None) -> float | None:
    quota, period = [*(text or "").split(), "", ""][:2]
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
