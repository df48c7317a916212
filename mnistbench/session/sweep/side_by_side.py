"""Several repeats at a time, each pinned to its share of the cores, and marked for good."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mnistbench.config.devices import refuse_several
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError, RunError
from mnistbench.machine import evidence, readings
from mnistbench.machine.cgroups import cgroup_facts
from mnistbench.machine.shares import cores, shares
from mnistbench.measuring.executor import Executor, Task, TaskFailure
from mnistbench.measuring.fork_servers import make_room
from mnistbench.measuring.jobs import Message, RepeatJob
from mnistbench.measuring.startup import environment_of
from mnistbench.measuring.tasks import probe, repeat
from mnistbench.measuring.workers import Process, Workers, own_cpu_seconds
from mnistbench.results.phases import STATUS_OK, STATUS_PARALLEL
from mnistbench.results.rows import Metric
from mnistbench.results.tables import LOG
from mnistbench.session.crews import Kind, kind_of
from mnistbench.session.events import Listener
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn
from mnistbench.session.repeat import measured
from mnistbench.session.sweep.stations import Station
from mnistbench.session.sweep.terms import Terms

SOURCE = "--parallel"


def side_by_side(terms: Terms) -> SideBySide:
    """Return who measures so many at a time; raise InputError where the cores are too few."""
    count, available = terms.parallel, cores()
    cut = shares(available, count)
    if cut is None:
        raise InputError(
            f"{count} needs as many physical cores, and this process may use {len(available)}",
            source=SOURCE,
            hint="give fewer, or leave it out: one at a time",
        )
    quota = cgroup_facts()["cgroup_cpu_limit_cores"]
    if isinstance(quota, float | int) and quota < count:
        raise InputError(
            f"{count} needs as many cores, and this container's CPU quota is {quota:g}",
            source=SOURCE,
            hint="give fewer, or leave it out: one at a time",
        )
    return SideBySide(terms, cut)


class _Pinned(Workers):
    """Processes of one share; the one that runs can be ended from another thread."""

    _running: Process | None = None

    def start(self, task: Task, argument: object, log: Path) -> Process:
        """Start a process, and remember it."""
        self._running = super().start(task, argument, log)
        return self._running

    def end_running(self) -> None:
        """End what runs, if anything does."""
        if self._running is not None:
            self._running.kill()


@dataclass
class SideBySide:
    """Measures as many repeats at a time as there are shares of the cores."""

    terms: Terms
    shares: tuple[tuple[int, ...], ...]
    """The CPU threads of each."""
    _executors: dict[tuple[Kind, int], Executor] = field(default_factory=dict)

    @property
    def at_once(self) -> int:
        """Return how many turns are measured together."""
        return len(self.shares)

    @property
    def design(self) -> str:
        """Return how rows and machine.csv name this way to measure."""
        return f"{STATUS_PARALLEL}{len(self.shares)}"

    def executor_of(self, config: RunConfig, share: int) -> Executor:
        """Return what makes processes of a config's kind on a share of the cores."""
        key = (kind_of(config), share)
        if key not in self._executors:
            self._executors[key] = self._new_executor(config, share)
            make_room(len(self._executors))
        return self._executors[key]

    def _new_executor(self, config: RunConfig, share: int) -> Executor:
        if self.terms.executor_of is not None:
            return self.terms.executor_of(config)
        variables = environment_of(config)
        return _Pinned(variables, self.terms.start_method, self.shares[share])

    def check_configs(self, configs: Iterable[RunConfig]) -> None:
        """Raise InputError for a point that is measured by several processes itself."""
        why = "they would be several on each share of the cores"
        refuse_several(
            configs, why, SOURCE, "leave it out: one point at a time", processes_alone=True
        )

    def check(self, stations: Iterable[Station]) -> None:
        """Raise InputError where several would train on one GPU."""
        if any(station.device == "gpu" for station in stations):
            raise InputError(
                "all of them would train on the same GPU",
                source=SOURCE,
                hint="add --device cpu, or leave it out: one at a time",
            )

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure all turns at once, with evidence; a failure is a record too."""
        executors = [self.executor_of(run.config, share) for share, run in enumerate(runs)]
        self._import_first(runs, executors)
        before = readings.take(self._cpu_seconds())
        records = self._measured(turns, runs, executors, tell)
        beside = evidence.repeat_metrics(before, readings.take(self._cpu_seconds()))
        return [self._marked(record, share, beside) for share, record in enumerate(records)]

    def _import_first(self, runs: Sequence[Run], executors: Sequence[Executor]) -> None:
        """Load the framework on every share: else one trains beside an import, and then alone."""
        for run, executor in zip(runs, executors, strict=True):
            is_new = isinstance(executor, _Pinned) and not executor.server_cpu_seconds()
            if is_new and executor.forks:
                with suppress(TaskFailure, RunError):  # its repeat fails too, and tells it
                    executor.run(
                        probe, run.config.device, run.folder.path / LOG, lambda message: None
                    )

    def _measured(
        self, turns: Sequence[Turn], runs: Sequence[Run], executors: Sequence[Executor],
        tell: Listener,
    ) -> list[RepeatRecord]:  # fmt: skip
        speaking = threading.Lock()

        def one(share: int) -> RepeatRecord:
            run, turn = runs[share], turns[share]

            def hear(message: Message) -> None:
                with speaking:
                    tell(message)

            wanted = Measurement(repeat, RepeatJob(run.config, run.config.device, turn.seed))
            return measured(turn, run, executors[share], wanted, hear)

        with ThreadPoolExecutor(len(turns)) as pool:
            waiting = [pool.submit(one, share) for share in range(len(turns))]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                for executor in executors:
                    if isinstance(executor, _Pinned):
                        executor.end_running()
                raise

    def _marked(self, record: RepeatRecord, share: int, beside: Sequence[Metric]) -> RepeatRecord:
        """Return a record that says so: its times are none of the whole machine."""
        phases = tuple(
            replace(phase, status=self.design) if phase.status == STATUS_OK else phase
            for phase in record.phases
        )
        where = Metric("parallel_cores", " ".join(map(str, self.shares[share])), "")
        return replace(record, phases=phases, metrics=(*record.metrics, where, *beside))

    def _cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all of theirs that have ended, if known."""
        servers: dict[int, float] = {}
        for executor in self._executors.values():
            if not isinstance(executor, _Pinned):
                return None
            servers |= executor.server_cpu_seconds() or {}
        return own_cpu_seconds() + sum(servers.values())
