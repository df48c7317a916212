"""A repeat by a stand-in for the processes: what becomes of each end, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mnistbench.config.loading import load_config
from mnistbench.errors import InputError
from mnistbench.measuring.executor import Executor, TaskFailure
from mnistbench.measuring.jobs import RepeatJob
from mnistbench.measuring.tasks import repeat
from mnistbench.results.phases import PhaseRecord, PhaseStarted
from mnistbench.session.files import create_runs
from mnistbench.session.records import Measurement, Run, Turn
from mnistbench.session.repeat import measure

TOLD = (
    PhaseStarted("data-load"),
    PhaseRecord("data-load", 0.1, 0.1, "2026-11-25T00:00:00Z", "ok"),
    PhaseStarted("train"),
)


class Fake:
    """Tells some messages, then ends as it is made to."""

    forks = True
    startup_text = ""

    def __init__(self, end: Exception) -> None:
        self._end = end
        self.asked: list[object] = []

    def run(
        self, task: object, argument: object, log: Path, tell: Callable[[Any], None],
        stops_on_interrupt: bool = False, answer: object = None,
    ) -> Any:  # fmt: skip
        self.asked.append(argument)
        for message in TOLD:
            tell(message)
        raise self._end

    def cpu_seconds(self) -> float | None:
        return None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (made,) = create_runs([load_config("mnist-dense")], tmp_path, "", {})
    return made


def ended(run: Run, executor: Executor, heard: list[object]) -> Any:
    job = RepeatJob(run.config, "cpu", 7)
    return measure(Turn(0, 1, 7, 1), run, executor, Measurement(repeat, job), heard.append)


@pytest.mark.parametrize(
    ("end", "status", "wrong_input"),
    [
        (TaskFailure("killed:SIGKILL", "the process was killed"), "killed:SIGKILL", False),
        (TaskFailure("failed", "ZeroDivisionError: no"), "failed", False),
        (InputError("is gone", source="own.npz"), "failed", True),
    ],
)
def test_a_repeat_that_breaks_off_is_a_record(
    end: Exception, status: str, wrong_input: bool, run: Run
) -> None:
    executor, heard = Fake(end), []
    record = ended(run, executor, heard)
    assert heard == list(TOLD)
    assert [job.seed for job in executor.asked] == [7]  # type: ignore[attr-defined]
    assert (record.status, record.wrong_input) == (status, wrong_input)
    statuses = {phase.phase: phase.status for phase in record.phases}
    assert statuses["data-load"] == "ok"
    assert statuses["train"] == statuses["total"] == status
    assert statuses["test"] == "not-run"
    assert unknown(record.metrics, "other_cpu_seconds"), "the fake tells no CPU time"


def unknown(metrics: Sequence[Any], name: str) -> bool:
    return [metric.value for metric in metrics if metric.name == name] == [None]
