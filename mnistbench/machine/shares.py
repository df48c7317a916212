"""The cores this process may use, cut in shares that have caches and memory alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.machine.cpu import affinity
from mnistbench.machine.system_files import read_text

_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Core:
    """A physical core, as far as this process may use it."""

    threads: tuple[int, ...]
    """Numbers of its CPU threads."""
    neighbourhood: str
    """Socket and last-level cache: cores of one share them."""


def cores(usable: Iterable[int] | None = None, root: Path = _CPUS) -> list[Core]:
    """Return the physical cores with the usable CPU threads of each, in their order."""
    by_core: dict[tuple[str, str], list[int]] = {}
    neighbourhoods: dict[tuple[str, str], str] = {}
    for cpu in affinity() if usable is None else usable:
        topology = root / f"cpu{cpu}" / "topology"
        socket = read_text(topology / "physical_package_id") or ""
        # Where the kernel does not tell, each CPU thread counts as a core of its own.
        core = read_text(topology / "core_id") or f"cpu{cpu}"
        by_core.setdefault((socket, core), []).append(cpu)
        neighbourhoods[socket, core] = f"{socket}/{_last_level_cache(root / f'cpu{cpu}' / 'cache')}"
    return [Core(tuple(threads), neighbourhoods[key]) for key, threads in by_core.items()]


def shares(available: Sequence[Core], count: int) -> tuple[tuple[int, ...], ...] | None:
    """Return the CPU threads of each share: as many whole cores each, from every neighbourhood.

    Cores left over in their neighbourhood go unused. None where no neighbourhood has so many cores
    and there are not so many in all.
    """
    groups: dict[str, list[Core]] = {}
    for core in available:
        groups.setdefault(core.neighbourhood, []).append(core)
    if all(len(group) < count for group in groups.values()):
        groups = {"": list(available)}
    threads: list[list[int]] = [[] for _ in range(count)]
    for group in groups.values():
        for each in zip(*(group[place::count] for place in range(count)), strict=False):
            for share, core in zip(threads, each, strict=True):
                share += core.threads
    return tuple(map(tuple, threads)) if threads[0] else None


def _last_level_cache(folder: Path) -> str:
    """Return which CPU threads share the last cache; empty where the kernel does not tell."""
    levels = {
        read_text(index / "level") or "": read_text(index / "shared_cpu_list") or ""
        for index in folder.glob("index*")
    }
    return levels[max(levels)] if levels else ""
