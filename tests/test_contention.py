"""A benchmark beside a busy process is marked; what the mark changes, with and without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import FEW, Session, benchmark, rows

from mnistbench.analysis import drift
from mnistbench.config.loading import load_config
from mnistbench.measuring.executor import StartMethod
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.report.summary import (
    contention_text,
    drift_text,
    phase_summaries,
    uncontended_summaries,
)
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import PHASES, PhaseRecord
from mnistbench.results.rows import Metric
from mnistbench.session.records import RepeatRecord, Run, Turn
from mnistbench.session.schedule import FixedRepeats


def working(seconds: float, tell: Callable[[object], None]) -> float:
    while time.process_time() < seconds:
        pass
    return time.process_time()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_the_time_of_processes_that_have_ended_is_known(
    method: StartMethod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workers = Workers(measuring_environment("cpu"), method)
    workers.run(working, 0.0, tmp_path / "log", print)
    before = workers.cpu_seconds()
    worked = workers.run(working, 0.5, tmp_path / "log", print)
    after = workers.cpu_seconds()
    assert before is not None
    assert after is not None
    # Beside the task's own there is the making and the ending of its process.
    assert worked - 0.05 < after - before < worked + 2


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Five repeats while every core is kept busy by somebody else, and one allowed in place."""
    # Polite ones, which take the time that is left: TensorFlow must still be loaded soon.
    spin = [sys.executable, "-c", "import os\nos.nice(5)\nwhile True: pass"]
    busy = [subprocess.Popen(spin) for _ in os.sched_getaffinity(0)]
    try:
        yield benchmark(
            tmp_path_factory.mktemp("disturbed"), "mnist-dense", *FEW,
            "--repeats", "5", "--rerun-contended", "1", "--no-calibrate",
        )  # fmt: skip
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_a_repeat_beside_a_busy_process_is_marked(disturbed: Session) -> None:
    assert disturbed.done.returncode == 0, disturbed.done.stderr
    assert disturbed.metric("mnist-dense", "contended") == ["true"] * 6
    for share in map(float, disturbed.metric("mnist-dense", "other_cpu_share")):
        assert 0.10 < share < 1
    for words in disturbed.metric("mnist-dense", "contention"):
        assert re.search(r"other processes used \d+% of the CPU time", words)


def test_it_is_measured_again_and_no_row_is_lost(disturbed: Session) -> None:
    table = rows(disturbed.folder("mnist-dense") / "timings.csv")
    trained = [row for row in table if row["phase"] == "train"]
    assert [row["repeat"] for row in trained] == list("123456")
    assert {row["status"] for row in trained} == {"ok"}
    assert disturbed.metric("mnist-dense", "order") == list("123456")
    assert len({row["seed"] for row in trained}) == 6


def test_the_terminal_says_so(disturbed: Session) -> None:
    output = " ".join(disturbed.done.stdout.split())
    assert re.search(
        r"6 of 6 repeats were contended: .*other processes used up to \d+% of the CPU time", output
    )
    lines = disturbed.done.stderr.strip().splitlines()
    assert sum(line.endswith("s left") and ", contended," in line for line in lines) == 6
    assert any(line.startswith("[5/5] ") for line in lines)
    assert any(line.startswith("[6/6] ") for line in lines)


def test_the_trend_of_six_repeats_is_written_down(disturbed: Session) -> None:
    folder = disturbed.folder("mnist-dense")
    facts = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
    trained = [row for row in rows(folder / "timings.csv") if row["phase"] == "train"]
    expected = drift.trend(range(6), [float(row["seconds"]) for row in trained])
    assert expected is not None
    assert facts["drift_train_repeats"] == "6"
    for name in ("ratio", "low", "high", "p_value"):
        told = float(facts[f"drift_train_{name}"])
        assert told == pytest.approx(getattr(expected, name)), name
    assert ("Drift: train got" in disturbed.done.stdout) == expected.is_clear


def test_its_own_time_is_not_taken_for_that_of_others(disturbed: Session) -> None:
    # The cores are never idle here, so that time counted twice would not fit on them.
    names = ("cpu_user_seconds", "cpu_system_seconds", "other_cpu_seconds", "repeat_wall_seconds")
    columns = [map(float, disturbed.metric("mnist-dense", name)) for name in names]
    for user, system, others, wall in zip(*columns, strict=True):
        assert user + system + others <= 1.03 * wall * len(os.sched_getaffinity(0)) + 0.1


def test_what_the_kernel_did_to_the_process(disturbed: Session) -> None:
    for name in ("context_switches_voluntary", "context_switches_involuntary", "page_faults_minor"):
        assert all(int(value) > 0 for value in disturbed.metric("mnist-dense", name)), name
    assert all(int(v) >= 0 for v in disturbed.metric("mnist-dense", "page_faults_major"))
    for own, total in zip(
        disturbed.metric("mnist-dense", "cpu_user_seconds"),
        disturbed.metric("mnist-dense", "repeat_wall_seconds"),
        strict=True,
    ):
        assert float(own) < float(total) * (os.cpu_count() or 1)


