"""Who measures: the processes of each run, and what their framework says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.config.devices import check_seen
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import RunError
from mnistbench.measuring.executor import Executor, StartMethod, TaskFailure
from mnistbench.measuring.fork_servers import make_room
from mnistbench.measuring.interpreters import Interpreter
from mnistbench.measuring.jobs import Probe
from mnistbench.measuring.startup import environment_of, measuring_environment
from mnistbench.measuring.tasks import probe
from mnistbench.measuring.team import Team
from mnistbench.measuring.workers import Workers
from mnistbench.results.tables import LOG
from mnistbench.session.records import Run

Kind = tuple[str, frozenset[tuple[str, str]], int]
"""A device as the config names it, the variables of its processes, the backend's name among them,
and the processes of a repeat."""


@dataclass(frozen=True)
class Crew:
    """Runs that their processes can share, by all that a framework is told before its import."""

    executor: Executor
    runs: tuple[Run, ...]


def crews_of(runs: Sequence[Run], start_method: StartMethod) -> list[Crew]:
    """Return what makes the processes of each run: one for those that can share it.

    Raises InputError where forking is asked for and not possible.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        key = (*kind_of(run.config), run.interpreter)
        groups.setdefault(key, []).append(run)
    make_room(len(groups))  # they take turns: none may end another's server
    return [
        Crew(executor_of(group[0].config, start_method, group[0].interpreter), tuple(group))
        for group in groups.values()
    ]


def kind_of(config: RunConfig) -> Kind:
    """Return what configs have in common that are measured by the same processes."""
    variables = frozenset(environment_of(config).items())
    return config.device, variables, config.training.processes


def executor_of(
    config: RunConfig, start_method: StartMethod, interpreter: Interpreter | None = None
) -> Executor:
    """Return what makes processes for a config's backend and device; raise InputError.

    `interpreter` is the one that measures, where it is not the command's own.
    """
    variables = environment_of(config)
    if config.training.processes > 1:
        return Team(variables, start_method, config.training.processes, interpreter)
    return Workers(variables, start_method, interpreter=interpreter)


def may_gauge(config: RunConfig) -> bool:
    """Return whether a config's processes may measure the machine itself.

    All configs have one measure of it: not with kernels or threads that one of them asks for.
    """
    return environment_of(config) == measuring_environment(config.device)


def probe_devices(crew: Crew) -> Mapping[str, object]:
    """Ask a measuring process for the crew's device, and return what the framework tells.

    Raises InputError for a config that wants more devices than there are.
    """
    first = crew.runs[0]
    answer = probe_device(crew.executor, first.config.device, first.folder.path / LOG)
    for run in crew.runs:
        check_seen(run.config, answer.device, answer.device_count)
        run.device = answer.device
    return answer.facts


def probe_device(executor: Executor, device: str, log: Path) -> Probe:
    """Return what a fresh measuring process tells of its framework; raise RunError if it fails."""
    try:
        answer: Probe = executor.run(probe, device, log, lambda message: None)
    except TaskFailure as failure:
        logged = log.read_text(errors="replace") if log.is_file() else ""
        raise RunError(failure.reason, details=executor.startup_text + logged) from None
    return answer
