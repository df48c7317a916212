"""Who measures: the processes of each run, and what their framework says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistbench.errors import InputError, RunError
from mnistbench.measuring.jobs import Probe
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import probe
from mnistbench.measuring.workers import StartMethod, TaskFailure, Workers
from mnistbench.results.tables import LOG
from mnistbench.session.records import Run


def crews(runs: Sequence[Run], start_method: StartMethod) -> list[tuple[Workers, list[Run]]]:
    """Return what makes the processes of each run, with the runs that share it.

    A backend and a device are one environment. A process has one fork server, and so one
    environment to fork from: with several, each process starts from nothing.
    Raises InputError where forking is asked for and not possible.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.config.device, run.config.backend), []).append(run)
    if len(groups) > 1:
        if start_method == "fork":
            raise InputError(
                "'fork' is for configs of one backend and one device",
                source="--start-method",
                hint="leave it out",
            )
        start_method = "spawn"
    return [
        (Workers(measuring_environment(*key), start_method), group) for key, group in groups.items()
    ]


def probe_devices(runs: Sequence[Run], workers: Workers) -> Mapping[str, object]:
    """Ask a measuring process for each run's device, and return what the framework tells."""
    told: dict[str, Probe] = {}
    for run in runs:
        wanted = run.config.device
        if wanted not in told:
            told[wanted] = probe_device(workers, wanted, run.folder.path / LOG)
        run.device = told[wanted].device
    return next(iter(told.values())).facts


def probe_device(workers: Workers, device: str, log: Path) -> Probe:
    """Return what a fresh measuring process tells of its framework; raise RunError if it fails."""
    try:
        answer: Probe = workers.run(probe, device, log, lambda message: None)
    except TaskFailure as failure:
        said = [path.read_text(errors="replace") for path in (workers.startup_log, log)]
        raise RunError(failure.reason, details="".join(said)) from None
    return answer
