"""MLPerf's `:::MLLOG` lines: a file for each repeat, laid out as a submission's results are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mnistbench.errors import InputError
from mnistbench.report.exporters.folders import new_folder
from mnistbench.report.exporters.measured import Measured, MeasuredRun, MetricValue, Time
from mnistbench.report.exporters.series import file_names, groups
from mnistbench.results.phases import TEST, TRAIN

POINT, START, END = "POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"


def write_folder(measured: Measured, folder: Path) -> None:
    """Write the lines of each repeat that trained to its end.

    Raises InputError for a run of which nobody knows when it was.
    """
    found = groups(measured.runs)
    with new_folder(folder) as partial:
        for group, name in zip(found, file_names(found), strict=True):
            (partial / name).mkdir()
            repeats = [(run, repeat) for run in group.runs for repeat in run.times.get(TRAIN, {})]
            for number, (run, repeat) in enumerate(repeats):
                lines = "".join(f"{line}\n" for line in _lines(run, repeat))
                (partial / name / f"result_{number}.txt").write_text(lines, encoding="utf-8")


def _lines(run: MeasuredRun, repeat: int) -> Iterator[str]:
    """Give what is known of a repeat in the order it happened; the unknown has no line."""
    train = run.times[TRAIN][repeat]
    begun, ended = _ends(run, train)
    of_repeat = [repeats[repeat] for repeats in run.times.values() if repeat in repeats]
    init = min(time.start or begun for time in of_repeat)
    for key, value in _facts(run, repeat, train):
        yield _line(init, POINT, key, value)
    yield _line(init, START, "init_start", None)
    yield _line(begun, END, "init_stop", None)
    yield _line(begun, START, "run_start", None)
    # Where it went on until an accuracy, it ended after the epoch that reached it.
    reached = run.metrics.get("epochs_to_accuracy", {}).get(repeat)
    epochs = _count(reached) or _whole(run.facts.get("epochs", ""))
    counted = {} if epochs is None else {"epoch_count": epochs}
    yield _line(begun, START, "block_start", None, first_epoch_num=1, **counted)
    yield _line(ended, END, "block_stop", None, first_epoch_num=1, **counted)
    test = run.times.get(TEST, {}).get(repeat)
    if test is not None:
        after = {} if epochs is None else {"epoch_num": epochs}
        start, ended = _ends(run, test)
        yield _line(start, START, "eval_start", None, **after)
        accuracy = run.metrics.get("test_accuracy", {}).get(repeat)
        if accuracy is not None:
            yield _line(ended, POINT, "eval_accuracy", accuracy.value, **after)
        yield _line(ended, END, "eval_stop", None, **after)
    yield _line(ended, END, "run_stop", None, status="success")


def _ends(run: MeasuredRun, time: Time) -> tuple[datetime, datetime]:
    if time.start is None:
        raise InputError(
            "does not tell when its phases began (start_utc), and each line of MLPerf's log does",
            source=f"run {run.run_id!r}",
            hint="leave it out",
        )
    return time.start, time.start + timedelta(seconds=time.seconds)


def _facts(run: MeasuredRun, repeat: int, train: Time) -> Iterator[tuple[str, Any]]:
    samples = {
        name: run.metrics[name][repeat]
        for name in ("train_samples", "test_samples")
        if repeat in run.metrics.get(name, {})
    }
    values = {
        "submission_benchmark": run.config,
        "submission_division": "open",
        "submission_platform": run.node or None,
        "seed": train.seed,
        "global_batch_size": _whole(run.facts.get("batch_size", "")),
        "train_samples": _count(samples.get("train_samples")),
        "eval_samples": _count(samples.get("test_samples")),
    }
    return ((key, value) for key, value in values.items() if value is not None)


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None


def _count(found: MetricValue | None) -> int | None:
    return None if found is None else int(found.value)


def _line(moment: datetime, kind: str, key: str, value: Any, **metadata: Any) -> str:
    content = {
        "namespace": "",
        "time_ms": int(moment.timestamp() * 1000),
        "event_type": kind,
        "key": key,
        "value": value,
        # The checker asks for them: a line of this file stands for a line of a program.
        "metadata": {"file": "mnistbench", "lineno": 0, **metadata},
    }
    return f":::MLLOG {json.dumps(content, allow_nan=False)}"
