"""The points of a sweep that this process measures: one repeat after the other, or a few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mnistbench.config.frameworks import check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import needed_bytes
from mnistbench.machine import host, readings
from mnistbench.machine.warnings import logical_devices, warnings_before
from mnistbench.measuring.executor import Executor
from mnistbench.results.folder import RunFolder
from mnistbench.results.tables import CLOUDMESH, LOG
from mnistbench.session.crews import executor_of, kind_of
from mnistbench.session.events import Event, Listener, News, TurnEnded
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.progress import SweepProgress, repeat_seconds, write_report_of
from mnistbench.session.sweep.rounds import Ending, Rounds
from mnistbench.session.sweep.side_by_side import SideBySide, side_by_side
from mnistbench.session.sweep.stations import (
    PointRuns,
    check_data,
    data_key,
    open_stations,
)
from mnistbench.session.sweep.study import Study, open_study
from mnistbench.session.sweep.terms import Terms
from mnistbench.session.sweep.trials import TrialMeasurer, Trials
from mnistbench.session.sweep.turns import InAttempt
from mnistbench.session.turns import InTurn, Measurer, take_turns


@dataclass
class Here:
    """One call that measures what is missing of a sweep."""

    progress: SweepProgress
    folder: RunFolder
    terms: Terms
    tell: Listener
    tell_and_log: Callable[[News], None]
    at_once: SideBySide | None = None
    """Who measures several at a time; None for one after the other."""
    study: Study | None = None
    """What chooses the points of a search; None where they are planned."""

    def run(self, deadline: float | None) -> Ending:
        """Measure; return how it ended."""
        if self.progress.plan.search is None:
            return self._run(deadline)
        with open_study(self.progress.plan, self.folder.path) as self.study:
            self.study.mend(self.progress.points)
            return self._run(deadline)

    def _run(self, deadline: float | None) -> Ending:
        if self.terms.parallel > 1:
            self.at_once = side_by_side(self.terms)
        runs = self._prepare()
        schedule = self._schedule(deadline)

        def listen(event: Event) -> None:
            self.tell(event)
            if isinstance(event, TurnEnded):
                self._keep(event, runs)

        try:
            is_whole = take_turns(schedule, runs, self._measurer(runs), listen)
        finally:
            runs.remove_empty()
        ending = schedule.ending if is_whole else "interrupted"
        if ending == "finished" and not self._calibrate(runs):
            ending = "interrupted"
        for index in self._unreported(runs):
            self._report(index)
        return ending

    def _prepare(self) -> PointRuns:
        """Have ready what every turn needs, so that what is wrong comes before the first one."""
        plan = self.progress.plan
        configs = [plan.configs[point.number - 1] for point in self.progress.missing()]
        configs += plan.ends  # a search may come near all of them
        check_installed({config.backend for config in configs})
        if self.at_once is not None:
            self.at_once.check_configs(configs)
        first_reading = readings.take()
        of_each_data = list({data_key(config): config for config in configs}.values())
        downloads = fetch_missing(of_each_data, self.tell)
        identities = check_data(of_each_data)
        log = self.folder.path / LOG
        # A share of the cores is not the machine: its times are held against no rate of it.
        calibrate = self.terms.calibrate and self.at_once is None
        stations = open_stations(configs, self._executor_of, log, calibrate)
        if self.at_once is not None:
            self.at_once.check(stations.values())
        facts = next(iter(stations.values())).facts
        needed = max(map(needed_bytes, configs)) * self.terms.parallel
        now = readings.take()
        threads = [config.training.threads for config in configs]
        warnings = warnings_before(facts, needed, plan.repeats, first_reading, now, threads)
        warnings += logical_devices((each, stations[kind_of(each)].device) for each in configs)
        for text in warnings:
            self.tell_and_log(News(f"warning: {text}"))
        self._tell_of_other_machines()
        begun = {point.number - 1 for point in self.progress.points if point.repeats}
        runs = PointRuns(self.progress, self.folder.path, stations, identities, downloads, begun)
        runs.session_id, runs.extra_facts = self._session()
        return runs

    def _session(self) -> tuple[str, dict[str, object]]:
        """Return what the rows of one call share, and how they were measured where it matters."""
        sweep_id, attempt = self.progress.plan.sweep_id, self.terms.attempt
        if attempt is not None:  # others measure other points at other times
            return f"{sweep_id}-{attempt.key}", {**attempt.facts, "attempt": attempt.key}
        return sweep_id, {} if self.at_once is None else {"design": self.at_once.design}

    def _tell_of_other_machines(self) -> None:
        nodes = {repeat.node for point in self.progress.points for repeat in point.repeats}
        if others := sorted(nodes - {host.node()}):
            self.tell_and_log(
                News(
                    f"warning: it was begun on {', '.join(others)}, and goes on on {host.node()}: "
                    "what a setting does is told within each alone, medians are over both"
                )
            )

    def _executor_of(self, config: RunConfig) -> Executor:
        if self.terms.executor_of is not None:
            return self.terms.executor_of(config)
        if self.at_once is not None:
            return self.at_once.executor_of(config, 0)
        return executor_of(config, self.terms.start_method)

    def _measurer(self, runs: PointRuns) -> Measurer:
        if self.at_once is not None:
            return self.at_once
        if self.study is not None:
            return TrialMeasurer(runs.executor_of, self.study)
        in_turn = InTurn(runs.executor_of)
        return in_turn if self.terms.attempt is None else InAttempt(in_turn, self.terms.attempt.key)

    def _schedule(self, deadline: float | None) -> Rounds | Trials:
        plan, progress = self.progress.plan, self.progress
        if self.study is not None:
            return Trials(
                progress,
                self.study,
                self.folder.path,
                deadline,
                self._is_stopped,
                self.tell_and_log,
            )
        seconds = {
            point.number - 1: seconds
            for point in progress.points
            if (seconds := repeat_seconds(point))
        }
        kept = self.terms.attempt.kept if self.terms.attempt else ()
        return Rounds(
            plan.configs,
            plan.repeats,
            progress.done() | {(0, repeat) for repeat in kept},
            seconds,
            deadline,
            self._is_stopped,
            self.tell_and_log,
            at_once=self.terms.parallel,
        )

    def _is_stopped(self) -> bool:
        return lock.is_asked_to_stop(self.folder.path)

    def _keep(self, event: TurnEnded, runs: PointRuns) -> None:
        """Take a repeat whose rows are on the disk; let go of all but its figures."""
        index = event.record.turn.config_index
        self.progress.add(event.record)
        runs[index].repeats[-1] = replace(event.record, metrics=(), result=None)
        point = self.progress.points[index]
        if not point.is_done(self.progress.plan.repeats):
            return
        self._report(index)
        if self.study is not None:
            self.study.tell(point)

    def _calibrate(self, runs: PointRuns) -> bool:
        """Measure the machine once more; return whether the user let it."""
        # One repeat of a second or two is not worth a second measurement of the machine.
        if self.progress.plan.turns == 1:
            return True
        try:
            runs.calibrate_again()
        except KeyboardInterrupt:
            return False
        return True

    def _unreported(self, runs: PointRuns) -> list[int]:
        """Return the points whose reports lack repeats: of this call, or of one that was killed."""
        return [
            index
            for index, point in enumerate(self.progress.points)
            if point.repeats
            and not (
                (self.folder.path / point.folder / CLOUDMESH).is_file()
                and (index not in runs.used or point.is_done(self.progress.plan.repeats))
            )
        ]

    def _report(self, index: int) -> None:
        write_report_of(self.folder.path / self.progress.points[index].folder)
