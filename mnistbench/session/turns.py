"""The loop of a session: turn after turn, each measured, kept and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mnistbench.measuring.executor import Executor
from mnistbench.measuring.interrupts import held_back
from mnistbench.measuring.jobs import RepeatJob
from mnistbench.measuring.tasks import repeat
from mnistbench.session.events import Listener, TurnEnded, TurnStarted
from mnistbench.session.files import keep
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn
from mnistbench.session.repeat import measure
from mnistbench.session.schedule import Schedule


class Runs(Protocol):
    """The run of each config, by its place among them."""

    def __getitem__(self, index: int, /) -> Run:
        """Return it; it may be made only now."""


class Measurer(Protocol):
    """How turns are measured."""

    @property
    def at_once(self) -> int:
        """Return how many turns are measured together."""

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Return a record for each turn, failures too; raise KeyboardInterrupt."""


@dataclass(frozen=True)
class InTurn:
    """Measures one repeat after the other, each alone on the machine."""

    executor_of: Callable[[Run], Executor]
    """Whose processes measure a run."""
    at_once = 1

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure the one turn."""
        return [
            measure(
                turn,
                run,
                self.executor_of(run),
                Measurement(repeat, RepeatJob(run.config, run.config.device, turn.seed)),
                tell,
            )
            for turn, run in zip(turns, runs, strict=True)
        ]


def take_turns(schedule: Schedule, runs: Runs, measurer: Measurer, tell: Listener) -> bool:
    """Run every turn; return whether all were run, and not interrupted by the user."""
    done = 0
    try:
        while turns := _next_turns(schedule, measurer.at_once):
            chosen = [runs[turn.config_index] for turn in turns]
            _take(turns, chosen, schedule, measurer, done, tell)
            done += len(turns)
    except KeyboardInterrupt:
        return False
    return True


def _take(
    turns: Sequence[Turn],
    chosen: Sequence[Run],
    schedule: Schedule,
    measurer: Measurer,
    done: int,
    tell: Listener,
) -> None:
    """Measure turns that are taken at once, after `done` others, and keep what comes of them."""
    for turn, run in zip(turns, chosen, strict=True):
        epochs = run.config.training.epochs
        tell(TurnStarted(run.config.name, turn, schedule.expected_turns, done, epochs))
    try:
        records = measurer.measure(turns, chosen, tell)
    except KeyboardInterrupt:
        for run in chosen:
            run.folder.log(f"repeat {turns[0].repeat} interrupted by the user")
        raise
    with held_back():  # what is on the disk is counted too
        for number, (run, record) in enumerate(zip(chosen, records, strict=True), done + 1):
            if not record.turn.is_warmup:
                keep(record, run)
            schedule.ended(record)
            tell(TurnEnded(run.config.name, record, number))


def _next_turns(schedule: Schedule, count: int) -> list[Turn]:
    """Return the next turns, to be measured at once; none where the session is over."""
    turns = [turn for _ in range(count) if (turn := schedule.next_turn()) is not None]
    return sorted(turns, key=lambda turn: turn.config_index)
