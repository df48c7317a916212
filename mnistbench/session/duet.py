"""Two sides measured at the same time: what disturbs the machine then disturbs both alike.

Each has its own half of the cores, halves swapped by round; or both have one and the same core,
which the kernel gives to either for milliseconds at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from mnistbench.config.devices import refuse_several
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.machine import evidence, readings
from mnistbench.machine.cgroups import cgroup_facts
from mnistbench.machine.shares import cores, shares
from mnistbench.measuring.executor import StartMethod, Task
from mnistbench.measuring.jobs import Answer, Listener, Message, RepeatJob
from mnistbench.measuring.partners import Go, PartnerEnded, Ready
from mnistbench.measuring.startup import environment_of
from mnistbench.measuring.tasks import duet
from mnistbench.measuring.workers import Process, Workers, own_cpu_seconds, result_of
from mnistbench.results.phases import (
    STATUS_DUET,
    STATUS_OK,
    STATUS_ONE_CORE,
    TEST,
    TRAIN,
    PhaseRecord,
)
from mnistbench.results.rows import Metric
from mnistbench.session.crews import Crew
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn
from mnistbench.session.repeat import measured

AtOnce = Literal["duet", "one-core"]
"""How machine.csv, and the status of each row, name the two ways to measure."""

_PLACES = {STATUS_DUET: "half of the cores", STATUS_ONE_CORE: "one core"}
_TOGETHER = (TRAIN, TEST)

Part = TypeVar("Part")
"""Of the cores, or what belongs to it."""


def way_at_once(duet: bool, one_core: bool) -> AtOnce | None:
    """Return which of the two ways is asked for, None for neither; raise InputError for both."""
    if duet and one_core:
        raise InputError("is another way than --duet", source="--one-core", hint="give one of them")
    return STATUS_ONE_CORE if one_core else STATUS_DUET if duet else None


def check_possible(configs: Sequence[RunConfig], roofline: bool, design: AtOnce) -> None:
    """Raise InputError, naming the reason, where two sides cannot be measured at once."""
    option = f"--{design}"
    if roofline:
        raise InputError(
            f"{_PLACES[design]} is not the machine whose peak is measured",
            source="--roofline",
            hint=f"leave it or {option} out",
        )
    refuse_several(
        configs,
        f"{_PLACES[design]} is one device",
        option,
        "leave it out, or set training.devices=1",
    )
    if len(configs) != 2:
        raise InputError(
            f"takes two configs, and {len(configs)} were given",
            source=option,
            hint="for a config against itself, name it twice",
        )
    if not cores():
        raise InputError(
            "no process can be held on a core on this system",
            source=option,
            hint=f"measure in turn, without {option}",
        )
    if design == STATUS_DUET:
        _check_two_cores()


def _check_two_cores() -> None:
    if shares(cores(), 2) is None:
        raise InputError(
            "needs two physical cores, and this process may use one",
            source="--duet",
            hint="share it, with --one-core, or measure in turn, without --duet",
        )
    quota = cgroup_facts()["cgroup_cpu_limit_cores"]
    if isinstance(quota, float | int) and quota < 2:
        raise InputError(
            f"needs two cores, and this container's CPU quota is {quota:g}",
            source="--duet",
            hint="raise the quota, share a core, with --one-core, or measure in turn",
        )


def check_devices(runs: Sequence[Run], design: AtOnce) -> None:
    """Raise InputError where the two sides would share a GPU."""
    if any(run.device == "gpu" for run in runs):
        raise InputError(
            "both sides would train on the same GPU",
            source=f"--{design}",
            hint=f"add --device cpu, or measure in turn, without --{design}",
        )


class Conductor:
    """Keeps two processes in step: hears each, and says to the other what it must know."""

    def __init__(self, tell: Listener) -> None:
        """`tell` hears all that both sides say."""
        self._tell = tell
        self._lock = threading.Lock()
        self._processes: dict[int, Process] = {}
        self._ready: dict[str, set[int]] = {phase: set() for phase in _TOGETHER}
        self._gone: set[int] = set()

    def add(self, side: int, process: Process) -> None:
        """Let a side, 0 or 1, take part."""
        with self._lock:
            self._processes[side] = process
            if 1 - side in self._gone:
                self._release(side)

    def hear(self, side: int, message: Message) -> None:
        """Pass a message of a side on, and let it and the other go on as it says."""
        with self._lock:
            if isinstance(message, Ready):
                self._ready[message.phase].add(side)
                if len(self._ready[message.phase] | self._gone) == 2:
                    for each in self._ready[message.phase]:
                        self._send(each, Go(message.phase))
            if isinstance(message, PhaseRecord) and message.phase in _TOGETHER:
                self._send(1 - side, PartnerEnded(message.phase))
            self._tell(message)

    def leave(self, side: int) -> None:
        """Let the other side go on alone: this one has ended, or failed."""
        with self._lock:
            self._gone.add(side)
            self._release(1 - side)

    def end_all(self) -> None:
        """End both processes at once."""
        with self._lock:
            for process in self._processes.values():
                process.kill()

    def _release(self, side: int) -> None:
        for phase in _TOGETHER:
            self._send(side, PartnerEnded(phase))
            self._send(side, Go(phase))

    def _send(self, side: int, message: object) -> None:
        if side in self._processes and side not in self._gone:
            with suppress(OSError, ValueError):  # it has just ended
                self._processes[side].channel.send(message)


@dataclass
class _Side:
    """One side's process as an executor of one task, in step with the other's."""

    number: int
    workers: Workers
    conductor: Conductor

    @property
    def forks(self) -> bool:
        """Return whether its processes share the import of the framework."""
        return self.workers.forks

    @property
    def startup_text(self) -> str:
        """Return what the framework wrote while it was imported."""
        return self.workers.startup_text

    def run(
        self, task: Task, argument: object, log: Path, tell: Listener, stops: bool = False,
        answer: Answer | None = None,
    ) -> Any:  # fmt: skip
        """Run the task; what it tells of its own step goes to the conductor."""

        def hear(message: Message) -> None:
            self.conductor.hear(self.number, message)
            tell(message)

        try:
            process = self.workers.start(task, argument, log)
            self.conductor.add(self.number, process)
            return result_of(process, hear, answer)
        finally:
            self.conductor.leave(self.number)

    def cpu_seconds(self) -> float | None:
        """Return what is known of one side alone: nothing."""
        return None


class Duet:
    """Measures two sides at once, each on its half of the cores, or both on one."""

    at_once = 2

    def __init__(self, runs: Sequence[Run], start_method: StartMethod, design: AtOnce) -> None:
        """`runs` are the two sides."""
        self._design = design
        self._cores = _cut(design)
        self._workers = [
            [
                Workers(environment_of(run.config), start_method, part, run.interpreter, place)
                for place, part in enumerate(self._cores)
            ]
            for run in runs
        ]
        self.crews = [
            Crew(workers[side], (run,))
            for side, (workers, run) in enumerate(zip(self._workers, runs, strict=True))
        ]
        """What tells of each side's framework: also the first to load it, on either half."""

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure both sides of a round at once, with evidence; a failure is a record too."""
        before = readings.take(self.cpu_seconds())
        records = self._measured(turns, runs, tell)
        after = readings.take(self.cpu_seconds())
        beside = evidence.repeat_metrics(before, after)
        used = self._in_round(turns[0].repeat, self._cores)
        return [
            _at_once(record, self._design, part, beside)
            for record, part in zip(records, used, strict=True)
        ]

    def _measured(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        conductor = Conductor(tell)
        chosen = [
            self._in_round(turns[0].repeat, workers)[side]
            for side, workers in enumerate(self._workers)
        ]
        for workers in chosen:
            workers.prepare()

        def one(side: int) -> RepeatRecord:
            turn, run = turns[side], runs[side]
            wanted = Measurement(duet, RepeatJob(run.config, run.config.device, turn.seed))
            executor = _Side(side, chosen[side], conductor)
            return measured(turn, run, executor, wanted, lambda message: None)

        with ThreadPoolExecutor(2) as pool:
            order = self._in_round(turns[0].repeat, (0, 1))
            waiting = {side: pool.submit(one, side) for side in order}
            try:
                return [waiting[side].result() for side in (0, 1)]
            except BaseException:
                conductor.end_all()
                raise

    @staticmethod
    def _in_round(number: int, of_parts: Sequence[Part]) -> tuple[Part, Part]:
        """Return what both sides have of the two parts in a round: they swap every round.

        On one core that is the server that each is forked from, and who is started first: without
        it equal things differed by half a per cent, always in one direction.
        """
        return of_parts[number % 2], of_parts[1 - number % 2]

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all of theirs that have ended, if known."""
        servers: dict[int, float] = {}
        for workers in (each for side in self._workers for each in side):
            servers |= workers.server_cpu_seconds() or {}
        return own_cpu_seconds() + sum(servers.values())


def _cut(design: AtOnce) -> Sequence[tuple[int, ...]]:
    """Return the CPU threads of either half; or twice those of the one core, the last: the first
    has more to do for the kernel."""
    if design == STATUS_ONE_CORE:
        return [cores()[-1].threads[:1]] * 2
    halves = shares(cores(), 2)
    assert halves is not None  # checked before
    return halves


def _at_once(
    record: RepeatRecord, design: AtOnce, cores_used: Sequence[int], beside: Sequence[Metric]
) -> RepeatRecord:
    """Return a record that says so: its times are no figures of the machine alone."""
    phases = tuple(
        replace(phase, status=design) if phase.status == STATUS_OK else phase
        for phase in record.phases
    )
    where = Metric("duet_cores", " ".join(map(str, cores_used)), "")
    return replace(record, phases=phases, metrics=(*record.metrics, where, *beside))
