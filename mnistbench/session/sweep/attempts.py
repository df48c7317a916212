"""Points measured elsewhere: each attempt writes a folder of its own, and exactly one is kept.

A scheduler may begin a task again while its first process goes on, on a node that it lost sight of.
So nobody writes where another may: an attempt is `attempts/KEY/RUN_ID`, its key has the job and how
often that was restarted, and collecting moves one of them to the point's place.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mnistbench.machine import host
from mnistbench.results.tables import ATTEMPTS, FINDINGS
from mnistbench.session.sweep import lock

_OF_SLURM = re.compile(r"slurm-(?P<job>\d+(?:_\d+)?)-r(?P<restart>\d+)-[0-9a-f]{6}")


@dataclass(frozen=True)
class Attempt:
    """One process that measures a point elsewhere."""

    key: str
    """The name of its folder; no two processes have the same."""
    facts: Mapping[str, object]
    """Where it runs, for machine.csv."""
    kept: frozenset[int] = frozenset()
    """Repeats of its point that are there already, and are not measured again."""


def new_attempt(environment: Mapping[str, str]) -> Attempt:
    """Return what a process is that measures a point, by what its scheduler told it."""
    suffix = secrets.token_hex(3)
    if "SLURM_JOB_ID" not in environment:
        name = re.sub(r"[^A-Za-z0-9_.]+", "-", host.node()).strip("-.") or "host"
        return Attempt(f"{name}-{suffix}", {})
    job = environment["SLURM_JOB_ID"]
    if "SLURM_ARRAY_TASK_ID" in environment:
        array = environment.get("SLURM_ARRAY_JOB_ID", job)
        job = f"{array}_{environment['SLURM_ARRAY_TASK_ID']}"
    restarts = environment.get("SLURM_RESTART_COUNT", "0")
    facts = {
        "slurm_job": job,
        "slurm_restart_count": restarts,
        "slurm_node": environment.get("SLURMD_NODENAME"),
        "slurm_partition": environment.get("SLURM_JOB_PARTITION"),
    }
    return Attempt(f"slurm-{job}-r{restarts}-{suffix}", facts)


@dataclass(frozen=True)
class AttemptFolder:
    """What an attempt has left so far."""

    path: Path
    """`attempts/KEY`."""
    run: Path | None
    """The run's folder in it; None before it is made."""
    job: str
    """Of Slurm, with the number in its array; empty for another's."""
    restart: int
    """How often Slurm had begun the job again."""

    @property
    def has_ended(self) -> bool:
        """Return whether it came to its own end: it wrote what comes last."""
        return (self.path / FINDINGS).is_file()

    def is_settled(self, live_jobs: frozenset[str] | None) -> bool:
        """Return whether nothing more comes of it.

        `live_jobs` are Slurm's that have not ended; None where Slurm cannot be asked.
        """
        if self.has_ended:
            return True
        if self.job and (live_jobs is None or self.job in live_jobs):
            return False
        return not lock.is_running(self.path)


def attempt_folders(sweep: Path) -> list[AttemptFolder]:
    """Return the attempts of a sweep that have not been collected, by their names."""
    return [_attempt_folder(path) for path in sorted((sweep / ATTEMPTS).glob("*/"))]


def _attempt_folder(path: Path) -> AttemptFolder:
    named = _OF_SLURM.fullmatch(path.name)
    run = next((each for each in sorted(path.iterdir()) if each.is_dir()), None)
    if named is None:
        return AttemptFolder(path, run, "", 0)
    return AttemptFolder(path, run, named["job"], int(named["restart"]))
