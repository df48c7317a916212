"""Where the points of a sweep are measured: the processes of each kind, and the points' runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mnistbench import data
from mnistbench.config.devices import check_seen
from mnistbench.config.frameworks import MACHINE_BACKEND
from mnistbench.config.run_config import RunConfig
from mnistbench.machine import host
from mnistbench.measuring.executor import Executor
from mnistbench.measuring.fork_servers import make_room
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import PhaseRecord
from mnistbench.results.rows import Sample
from mnistbench.results.tables import CALIBRATION, LOG
from mnistbench.session.crews import Crew, Kind, kind_of, may_gauge, probe_device
from mnistbench.session.files import checked_identity, describe
from mnistbench.session.rates import AFTER, BEFORE, measure_calibration, rate_rows
from mnistbench.session.records import Run
from mnistbench.session.sweep.progress import SweepProgress

ExecutorOf = Callable[[RunConfig], Executor]
"""What makes the processes of a config; tests give their own."""


@dataclass(frozen=True)
class Station:
    """Processes of one device and one backend, asked once what they are."""

    executor: Executor
    device: str
    """`cpu` or `gpu`, as resolved."""
    facts: Mapping[str, object]
    """Of the machine and of the framework, for every run's machine.csv."""
    calibration: Sequence[Sample] | None
    """The machine's rates before the first repeat; None where they are not measured."""
    device_count: int = 1
    """Of that kind, that a process sees."""


def open_stations(
    configs: Iterable[RunConfig], executor_of: ExecutorOf, log: Path, calibrate: bool
) -> dict[Kind, Station]:
    """Start and ask the processes of every kind; raise InputError for GPUs that are not there."""
    machine_facts = host.machine_facts(dict(os.environ))
    stations: dict[Kind, Station] = {}
    rates = Rates(log)
    for config in configs:
        kind = kind_of(config)
        if kind not in stations:
            make_room(len(stations) + 1)  # they take turns: none may end another's server
            stations[kind] = _opened(
                config, executor_of(config), machine_facts, log, rates if calibrate else None
            )
        check_seen(config, stations[kind].device, stations[kind].device_count)
    return stations


def _opened(
    config: RunConfig,
    executor: Executor,
    machine_facts: Mapping[str, object],
    log: Path,
    rates: Rates | None,
) -> Station:
    answer = probe_device(executor, config.device, log)
    samples = None
    if rates is not None and config.backend == MACHINE_BACKEND:
        samples = rates.of(answer.device, config, executor)
    facts = {**machine_facts, **answer.facts}
    return Station(executor, answer.device, facts, samples, answer.device_count)


@dataclass
class Rates:
    """The machine's rates at one moment, of each device measured once."""

    log: Path
    _known: dict[str, tuple[Sample, ...]] = field(default_factory=dict)

    def of(self, device: str, config: RunConfig, executor: Executor) -> tuple[Sample, ...]:
        """Return a device's rates, measured by processes of the config's if they may."""
        if device not in self._known:
            own = may_gauge(config)
            plain = executor if own else Workers(measuring_environment(device), "auto")
            self._known[device] = measure_calibration(plain, device, self.log)
        return self._known[device]


def check_data(configs: Iterable[RunConfig]) -> dict[str, data.DataIdentity]:
    """Read the data of every config, each once; return its digests by `data_key`.

    Raises InputError if it cannot be read whole.
    """
    identities: dict[str, data.DataIdentity] = {}
    for config in configs:
        key = data_key(config)
        if key not in identities:
            identities[key] = checked_identity(config)
    return identities


def data_key(config: RunConfig) -> str:
    """Return what two configs share that are of the same data and take as much of it."""
    seed = config.training.seed if config.dataset.source == "synthetic" else ""
    return f"{seed}:{config.training.validation}:{config.dataset.model_dump_json()}"


@dataclass
class PointRuns:
    """The run of each point: its folder is made when its first repeat is about to begin."""

    progress: SweepProgress
    """Has the plan; that of a search grows."""
    folder: Path
    """The sweep's."""
    stations: Mapping[Kind, Station]
    identities: dict[str, data.DataIdentity]
    downloads: dict[str, PhaseRecord]
    """Of data that was not here, by data set; each is of the first run of it."""
    begun: set[int]
    """The places of the points whose folders are there."""
    used: dict[int, Run] = field(default_factory=dict)
    """The runs of this call."""
    session_id: str = ""
    """Shared by the runs that are measured interleaved; empty for the sweep's own name."""
    extra_facts: Mapping[str, object] = field(default_factory=dict)
    """Beside those of the machine: how or where the points are measured."""

    def __getitem__(self, index: int, /) -> Run:
        """Return a point's run, its folder made if it is not there; raise OutputError."""
        if index not in self.used:
            self._begin(index)
        return self.used[index]

    def executor_of(self, run: Run) -> Executor:
        """Return what makes the processes of a point's run."""
        return self.stations[kind_of(run.config)].executor

    def _begin(self, index: int) -> None:
        plan = self.progress.plan
        config = plan.configs[index]
        run_id, station = plan.run_id(index), self.stations[kind_of(config)]
        key = data_key(config)
        if key not in self.identities:  # a search may come to other images
            self.identities[key] = checked_identity(config)
        identity = self.identities[key]
        if index in self.begun:
            folder = RunFolder(self.folder / run_id)
        else:
            folder = RunFolder.create(self.folder, run_id, config.to_yaml())
        run = Run(config, run_id, folder, identity, station.device, tag=plan.tag)
        self.used[index] = run  # from here on it is removed if nothing is measured
        if index not in self.begun:
            self._describe(run, station)

    def _describe(self, run: Run, station: Station) -> None:
        """Write down what is known of a new point before its first repeat."""
        plan, config, folder, run_id = self.progress.plan, run.config, run.folder, run.run_id
        run.download = self.downloads.pop(config.dataset_label, None)
        facts = {**station.facts, **self.extra_facts}
        session_id = self.session_id or plan.sweep_id
        describe(Crew(station.executor, (run,)), plan.repeats, 0, facts, session_id)
        if station.calibration is not None:
            folder.write_table(CALIBRATION, rate_rows(station.calibration, run_id, BEFORE))

    def calibrate_again(self) -> None:
        """Measure the machine's rates once more, for the runs of this call."""
        rates = Rates(self.folder / LOG)
        for kind, station in self.stations.items():
            runs = [run for run in self.used.values() if kind_of(run.config) == kind]
            if station.calibration is None or not runs:
                continue
            samples = rates.of(station.device, runs[0].config, station.executor)
            for run in runs:
                run.folder.append(CALIBRATION, rate_rows(samples, run.run_id, AFTER))

    def remove_empty(self) -> None:
        """Remove the folders of runs that have no repeat: one was about to begin."""
        for index, run in self.used.items():
            if index not in self.begun and not run.repeats:
                run.folder.remove()
