"""The control groups of this process: their limits and their folders."""

from __future__ import annotations

from pathlib import Path

from mnistbench.machine.system_files import Facts, read_text, whole_number

_ROOT = Path("/sys/fs/cgroup")


def cgroup_facts(root: Path = _ROOT, own: str | None = None) -> Facts:
    """Return the CPU and memory limits of this process's control group and those above it.

    Reads version 2 (`cpu.max`, `memory.max`) and version 1; no limit is None.
    `own` is the text of /proc/self/cgroup.
    """
    quotas = [_quota(folder) for folder in cgroup_folders("cpu", root, own)]
    limits = [_memory_limit(folder) for folder in cgroup_folders("memory", root, own)]
    # Version 1 writes "no limit" as a number beyond any machine.
    known = [limit for limit in limits if limit is not None and limit < 1 << 60]
    return {
        "cgroup_cpu_limit_cores": min((quota for quota in quotas if quota), default=None),
        "cgroup_memory_limit_bytes": min(known, default=None),
    }


def cgroup_folders(controller: str, root: Path = _ROOT, own: str | None = None) -> list[Path]:
    """Return the folders of this process's control group and of those above it, of one controller.

    Version 2 has one tree for all controllers, version 1 one for each. `own` is the text of
    /proc/self/cgroup.
    """
    own = own if own is not None else read_text("/proc/self/cgroup") or ""
    folders: list[Path] = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders += _upwards(root, path)
        if controller in controllers.split(","):
            folders += _upwards(root / controller, path)
    return folders


def _quota(folder: Path) -> float | None:
    """Return the cores that a group may use, as either version tells it."""
    second = _quota_v2(read_text(folder / "cpu.max"))
    if second is not None:
        return second
    quota = whole_number(read_text(folder / "cpu.cfs_quota_us"))
    period = whole_number(read_text(folder / "cpu.cfs_period_us"))
    return quota / period if quota and period else None


def _memory_limit(folder: Path) -> int | None:
    second = whole_number(read_text(folder / "memory.max"))
    return (
        second if second is not None else whole_number(read_text(folder / "memory.limit_in_bytes"))
    )


def _upwards(root: Path, path: str) -> list[Path]:
    own = root / path.lstrip("/")
    above = [folder for folder in own.parents if folder == root or root in folder.parents]
    return [own, *above]


def _quota_v2(text: str | None) -> float | None:
    quota, period = [*(text or "").split(), "", ""][:2]
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
