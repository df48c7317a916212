"""The trials of a search as an Optuna study of their own, in the sweep's folder.

The folders of the points stay the truth: what the study lacks of them after a death it is given
again. Optuna is imported only where a search runs.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import mnistbench
from mnistbench.analysis.sweeps import FAILED, Point, point_row
from mnistbench.config.sweep_space import Range, Settings
from mnistbench.errors import OutputError
from mnistbench.measuring.jobs import EpochLearnt, GoOn, Message, Prune
from mnistbench.results.rows import MetricRow
from mnistbench.results.tables import METRICS, STUDY, read_table
from mnistbench.results.whole import whole_file
from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.samplers import (
    choice_of,
    distribution_of,
    pruners,
    rounding,
    samplers,
    value_chosen,
)
from mnistbench.session.sweep.search import figure_of, value_of

_POINT, _STATE = "point", "state"
_FACTS = (
    _POINT, _STATE, "folder", "contended", "train_seconds", "test_accuracy", "validation_accuracy",
    "seconds_to_accuracy",
)  # fmt: skip
"""Columns of points.csv that a trial has as attributes; each costs a transaction."""
_EPOCH = re.compile(r"epoch_(\d+)_validation_accuracy")


@contextmanager
def open_study(plan: SweepPlan, folder: Path) -> Iterator[Study]:
    """Give the study of a search, made if it is not there; raise OutputError if that fails."""
    file = folder / STUDY
    with _told(file):
        if not file.exists():
            with whole_file(file) as partial, _storage(partial) as storage:
                _create(plan, storage)
    with ExitStack() as stack:
        with _told(file):
            storage = stack.enter_context(_storage(file))
            study = Study(plan, folder, storage)
        yield study


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Tell of a database that cannot be read or written in one line."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            # Of what Optuna calls experimental: its versions are pinned, and ours are tested.
            warnings.simplefilter("ignore")
            yield
    except (StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = str(error.__cause__ or error.__context__ or error).strip().splitlines()[0]
        raise OutputError(
            f"{file}: cannot be read or written: {cause}; if it is damaged, delete it: it is made "
            "anew from the points"
        ) from None


@contextmanager
def _storage(file: Path) -> Iterator[Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def connect() -> sqlite3.Connection:
        # By its path, which may hold what a URL cannot.
        connection = sqlite3.connect(file, timeout=60, check_same_thread=False)
        # A dozen waits for the disk a trial would save what can be made anew from the points.
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    storage = optuna.storages.RDBStorage("sqlite:///study.db", {"creator": connect})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


Method = TypeVar("Method", bound=Callable[..., Any])


def _told_of(method: Method) -> Method:
    """Let a method of a study tell of its database in one line."""

    @functools.wraps(method)
    def with_words(study: Study, *arguments: Any) -> Any:
        with _told(study.file):
            return method(study, *arguments)

    return cast(Method, with_words)


def _create(plan: SweepPlan, storage: Any) -> None:
    """Make the study, named as the sweep, with what it is for."""
    import optuna

    search = plan.search
    assert search is not None
    figure = _figure(plan)
    direction = "maximize" if search.options.optimize == "accuracy" else "minimize"
    study = optuna.create_study(storage=storage, study_name=plan.sweep_id, direction=direction)
    study.set_metric_names([figure])
    chosen_on = f", chosen on the {plan.select_on} set" if figure.endswith("_accuracy") else ""
    facts = {
        "objective": f"{figure}{chosen_on}",
        "mnistbench_version": mnistbench.__version__,
        "config": plan.base.fields.get("name"),
        **{name: value for name, value in search.as_written().items() if name != "grid"},
    }
    for name, value in facts.items():
        study.set_user_attr(name, value)


def _figure(plan: SweepPlan) -> str:
    assert plan.search is not None
    target = plan.ends[0].training.target_accuracy
    return figure_of(plan.search, plan.select_on, target is not None)


class Study:
    """Chooses points, says whether a training goes on, and keeps what came of it."""

    def __init__(self, plan: SweepPlan, folder: Path, storage: Any) -> None:
        """`storage` holds the study; `plan` is a search's."""
        import optuna

        assert plan.search is not None
        self.file = folder / STUDY
        self._plan, self._search, self._folder = plan, plan.search, folder
        self._optuna = optuna
        self._figure = _figure(plan)
        self._grid = plan.search.space.grid
        self._distributions = {
            field: distribution_of(values) for field, values in self._grid.items()
        }
        epochs = max(config.training.epochs for config in plan.ends)
        pruner = pruners(epochs)[plan.search.options.pruner]()
        self._study = optuna.load_study(storage=storage, study_name=plan.sweep_id, pruner=pruner)
        self._trial: Any = None
        self._reported: set[int] = set()

    @property
    def prunes(self) -> bool:
        """Return whether trainings may be ended early."""
        return self._search.options.pruner != "none"

    @_told_of
    def mend(self, points: Sequence[Point]) -> None:
        """Make the study what the points say: nothing runs, and all that are done are in it."""
        states = self._optuna.trial.TrialState
        told = set()
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == states.RUNNING:  # its process ended before it
                self._study.tell(trial.number, state=states.FAIL)
            elif trial.state != states.FAIL or trial.user_attrs.get(_STATE) == FAILED:
                told.add(trial.user_attrs.get(_POINT))
        for point in points:
            if point.is_done(self._plan.repeats) and point.number not in told:
                self._add(point)

    @_told_of
    def choose(self, number: int, attempt: int) -> Settings:
        """Return the settings of the next point, by those before it; its trial has begun.

        The same trials before it, number and attempt give the same settings.
        """
        text = f"mnistbench search:{self._search.seed}:{number}:{attempt}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        inner = samplers(seed)[self._search.options.sampler]()
        self._study.sampler = rounding(inner, self._grid)
        self._ask()
        return {
            field: value_chosen(values, self._trial.params[field])
            for field, values in self._grid.items()
        }

    @_told_of
    def accept(self, number: int) -> None:
        """Take what was chosen for the point of this number."""
        self._trial.set_user_attr(_POINT, number)

    @_told_of
    def refuse(self, reason: str) -> None:
        """End the trial that has begun as one that cannot be trained."""
        self._trial.set_user_attr("reason", reason)
        self._study.tell(self._trial, state=self._optuna.trial.TrialState.FAIL)
        self._trial = None

    @_told_of
    def same_as(self, point: Point) -> None:
        """End the trial that has begun with what an earlier point of the same training gave."""
        self._trial.set_user_attr("same_as_point", point.number)
        self._tell(point)

    @_told_of
    def begin(self, number: int, settings: Settings) -> None:
        """Begin the trial of a point that is chosen already, if it has not begun here."""
        if self._trial is not None and self._trial.user_attrs.get(_POINT) == number:
            return
        waiting = self._optuna.trial.TrialState.WAITING
        trials = self._study.get_trials(deepcopy=False, states=(waiting,))
        if not any(trial.user_attrs.get(_POINT) == number for trial in trials):
            self._study.enqueue_trial(self._params(settings), user_attrs={_POINT: number})
        self._ask()

    @_told_of
    def answer(self, message: Message) -> GoOn | Prune | None:
        """Return whether the training of the trial that has begun goes on after an epoch."""
        if not isinstance(message, EpochLearnt):
            return None
        self._trial.report(message.accuracy, message.epoch)
        self._reported.add(message.epoch)
        return Prune(message.epoch) if self._trial.should_prune() else GoOn(message.epoch)

    @_told_of
    def tell(self, point: Point) -> None:
        """Take what came of the point whose trial has begun."""
        for name, value in self._facts(point).items():
            self._trial.set_user_attr(name, value)
        self._tell(point)

    def _ask(self) -> None:
        self._trial = self._study.ask(self._distributions)
        self._reported = set()

    def _tell(self, point: Point) -> None:
        for epoch, accuracy in self._epochs(point).items():
            if epoch not in self._reported:
                self._trial.report(accuracy, epoch)
        state, value = self._outcome(point)
        self._study.tell(self._trial, value, state=state)
        self._trial = None

    def _add(self, point: Point) -> None:
        """Add a trial that came to its end without the study."""
        state, value = self._outcome(point)
        epochs = self._epochs(point)
        if state == self._optuna.trial.TrialState.PRUNED and epochs:
            value = epochs[max(epochs)]
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state,
                value=value,
                params=self._params(self._plan.points[point.number - 1]),
                distributions=self._distributions,
                user_attrs=self._facts(point),
                intermediate_values=epochs,
            )
        )

    def _outcome(self, point: Point) -> tuple[Any, float | None]:
        states = self._optuna.trial.TrialState
        if point.is_pruned:
            return states.PRUNED, None
        value = value_of(point, self._figure)
        return (states.FAIL, None) if value is None else (states.COMPLETE, value)

    def _facts(self, point: Point) -> dict[str, Any]:
        """Return what points.csv says; of the test set nothing where the choice is not on it."""
        row = asdict(point_row(point, self._plan.repeats, self._plan.select_on == "test"))
        return {name: row[name] for name in _FACTS if row[name] is not None}

    def _epochs(self, point: Point) -> dict[int, float]:
        """Return the accuracy after each epoch of the first repeat, where there is a validation."""
        rows = read_table(self._folder / point.folder, METRICS, MetricRow)
        first = min((row.repeat for row in rows), default=0)
        return {
            int(match[1]): float(str(row.value))
            for row in rows
            if row.repeat == first and (match := _EPOCH.fullmatch(row.metric))
        }

    def _params(self, settings: Settings) -> dict[str, Any]:
        return {
            field: settings[field] if isinstance(values, Range) else choice_of(settings[field])
            for field, values in self._grid.items()
        }
