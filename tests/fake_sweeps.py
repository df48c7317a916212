"""Sweeps measured by a stand-in for the processes: nothing is trained, every file is written."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnistbench.config.loading import read_fields
from mnistbench.config.run_config import RunConfig
from mnistbench.config.sweep_space import space_of_grid
from mnistbench.data import DataIdentity
from mnistbench.measuring.executor import TaskFailure
from mnistbench.measuring.jobs import EpochLearnt, GoOn, Probe, Prune, RepeatJob, RepeatResult
from mnistbench.results.phases import IMPORT, PHASES, TEST, PhaseRecord
from mnistbench.results.rows import Metric
from mnistbench.session.sweep.launchers.engine import Launch, TaskState
from mnistbench.session.sweep.plan import SweepPlan, make_plan
from mnistbench.session.sweep.search import SearchOptions
from mnistbench.session.sweep.sweep import measure_point
from mnistbench.session.sweep.terms import Terms

UTC = "2026-11-25T00:00:00.000000Z"
IDENTITY = DataIdentity("embedded", {"x_train": "1"}, True)

Figures = Callable[[RunConfig, random.Random], tuple[float, float]]
"""What a repeat of a config gives: its train seconds and its test accuracy."""


def by_work(config: RunConfig, noise: random.Random) -> tuple[float, float]:
    """Twice the epochs take twice as long, with a hundredth of noise, and learn a tenth more."""
    epochs, batch = config.training.epochs, config.training.batch_size
    seconds = epochs * 8 / batch * (1 + noise.uniform(-0.01, 0.01))
    return seconds, 0.8 + epochs / 100 - batch / 10_000 + noise.uniform(-1e-4, 1e-4)


class Fake:
    """Answers a probe and every repeat at once."""

    forks = True
    startup_text = ""

    def __init__(self, figures: Figures = by_work, fails: str = "") -> None:
        """`fails` is in the names of the configs whose repeats fail."""
        self.measured: list[tuple[str, int]] = []
        self._figures, self._fails = figures, fails

    def run(
        self, task: Any, argument: Any, log: Path, tell: Callable[[Any], None],
        stops_on_interrupt: bool = False, answer: Any = None,
    ) -> Any:  # fmt: skip
        if task.__name__ == "probe":
            return Probe("cpu", {"keras_version": "0"})
        return self._repeat(argument, tell, answer)

    def cpu_seconds(self) -> float | None:
        return None

    def _repeat(self, job: RepeatJob, tell: Callable[[Any], None], answer: Any) -> RepeatResult:
        self.measured.append((job.config.name, job.seed))
        if self._fails and self._fails in job.config.name:
            raise TaskFailure("killed:SIGKILL", "the process was killed")
        seconds, accuracy = self._figures(job.config, random.Random(str(self.measured[-1])))
        validated = job.config.training.validation != "none"
        epochs = job.config.training.epochs
        after = [accuracy - 0.01 - 0.1 * (epochs - epoch) for epoch in range(1, epochs + 1)]
        pruned = _asked(after, answer) if job.asks else None
        for phase in PHASES:
            if phase != IMPORT and not (phase == TEST and pruned):
                tell(PhaseRecord(phase, seconds, seconds, UTC, "ok"))
        metrics = [] if pruned else [Metric("test_accuracy", accuracy, "1")]
        metrics += [
            Metric(f"epoch_{epoch}_validation_accuracy", after[epoch - 1], "1")
            for epoch in range(1, (pruned or epochs) + 1)
            if validated
        ]
        metrics += [
            Metric("train_steps", 10, "1"),
            Metric("steps_per_epoch", 10, "1"),
            Metric("train_samples", 320, "1"),
            Metric("validation_samples", 0, "1"),
        ]
        if isinstance(job.config.training.validation, float):
            metrics.append(Metric("validation_accuracy", accuracy - 0.01, "1"))
        imported = PhaseRecord(IMPORT, 3.0, 3.0, UTC, "ok")
        return RepeatResult(
            tuple(metrics),
            "tensorflow",
            "cpu",
            "float32",
            IDENTITY,
            imported,
            pruned_epoch=pruned,
        )


def _asked(accuracies: Sequence[float], answer: Any) -> int | None:
    """Ask after each epoch but the last; return the one after which the training is to end."""
    for epoch, accuracy in enumerate(accuracies[:-1], start=1):
        said = answer(EpochLearnt(epoch, accuracy))
        assert said in (GoOn(epoch), Prune(epoch))
        if said == Prune(epoch):
            return epoch
    return None


def terms(fake: Fake, max_seconds: float | None = None) -> Terms:
    return Terms(max_seconds=max_seconds, calibrate=False, executor_of=lambda config: fake)


def plan_of(*grids: str, repeats: int = 1, overrides: Sequence[str] = (), **more: Any) -> SweepPlan:
    base = read_fields("mnist-dense", overrides)
    return make_plan(base, space_of_grid(grids, more.pop("drawn", None)), repeats, **more)


def search_of(*grids: str, trials: int, overrides: Sequence[str] = (), **more: Any) -> SweepPlan:
    base = read_fields("mnist-dense", overrides)
    repeats, select_on = more.pop("repeats", 1), more.pop("select_on", "validation")
    space = space_of_grid(grids, None, is_searched=True)
    return make_plan(base, space, repeats, select_on, "", SearchOptions(trials, **more))


def quiet(event: object) -> None:
    """Hear nothing."""


class FakeEngine:
    """Measures a point each time it is asked, by a stand-in for the processes; some it loses."""

    poll_seconds = 0.0

    def __init__(self, folder: Path, fake: Fake, loses: Sequence[int] = ()) -> None:
        """`loses` are points whose tasks end with nothing."""
        self.submitted: list[int] = []
        self.cancelled: list[bool] = []
        self.asked = 0
        self._folder, self._fake, self._loses = folder, fake, loses
        self._waiting: list[int] = []

    def submit(self, numbers: Sequence[int]) -> str:
        self.submitted += numbers
        self._waiting += numbers
        return f"{len(numbers)} points given away"

    def states(self) -> dict[int, TaskState]:
        self.asked += 1
        if self._waiting:
            number = self._waiting.pop(0)
            if number not in self._loses:
                measure_point(self._folder, number, terms(self._fake), quiet)
        return {number: TaskState(f"7_{number}", "waits") for number in self._waiting}

    def endings(self) -> dict[int, str]:
        return dict.fromkeys(self._loses, "its node died")

    def cancel(self, *, waiting_only: bool) -> None:
        self.cancelled.append(waiting_only)
        self._waiting.clear()

    def close(self) -> None:
        self._waiting.clear()


def elsewhere(engine: FakeEngine, **more: Any) -> Terms:
    return Terms(launch=Launch("slurm"), engine_of=lambda launched: engine, **more)
