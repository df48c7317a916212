"""Progress: every event has its place, and the time left is told as people tell it."""

from __future__ import annotations

import io
import time
from typing import get_args

import pytest
from rich.console import Console

from mnistbench.measuring.jobs import (
    Downloading,
    EpochEnded,
    EpochLearnt,
    Message,
    StopRequested,
)
from mnistbench.measuring.partners import Ready
from mnistbench.report.progress import BarProgress, PlainProgress
from mnistbench.results.phases import PhaseRecord, PhaseStarted
from mnistbench.results.phrases import duration
from mnistbench.results.rows import HistoryRow, Metric
from mnistbench.session.events import Event, Gauging, News, TurnEnded, TurnStarted
from mnistbench.session.records import RepeatRecord, Turn

TURN = Turn(0, 1, 42, 1)
RECORD = RepeatRecord(
    TURN,
    (PhaseRecord("train", 1.5, 1.0, "", "ok"),),
    (Metric("test_accuracy", 0.9, "1"),),
    "ok",
)
EVENTS = (
    Downloading("CIFAR-10", 0, 170_000_000),
    PhaseStarted("train"),
    TurnStarted("mnist-dense", TURN, 121, 0, 5),
    PhaseRecord("train", 1.5, 1.0, "", "ok"),
    EpochEnded(1),
    EpochLearnt(1, 0.9),
    HistoryRow(1, 0.5, 0.8, None, None, 0.001, 2.0, 30.0),
    StopRequested(),
    TurnEnded("mnist-dense", RECORD, 1),
    Gauging("before"),
    Ready("train"),
    News("warning: hot"),
)
LINES = (
    "epoch 1: loss 0.5000, accuracy 0.8000, 2.0 s",
    "Stopping; what the finished epochs taught is kept. Ctrl-C again: stop at once.",
    "mnist-dense repeat 1: train 1.500 s, test accuracy 0.9000",
    "Measuring this machine's peak, before the repeats ...",
    "warning: hot",
)


def test_these_are_all_events_there_are() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert set(get_args(Message)) < set(get_args(Event))


def test_a_log_has_a_line_for_what_it_should_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((1000.0, 1030.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    output = io.StringIO()
    with PlainProgress(Console(file=output, width=200)) as progress:
        for event in EVENTS:
            progress(event)
    # 30 s a repeat, and 120 left: an hour.
    assert output.getvalue().splitlines() == [
        "Downloading CIFAR-10, 170 MB ...",
        *LINES[:2],
        f"[1/121] {LINES[2]}, about 60 min left",
        *LINES[3:],
    ]


def test_a_terminal_has_the_same_lines_above_its_bars() -> None:
    output = io.StringIO()
    with BarProgress(Console(file=output, width=200, force_terminal=True)) as progress:
        for event in EVENTS:
            progress(event)
    for line in LINES:
        assert line in output.getvalue()


def test_a_session_after_another_counts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `selfcheck` has one for each design."""
    seconds = iter((0.0, 10.0, 20.0, 500.0, 501.0, 502.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    output = io.StringIO()
    with PlainProgress(Console(file=output, width=200)) as progress:
        for done in (0, 1, 0, 1):
            progress(TurnStarted("mnist-dense", TURN, 2, done, 5))
            progress(TurnEnded("mnist-dense", RECORD, done + 1))
    assert [line.split()[0] for line in output.getvalue().splitlines()] == [
        "[1/2]",
        "[2/2]",
        "[1/2]",
        "[2/2]",
    ]
    assert [line.split("about ")[1] for line in output.getvalue().splitlines()] == [
        "10 s left",
        "0 s left",
        "1 s left",
        "0 s left",
    ]


def test_the_bar_of_a_session_after_another_begins_anew() -> None:
    output = io.StringIO()

    def drawn(progress: BarProgress) -> str:
        before = output.tell()
        progress._progress.refresh()  # else only twice a second
        return output.getvalue()[before:]

    with BarProgress(Console(file=output, width=200, force_terminal=True)) as progress:
        for done in (0, 1, 0):
            progress(TurnStarted("mnist-dense", TURN, 2, done, 5))
            assert f"{done}/2" in drawn(progress)
            progress(TurnEnded("mnist-dense", RECORD, done + 1))
            assert f"{done + 1}/2" in drawn(progress)


def test_an_event_that_nobody_knows_is_no_silence() -> None:
    for progress in (PlainProgress(Console()), BarProgress(Console())):
        with pytest.raises(AssertionError):
            progress("an event")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (5999, "100 min"),
        (6000, "1.7 h"),
        (172_799, "48.0 h"),
        (302_400, "3.5 days"),
    ],
)
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