def record(number: int, train_seconds: float, *, contended: bool | None = False) -> RepeatRecord:
    phases = tuple(PhaseRecord(name, train_seconds, None, "", "ok") for name in PHASES)
    share = 0.4 if contended else 0.01
    metrics = (Metric("contended", contended, ""), Metric("other_cpu_share", share, "1"))
    return RepeatRecord(Turn(0, number, 1, number), phases, metrics, "ok")


def run_of(*records: RepeatRecord, folder: Path = Path("none")) -> Run:
    identity = SimpleNamespace(digest="d", source="embedded", canonical=True)
    run = Run(load_config("mnist-dense"), "run", RunFolder(folder), identity)  # type: ignore[arg-type]
    run.repeats += records
    return run


def train_median(summaries: list[object]) -> float:
    return next(s.median_seconds for s in summaries if s.phase == "train")  # type: ignore[attr-defined]


def test_figures_with_and_without_are_both_told() -> None:
    run = run_of(record(1, 4.0), record(2, 8.0, contended=True), record(3, 4.2))
    assert train_median(phase_summaries(run)) == 4.2
    assert train_median(uncontended_summaries(run)) == pytest.approx(4.1)
    assert contention_text(run) == (
        "1 of 3 repeats was contended: other processes used 40% of the CPU time; "
        "train median without it 4.1 s (with it 4.2 s)"
    )


def test_several_configs_are_told_of_in_one_line() -> None:
    disturbed = run_of(record(1, 4.0), record(2, 8.0, contended=True), record(3, 4.2))
    quiet = run_of(record(1, 1.0), record(2, 1.0), record(3, 1.0))
    lost = run_of(record(1, 3.0, contended=True))
    assert contention_text(disturbed, quiet) == (
        "1 of 6 repeats was contended: other processes used 40% of the CPU time; "
        f"{disturbed.config.name} train median without it 4.1 s (with it 4.2 s)"
    )
    assert contention_text(lost, quiet) == (
        "1 of 4 repeats was contended: other processes used 40% of the CPU time; none is left to "
        "show the time without: measure again when the machine is quieter"
    )
    assert contention_text(quiet, quiet) == ""


def test_without_a_mark_nothing_is_said() -> None:
    assert contention_text(run_of(record(1, 4.0), record(2, 4.0, contended=None))) == ""
    assert drift_text(run_of(record(1, 4.0))) == ""


def test_a_clear_drift_is_told_with_its_size_and_a_remedy() -> None:
    run = run_of(record(1, 4.0))
    run.trend = drift.Trend(repeats=20, ratio=1.12, low=1.05, high=1.19, p_value=0.003)
    assert drift_text(run) == (
        "Drift: train got 1.12x slower from the first to the last of 20 repeats (1.05x to 1.19x "
        "slower, p = 0.003): heat, or a neighbour? compare it only with what the same call "
        "measures in turn: mnistbench benchmark A B"
    )
    run.trend = drift.Trend(repeats=20, ratio=0.8, low=0.7, high=0.9, p_value=0.003)
    assert drift_text(run).endswith("does the machine warm up? use --warmup")
    run.trend = drift.Trend(repeats=20, ratio=1.12, low=1.01, high=1.23, p_value=0.02)
    assert drift_text(run) == ""


def test_where_all_are_marked_no_other_figure_is_made_up() -> None:
    marks = [record(number, 4.0, contended=True) for number in (1, 2)]
    assert contention_text(run_of(*marks)) == (
        "2 of 2 repeats were contended: other processes used up to 40% of the CPU time; "
        "none is left to show the time without: measure again when the machine is quieter"
    )
    assert contention_text(run_of(marks[0])) == (
        "The repeat was contended: other processes used 40% of the CPU time: "
        "measure again when the machine is quieter"
    )


@pytest.mark.parametrize(
    ("allowed", "contended", "measured"),
    [
        (0, {1, 2}, 3),
        (5, set(), 3),
        (5, {2}, 4),
        (5, {1, 2, 4}, 6),  # one of those in place was contended too
        (2, {1, 2, 3}, 5),
        (2, {1, 2, 3, 4, 5}, 5),
    ],
)
def test_further_rounds_until_enough_were_undisturbed(
    allowed: int, contended: set[int], measured: int
) -> None:
    schedule = FixedRepeats([load_config("mnist-dense")] * 2, 3, 1, rerun_contended=allowed)
    turns: list[Turn] = []
    expected: list[int] = []
    while (turn := schedule.next_turn()) is not None:
        turns.append(turn)
        expected.append(schedule.expected_turns)
        # Of the second config nothing is contended: it is measured again as a partner.
        marked = turn.config_index == 0 and turn.repeat in {0, *contended}
        schedule.ended(replace(record(turn.repeat, 4.0, contended=marked), turn=turn))
    for index in (0, 1):
        own = [turn.repeat for turn in turns if turn.config_index == index]
        assert own == list(range(measured + 1))
    assert [turn.order for turn in turns] == list(range(1, 2 * (measured + 1) + 1))
    assert (expected[0], expected[-1]) == (8, len(turns))
