"""What is known of a run and of its repeats while a session goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnistbench import data
from mnistbench.analysis.drift import Trend
from mnistbench.analysis.roofline import Peak
from mnistbench.config.run_config import RunConfig
from mnistbench.machine import evidence
from mnistbench.measuring.executor import Task
from mnistbench.measuring.interpreters import Interpreter
from mnistbench.measuring.jobs import Answer, RepeatResult
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import (
    AT_ONCE,
    PHASES,
    PhaseRecord,
)
from mnistbench.results.rows import Metric


def metric_values(run: Run, name: str) -> list[Any]:
    """Return a metric of every repeat that has it."""
    return [m.value for record in run.repeats for m in record.metrics if m.name == name]


@dataclass(frozen=True)
class Turn:
    """One repeat of one config, at its place in the order of the whole session."""

    config_index: int
    repeat: int
    """From 1; warm-ups count up to 0."""
    seed: int
    order: int
    """Place in the session, from 1, warm-ups included."""

    @property
    def is_warmup(self) -> bool:
        """Return whether its result is discarded."""
        return self.repeat < 1


@dataclass(frozen=True)
class Measurement:
    """What a fresh process is asked for in one repeat."""

    task: Task
    job: object
    phases: tuple[str, ...] = PHASES
    """The phases it times, in order, `import` and `total` included."""
    stops_on_interrupt: bool = False
    """Whether Ctrl-C asks the task to stop, instead of ending its process."""
    answer: Answer | None = None
    """What says to the task what it asks for; None where it asks for nothing."""


@dataclass(frozen=True)
class RepeatRecord:
    """What is known of one repeat, finished or not."""

    turn: Turn
    phases: tuple[PhaseRecord, ...]
    """One for each phase, in order; before them the download of the data, if there was one."""
    metrics: tuple[Metric, ...]
    status: str
    """`ok`, `failed`, `interrupted`, `pruned` or `killed:SIGNAL`."""
    reason: str = ""
    """Why it did not finish, in one line."""
    result: RepeatResult | None = None
    wrong_input: bool = False
    """Whether it did not finish because of what it was given."""

    @property
    def is_contended(self) -> bool:
        """Return whether the evidence says that something else disturbed it."""
        return evidence.is_contended(self.metrics)


@dataclass
class Run:
    """One config's share of a session: its folder and the repeats so far."""

    config: RunConfig
    run_id: str
    folder: RunFolder
    identity: data.DataIdentity
    device: str = ""
    """`cpu` or `gpu`, as resolved; empty until the framework was asked."""
    download: PhaseRecord | None = None
    """The download of its data, if this session had to and this is the first run of it."""
    repeats: list[RepeatRecord] = field(default_factory=list)
    tag: str = ""
    """The user's word for every row."""
    phases: tuple[str, ...] = PHASES
    """The phases that its repeats time, in order."""
    peaks: Mapping[str, Peak] = field(default_factory=dict)
    """Workload to its peak on this run's device; empty without `--roofline`."""
    interpreter: Interpreter | None = None
    """The one that measures, where it is not the command's own."""
    trend: Trend | None = None
    """Of the train phase over the finished run; None if the repeats were too few to tell."""

    @property
    def design(self) -> str:
        """Return `duet` or `one-core` if it was measured beside another run; else empty."""
        statuses = {phase.status for record in self.repeats for phase in record.phases}
        return next((design for design in AT_ONCE if design in statuses), "")


def derived_seed(root: int, repeat: int) -> int:
    """Return the seed of one repeat, below 2**32, from the root seed of its config."""
    digest = hashlib.sha256(f"mnistbench:{root}:{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
