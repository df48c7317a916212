"""The points of a sweep that others measure: given away, waited for, and collected as they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mnistbench.config.frameworks import check_installed
from mnistbench.results.folder import RunFolder
from mnistbench.session.events import Listener, News
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.collecting import LiveJobs, collect
from mnistbench.session.sweep.launchers import engine as engines
from mnistbench.session.sweep.launchers.engine import (
    Engine,
    Launch,
    Launched,
    open_engine,
    read_launched,
)
from mnistbench.session.sweep.progress import SweepProgress
from mnistbench.session.sweep.rounds import Ending
from mnistbench.session.sweep.stations import check_data, data_key
from mnistbench.session.sweep.terms import Terms


@dataclass
class Elsewhere:
    """One call that has what is missing of a sweep measured by others."""

    progress: SweepProgress
    folder: RunFolder
    terms: Terms
    tell: Listener
    tell_and_log: Callable[[News], None]
    live_jobs: LiveJobs
    """What tells Slurm's jobs that have not ended."""

    def run(self, deadline: float | None) -> Ending:
        """Give away what nobody measures yet, and wait for it; return how that ended."""
        launch = self.terms.launch
        assert launch is not None
        engine = self._engine(launch)
        detaches = engines.detaches(launch.name)
        try:
            self._submit(engine)
            return "detached" if launch.detach else self._wait(engine, deadline)
        except KeyboardInterrupt:
            if detaches:
                return "detached"
            engine.cancel(waiting_only=False)
            self._collect()
            return "interrupted"
        finally:
            engine.close()

    def _engine(self, launch: Launch) -> Engine:
        before = read_launched(self.folder.path)
        jobs = before.jobs if before and before.launch.name == launch.name else {}
        launched = Launched(launch, jobs)
        if self.terms.engine_of is not None:
            return self.terms.engine_of(launched)
        engines.check_installed(launch.name)
        return open_engine(self.folder.path, launched, self.terms.options)

    def _submit(self, engine: Engine) -> None:
        """Begin tasks for the points that are missing and that no task measures already."""
        live = engine.states()
        numbers = [p.number for p in self.progress.missing() if p.number not in live]
        if live:
            noun = "point is" if len(live) == 1 else "points are"
            self.tell_and_log(News(f"{len(live):,} {noun} in the queue or measured already"))
        if not numbers:
            return
        configs = [self.progress.plan.configs[number - 1] for number in numbers]
        check_installed({config.backend for config in configs})
        of_each_data = list({data_key(config): config for config in configs}.values())
        fetch_missing(of_each_data, self.tell)
        check_data(of_each_data)
        self.tell_and_log(News(engine.submit(numbers)))

    def _wait(self, engine: Engine, deadline: float | None) -> Ending:
        ending: Ending = "finished"
        while self.progress.missing():
            live = engine.states()
            self._collect()
            if not live:
                break
            if ending == "finished" and lock.is_asked_to_stop(self.folder.path):
                engine.cancel(waiting_only=False)
                ending = "stopped"
            elif ending == "finished" and deadline is not None and time.monotonic() > deadline:
                engine.cancel(waiting_only=True)
                ending = "time-is-up"
            time.sleep(engine.poll_seconds)
        for number, text in engine.endings().items():
            if ending == "finished" and self._is_missing(number):
                self.tell_and_log(News(f"point {number}: {text}"))
        return ending

    def _is_missing(self, number: int) -> bool:
        return len(self.progress.points[number - 1].repeats) < self.progress.plan.repeats

    def _collect(self) -> None:
        lines = collect(self.progress, self.folder.path, self.live_jobs)
        if not lines:
            return
        for line in lines:
            self.tell_and_log(News(line))
        self.progress.write_index()
        collected, planned = len(self.progress.done()), self.progress.plan.turns
        self.tell_and_log(News(f"{collected:,} of {planned:,} repeats are collected"))
