"""The turns of a search: one point after the other, each chosen by what came of those before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.config.sweep_search import drawn_from_rest
from mnistbench.config.sweep_space import Settings, settings_text
from mnistbench.errors import InputError
from mnistbench.measuring.executor import Executor
from mnistbench.measuring.jobs import RepeatJob
from mnistbench.measuring.tasks import repeat
from mnistbench.session.events import Listener, News
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn, derived_seed
from mnistbench.session.repeat import measure
from mnistbench.session.sweep.plan import config_of_trial, training_of
from mnistbench.session.sweep.plan_file import write_point
from mnistbench.session.sweep.progress import SweepProgress, repeat_seconds, turns_left
from mnistbench.session.sweep.rounds import Ending
from mnistbench.session.sweep.study import Study

_TRIES = 20
"""So often a sampler may choose what cannot be trained, or was; then the rest is drawn from."""


class Trials:
    """A schedule that measures each point whole before the next one is chosen."""

    def __init__(
        self,
        progress: SweepProgress,
        study: Study,
        folder: Path,
        deadline: float | None,
        is_stopped: Callable[[], bool],
        tell: Callable[[News], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is the sweep's; `deadline` is by `clock`."""
        self.ending: Ending = "finished"
        self.expected_turns = turns_left(progress.plan, progress.points)
        self._progress, self._study, self._folder = progress, study, folder
        self._deadline, self._is_stopped = deadline, is_stopped
        self._tell, self._clock = tell, clock
        configs = progress.plan.configs
        self._numbers = {training_of(each): place for place, each in enumerate(configs, start=1)}
        self._order = len(progress.done())

    def next_turn(self) -> Turn | None:
        """Return the next turn; None after the last, or where it must not begin."""
        if self._is_stopped():
            self.ending = "stopped"
            return None
        if self._progress.is_whole():
            return None
        if not self._fits():
            self.ending = "time-is-up"
            return None
        index = self._present() if self._progress.missing() else self._next_point()
        self._order += 1
        measured = {each.repeat for each in self._progress.points[index].repeats}
        number = next(n for n in range(1, len(measured) + 2) if n not in measured)
        seed = self._progress.plan.configs[index].training.seed
        return Turn(index, number, derived_seed(seed, number), self._order)

    def ended(self, record: RepeatRecord) -> None:
        """The progress has it."""

    def outcome(self) -> None:
        """There is no target."""

    def _fits(self) -> bool:
        """Return whether one more repeat can end in time, by what they took on the average."""
        if self._deadline is None:
            return True
        known = [seconds for p in self._progress.points if (seconds := repeat_seconds(p))]
        mean = sum(known) / len(known) if known else 0.0
        return self._clock() + mean <= self._deadline

    def _present(self) -> int:
        """Return the place of the point that has begun, or was about to."""
        point = self._progress.missing()[0]
        self._study.begin(point.number, self._progress.plan.points[point.number - 1])
        return point.number - 1

    def _next_point(self) -> int:
        """Choose a point, write it down, and return its place; raise InputError if none is left."""
        number = len(self._progress.points) + 1
        settings = self._chosen(number)
        config = config_of_trial(self._progress.plan, number, settings)
        self._progress.add_point(settings, config)
        write_point(self._folder, self._progress.plan)
        self._numbers[training_of(config)] = number
        return number - 1

    def _chosen(self, number: int) -> Settings:
        for attempt in range(_TRIES):
            settings = self._study.choose(number, attempt)
            problem = self._problem(number, settings)
            if problem is None:
                self._study.accept(number)
                return settings
            if isinstance(problem, int):
                self._study.same_as(self._progress.points[problem - 1])
                continue
            self._study.refuse(problem)
            self._tell(News(f"passed over: {problem}"))
        return self._drawn(number)

    def _problem(self, number: int, settings: Settings) -> int | str | None:
        """Return the earlier point of the same training, or why there can be no such training."""
        try:
            config = config_of_trial(self._progress.plan, number, settings)
        except InputError as error:
            return str(error)
        return self._numbers.get(training_of(config))

    def _drawn(self, number: int) -> Settings:
        search = self._progress.plan.search
        assert search is not None
        settings = drawn_from_rest(
            search.space,
            f"mnistbench search:{search.seed}:{number}",
            lambda each: self._problem(number, each) is None,
        )
        if settings is None:
            raise InputError(
                f"only {number - 1:,} different points could be chosen, and "
                f"{search.options.trials:,} are asked for", source="--trials",
                hint="what was measured is kept; for more, widen the ranges in a new search",
            )  # fmt: skip
        self._tell(
            News(f"point {number} is drawn from what was not tried: {settings_text(settings)}")
        )
        self._study.begin(number, settings)
        return settings


@dataclass(frozen=True)
class TrialMeasurer:
    """Measures a repeat alone; of each point's first the study says when it has shown enough."""

    executor_of: Callable[[Run], Executor]
    study: Study
    at_once = 1

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure the one turn."""
        (turn,), (run,) = turns, runs
        asks = self.study.prunes and turn.repeat == 1
        job = RepeatJob(run.config, run.config.device, turn.seed, asks=asks)
        wanted = Measurement(repeat, job, answer=self.study.answer if asks else None)
        return [measure(turn, run, self.executor_of(run), wanted, tell)]
