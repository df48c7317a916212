"""Runs in MLflow: a config is an experiment, a repeat a step, each run there once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mnistbench.errors import InputError, OutputError
from mnistbench.report.exporters.measured import Measured, MeasuredRun

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
RUN_ID = "mnistbench.run_id"
"""The tag by which a run is known when it is exported again."""
_AT_ONCE = {"tags": 100, "params": 100, "metrics": 1000}
"""What a server takes in one call."""
_LONGEST = 500
"""Letters of a tag or a parameter that every server takes."""


def write_runs(measured: Measured, uri: str) -> None:
    """Add the runs that a tracking server, or a database, does not have yet.

    Raises InputError if MLflow is not installed, and OutputError if it does not take them.
    """
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        hint = "pip install 'mnistbench[mlflow]'"
        raise InputError("is not installed", source="mlflow", hint=hint) from None
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of its tables
    try:
        client = MlflowClient(tracking_uri=uri)
        for run in measured.runs:
            experiment = _experiment(client, run.config or "mnistbench")
            if not _is_there(client, experiment, run):
                _add(client, experiment, run)
    except MlflowException as error:
        raise OutputError(f"--mlflow {uri}: {str(error).splitlines()[0]}") from None


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _is_there(client: MlflowClient, experiment: str, run: MeasuredRun) -> bool:
    quote = '"' if "'" in run.run_id else "'"
    same = f"tags.`{RUN_ID}` = {quote}{run.run_id}{quote}"
    return bool(client.search_runs([experiment], same, max_results=1))


def _add(client: MlflowClient, experiment: str, run: MeasuredRun) -> None:
    from mlflow.entities import Metric, Param, RunTag

    start = int(run.start.timestamp() * 1000) if run.start else None
    created = client.create_run(experiment, start_time=start, run_name=run.run_id)
    facts = {RUN_ID: run.run_id, "node": run.node, **run.facts}
    entries = {
        "tags": [RunTag(_name(name), value[:_LONGEST]) for name, value in facts.items()],
        "params": [Param(_name(name), value[:_LONGEST]) for name, value in run.settings.items()],
        "metrics": [Metric(*cells) for cells in _metrics(run, start or 0)],
    }
    for kind, listed in entries.items():
        for first in range(0, len(listed), _AT_ONCE[kind]):
            part = listed[first : first + _AT_ONCE[kind]]
            client.log_batch(created.info.run_id, **{kind: part})
    client.set_terminated(created.info.run_id, end_time=start)


def _metrics(run: MeasuredRun, start: int) -> Iterator[tuple[str, float, int, int]]:
    """Give name, value, time in ms and step of every time and figure."""
    for phase, times in run.times.items():
        for repeat, time in times.items():
            moment = int(time.start.timestamp() * 1000) if time.start else start
            yield _name(f"{phase}_seconds"), time.seconds, moment, repeat
    for name, values in run.metrics.items():
        for repeat, value in values.items():
            yield _name(name), value.value, start, repeat


def _name(text: str) -> str:
    """Return a name in the letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", text)
