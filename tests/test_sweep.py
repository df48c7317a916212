"""Sweeps by a stand-in for the processes: order, files, death, going on, time, what they show."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import failure_line, rows, run_here
from fake_sweeps import Fake, by_work, plan_of, quiet, terms

from mnistbench.errors import InputError
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import PHASES, PhaseRecord
from mnistbench.session.events import News, TurnEnded
from mnistbench.session.records import RepeatRecord
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.rounds import Rounds
from mnistbench.session.sweep.sweep import (
    SweepResult,
    look_at_sweep,
    resume_sweep,
    start_sweep,
)

GRID = ("training.batch_size=4,8,16", "training.epochs=1,2")


def measured_repeats(folder: Path) -> Counter[tuple[str, int]]:
    """Return how often each point's repeat is there; fail for one that is not whole."""
    counts: Counter[tuple[str, int]] = Counter()
    for timings in folder.glob("*/timings.csv"):
        phases = Counter((row["repeat"], row["phase"]) for row in rows(timings))
        metrics = Counter(
            (row["repeat"], row["metric"]) for row in rows(timings.with_name("metrics.csv"))
        )
        assert set(phases.values()) == set(metrics.values()) == {1}, timings
        repeats = {int(repeat) for repeat, _ in phases}
        assert {phase for _, phase in phases} == set(PHASES)
        assert len(phases) == len(repeats) * len(PHASES)
        assert {int(repeat) for repeat, _ in metrics} == repeats
        counts.update((timings.parent.name, repeat) for repeat in repeats)
    return counts


def each_once(plan: SweepPlan) -> Counter[tuple[str, int]]:
    return Counter(
        (plan.run_id(index), repeat)
        for index in range(len(plan.points))
        for repeat in range(1, plan.repeats + 1)
    )


def swept(tmp_path: Path, fake: Fake | None = None, **plan: object) -> tuple[SweepResult, Fake]:
    fake = fake or Fake()
    grid = plan.pop("grid", GRID)
    result = start_sweep(plan_of(*grid, **plan), tmp_path, terms(fake), quiet)  # type: ignore
    return result, fake


def test_each_round_measures_every_point_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    result, fake = swept(tmp_path, repeats=4)
    names = [config.name for config in result.plan.configs]
    rounds = [[name for name, _ in fake.measured[at : at + 6]] for at in range(0, 24, 6)]
    assert all(sorted(of_round) == sorted(names) for of_round in rounds)
    assert len(set(map(tuple, rounds))) > 1
    seeds = [{seed for _, seed in fake.measured[at : at + 6]} for at in range(0, 24, 6)]
    assert [len(of_round) for of_round in seeds] == [1, 1, 1, 1], "paired: one seed a round"
    again, other = swept(tmp_path / "again", repeats=4)
    assert other.measured == fake.measured
    assert measured_repeats(result.folder) == each_once(result.plan)
    assert result.ending == again.ending == "finished"


def test_a_sweep_leaves_a_run_a_point_and_an_index(tmp_path: Path) -> None:
    result, _ = swept(tmp_path, repeats=2, tag="mine")
    index = rows(result.folder / "points.csv")
    assert [row["settings"] for row in index][:2] == [
        "training.batch_size=4 training.epochs=1", "training.batch_size=4 training.epochs=2",
    ]  # fmt: skip
    assert {(row["state"], row["repeats"], row["failed"]) for row in index} == {
        ("measured", "2", "0")
    }
    for row in index:
        folder = result.folder / row["folder"]
        train = [r for r in rows(folder / "timings.csv") if r["phase"] == "train"]
        seconds = sorted(float(each["seconds"]) for each in train)
        assert float(row["train_seconds"]) == pytest.approx(sum(seconds) / 2)
        assert {each["tag"] for each in train} == {"mine"}
        names = {"config.yaml", "timings.csv", "metrics.csv", "machine.csv", "log.txt"}
        assert names | {"cloudmesh.log"} == {file.name for file in folder.iterdir()}
        facts = {r["attribute"]: r["value"] for r in rows(folder / "machine.csv")}
        assert (facts["session"], facts["repeats_planned"]) == (result.folder.name, "2")
    assert len({row["folder"] for row in index}) == 6


def test_a_run_of_a_point_is_as_wide_as_two_runs_that_compare_can_set_side_by_side(
    tmp_path: Path,
) -> None:
    first, _ = swept(tmp_path / "a", repeats=5)
    second, _ = swept(tmp_path / "b", repeats=5)
    done = run_here("compare", str(first.folder), str(second.folder), "--format", "csv")
    verdicts = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["config"] for row in verdicts} == {config.name for config in first.plan.configs}


def test_what_is_shown_is_right(tmp_path: Path) -> None:
    result, _ = swept(tmp_path, repeats=3)
    best, fastest = result.findings.choices
    assert best.point.settings == "training.batch_size=4 training.epochs=2"
    assert fastest.point.settings == "training.batch_size=16 training.epochs=1"
    assert result.findings.front == {2, 5, 6} | result.findings.front
    found = {
        (row["finding"], row["setting"], row["value"]): row
        for row in rows(result.folder / "sweep.csv")
    }
    half = found["train_ratio", "training.batch_size", "8"]
    assert (half["base"], half["n"]) == ("4", "6"), "three rounds, both numbers of epochs"
    assert float(half["low"]) < 0.5 < float(half["high"])
    assert float(half["estimate"]) == pytest.approx(0.5, rel=0.02)
    double = found["train_ratio", "training.epochs", "2"]
    assert float(double["estimate"]) == pytest.approx(2, rel=0.02)
    assert double["n"] == "9"
    learnt = found["accuracy_difference", "training.epochs", "2"]
    assert float(learnt["low"]) < 0.01 < float(learnt["high"])
    row = found["best_accuracy", "training.batch_size=4 training.epochs=2", ""]
    assert row["remark"] == "best of 6, chosen on the test set"
    assert row["point"] == "2"


def test_one_at_a_time_is_told_against_the_config_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "points.yaml"
    file.write_text("- {}\n- {training.batch_size: 8}\n- {training.epochs: 2}\n")
    from mnistbench.config.loading import read_fields
    from mnistbench.config.sweep_space import space_of_list
    from mnistbench.session.sweep.plan import make_plan

    plan = make_plan(read_fields("mnist-dense"), space_of_list(file, None), 3)
    result = start_sweep(plan, tmp_path, terms(Fake()), quiet)
    effects = {(e.finding, e.field, e.base, e.value): e for e in result.findings.effects}
    assert set(effects) == {
        (finding, *values)
        for finding in ("train_ratio", "accuracy_difference")
        for values in (("training.batch_size", "4", "8"), ("training.epochs", "1", "2"))
    }
    assert {effect.pairs for effect in effects.values()} == {3}


def test_points_that_differ_in_more_than_one_setting_show_no_effect(tmp_path: Path) -> None:
    plan = plan_of("training.learning_rate=1e-4..1e-1:log", "training.batch_size=16..512", drawn=8)
    result = start_sweep(plan, tmp_path, terms(Fake()), quiet)
    assert result.findings.effects == ()
    printed = run_here("sweep", "status", str(result.folder)).stdout
    assert (
        "No two points that were measured differ in one of these alone: training.learning_rate, "
        "training.batch_size" in printed
    )


def test_the_test_set_is_for_the_chosen_point_alone_where_validation_chooses(
    tmp_path: Path,
) -> None:
    result, _ = swept(tmp_path, repeats=2, select_on="validation")
    assert {config.training.validation for config in result.plan.configs} == {0.1}
    seen = {
        row["point"]: row["test_accuracy"]
        for row in rows(result.folder / "points.csv")
        if row["test_accuracy"]
    }
    assert list(seen) == ["2"]
    assert all(row["validation_accuracy"] for row in rows(result.folder / "points.csv"))
    printed = run_here("sweep", "status", str(result.folder)).stdout
    assert "chosen on the validation set; its test accuracy, the only one seen: 0.8" in printed
    as_json = json.loads(run_here("sweep", "status", str(result.folder), "--format", "json").stdout)
    assert sum(point["test_accuracy"] is not None for point in as_json["points"]) == 1
    half_way = plan_of(*GRID, select_on="validation", overrides=["training.validation=0.25"])
    assert {config.training.validation for config in half_way.configs} == {0.25}


def test_a_failed_repeat_is_kept_and_the_others_go_on(tmp_path: Path) -> None:
    result, _ = swept(tmp_path, Fake(fails="batch_size-8"), repeats=2)
    index = rows(result.folder / "points.csv")
    assert Counter(row["state"] for row in index) == {"measured": 4, "failed": 2}
    failed = [row for row in index if row["state"] == "failed"]
    assert {(row["repeats"], row["failed"], row["train_seconds"]) for row in failed} == {
        ("2", "2", "")
    }
    again = Fake()
    resumed = resume_sweep(result.folder, terms(again), quiet)
    assert again.measured == [], "a failure is a result"
    assert [point.number for point in resumed.failed] == [3, 4]
    printed = run_here("sweep", "status", str(result.folder)).stdout
    assert "A repeat did not finish of points 3, 4: see log.txt of its folder" in printed


def test_going_on_measures_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    result, fake = swept(tmp_path, repeats=2)
    whole = list(fake.measured)
    for gone in sorted(result.folder.glob("*/"))[:2]:
        shutil.rmtree(gone)
    before = look_at_sweep(result.folder)
    assert [point.number for point in before.missing] == [1, 2]
    again = Fake()
    resumed = resume_sweep(result.folder, terms(again), quiet)
    assert Counter(again.measured) == Counter(
        (name, seed) for name, seed in whole if name[:14] in ("mnist-dense-1-", "mnist-dense-2-")
    )
    assert measured_repeats(result.folder) == each_once(result.plan)
    assert resumed.ending == "finished"


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="it is killed by a signal")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_twenty_drawn_moments_every_repeat_is_there_once(tmp_path: Path) -> None:
    plan = plan_of("training.batch_size=4,8,16,32,64", "training.epochs=1,2,3,4", repeats=3)
    folder, draw, kills = tmp_path / plan.sweep_id, random.Random(12), 0
    while kills < 20:
        process = os.fork()
        if process == 0:
            try:
                if folder.is_dir():
                    resume_sweep(folder, terms(Fake()), quiet)
                else:
                    start_sweep(plan, tmp_path, terms(Fake()), quiet)
            finally:
                os._exit(0)
        time.sleep(draw.uniform(0.05, 1.2))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        kills += os.WIFSIGNALED(status)
        if not (folder / "sweep.yaml").is_file():  # killed before there was a plan
            shutil.rmtree(folder, ignore_errors=True)
        elif look_at_sweep(folder).missing == []:  # at its end: something is left to do again
            for index in draw.sample(range(20), 8):
                shutil.rmtree(folder / plan.run_id(index))
    result = resume_sweep(folder, terms(Fake()), quiet)
    assert measured_repeats(folder) == each_once(plan)
    assert {row["state"] for row in rows(folder / "points.csv")} == {"measured"}
    assert result.missing == []
    assert len(list(folder.glob("*/cloudmesh.log"))) == 20


@pytest.mark.parametrize("table", ["timings.csv", "metrics.csv"])
def test_a_table_cut_anywhere_is_mended_and_its_repeat_measured_anew(
    table: str, tmp_path: Path
) -> None:
    result, _ = swept(tmp_path, repeats=2, grid=("training.epochs=1,2",))
    draw = random.Random(table)
    folder = result.folder / result.plan.run_id(1)
    header = len((folder / table).read_bytes().partition(b"\n")[0]) + 1
    for _ in range(12):
        content = (folder / table).read_bytes()
        (folder / table).write_bytes(content[: draw.randrange(header, len(content))])
        heard: list[object] = []
        resumed = resume_sweep(result.folder, terms(Fake()), heard.append)
        texts = [event.text for event in heard if isinstance(event, News)]
        assert (
            any(
                text.startswith("point 2: repeat") and text.endswith("half written: measured anew")
                for text in texts
            )
            or "point 2 had no whole repeat: it begins anew" in texts
        )
        assert measured_repeats(result.folder) == each_once(result.plan)
        assert resumed.missing == []


def test_a_damaged_table_is_named_with_what_to_do(tmp_path: Path) -> None:
    result, _ = swept(tmp_path, grid=("training.epochs=1,2",))
    folder = result.folder / result.plan.run_id(0)
    with (folder / "timings.csv").open("a") as table:
        table.write("a,b\r\n")
    with pytest.raises(InputError, match="holds a table that is damaged; delete it"):
        look_at_sweep(result.folder)
    shutil.rmtree(folder)
    assert resume_sweep(result.folder, terms(Fake()), quiet).missing == []


def test_a_second_one_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    result, _ = swept(tmp_path)
    with lock.held(result.folder):
        with pytest.raises(InputError, match="a sweep is running in it; wait for it, or end it"):
            resume_sweep(result.folder, terms(Fake()), quiet)
        assert look_at_sweep(result.folder).ending == "running"
        stopped = run_here("sweep", "stop", str(result.folder))
        assert stopped.returncode == 0
        assert lock.is_asked_to_stop(result.folder)
    refused = run_here("sweep", "stop", str(result.folder))
    assert refused.returncode == 2
    assert "no sweep is running in it; to go on with it: mnistbench sweep --resume" in (
        failure_line(refused)
    )


def test_stop_ends_after_the_present_repeat_and_the_wish_is_forgotten(tmp_path: Path) -> None:
    plan = plan_of(*GRID)

    def listen(event: object) -> None:
        if isinstance(event, TurnEnded) and event.record.turn.order == 3:
            lock.ask_to_stop(tmp_path / plan.sweep_id)

    result = start_sweep(plan, tmp_path, terms(Fake()), listen)
    assert (result.ending, result.ended) == ("stopped", 3)
    printed = run_here("sweep", "status", str(result.folder)).stdout
    assert "3 of 6 repeats have ended; missing are repeats of points" in printed
    assert f"To go on: mnistbench sweep --resume {result.folder}" in printed
    assert resume_sweep(result.folder, terms(Fake()), quiet).ended == 6


class Clock:
    """A clock that repeats move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def rounds_of(
    repeats: int, took: list[float], deadline: float | None, known: dict[int, float] | None = None
) -> tuple[list[tuple[int, int]], Rounds, list[str]]:
    """Return the places and repeats that were measured before the deadline, and what was told."""
    clock, heard = Clock(), []
    plan = plan_of(f"training.epochs={','.join(str(1 + n) for n in range(len(took)))}")
    schedule = Rounds(
        plan.configs, repeats, set(), known or {}, deadline, lambda: False,
        lambda news: heard.append(news.text), clock,
    )  # fmt: skip
    turns = []
    while turn := schedule.next_turn():
        clock.now += took[turn.config_index]
        turns.append((turn.repeat, turn.config_index))
        phases = (PhaseRecord("train", 1.0, 1.0, "", "ok"),)
        schedule.ended(RepeatRecord(turn, phases, (), "ok"))
    return turns, schedule, heard


def test_no_round_begins_that_would_end_too_late() -> None:
    turns, schedule, heard = rounds_of(5, [1.0, 2.0, 3.0], 20.0)
    assert Counter(repeat for repeat, _ in turns) == {1: 3, 2: 3, 3: 3}
    assert schedule.ending == "time-is-up"
    assert heard == ["by what was measured it will take about 24 s more"]


def test_a_first_round_ends_with_whole_points() -> None:
    turns, schedule, _ = rounds_of(2, [4.0, 4.0, 4.0], 9.0)
    assert len(turns) == 2
    assert schedule.ending == "time-is-up"


def test_what_is_known_of_before_decides_on_the_first_round_too() -> None:
    turns, schedule, heard = rounds_of(2, [4.0, 4.0, 4.0], 9.0, {0: 4.0, 1: 4.0, 2: 4.0})
    assert (turns, schedule.ending) == ([], "time-is-up")
    assert heard == []


def test_without_a_deadline_all_is_measured() -> None:
    turns, schedule, _ = rounds_of(3, [1.0, 2.0], None)
    assert (len(turns), schedule.ending) == (6, "finished")


def test_time_that_was_up_at_once_leaves_nothing(tmp_path: Path) -> None:
    result = start_sweep(plan_of(*GRID), tmp_path, terms(Fake(), max_seconds=1e-9), quiet)
    assert (result.ending, result.ended) == ("time-is-up", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("points", [200, pytest.param(400, marks=pytest.mark.long)])
def test_the_index_costs_as_much_for_each_of_many_points_as_for_few(
    points: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write_table = RunFolder.write_table

    def count(self: RunFolder, table: str, listed: list[object]) -> None:
        if table == "points.csv":
            written.append(len(listed))
        write_table(self, table, listed)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "write_table", count)
    values = ",".join(str(2**15 + number) for number in range(points))
    result, _ = swept(tmp_path, grid=(f"training.batch_size={values}",))
    assert result.ended == points
    assert sum(written) <= 103 * points


def test_accuracies_equal_in_every_pair_have_no_interval(tmp_path: Path) -> None:
    def equal(config: object, noise: random.Random) -> tuple[float, float]:
        return by_work(config, noise)[0], 0.5  # type: ignore[arg-type]

    result, _ = swept(tmp_path, Fake(equal), repeats=3)
    differences = [e for e in result.findings.effects if e.finding == "accuracy_difference"]
    assert {(e.estimate, e.low, e.high) for e in differences} == {(0.0, None, None)}
    assert result.findings.front == {5}, "of equal accuracy the fastest alone"


@pytest.mark.parametrize("name", ["room", "config.yaml", "timings.csv", "metrics.csv", "log.txt"])
def test_a_point_that_was_about_to_begin_leaves_nothing_half_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while its folder was made left a timings.csv without a metrics.csv."""
    second = "-2-"

    def interrupting(method: str, is_it: Callable[..., bool]) -> None:
        called = getattr(RunFolder, method)

        def interrupted(self: RunFolder, *arguments: object) -> None:
            called(self, *arguments)
            if second in self.path.name and is_it(*arguments):
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(RunFolder, method, interrupted)

    interrupting("_check_room", lambda: name == "room")
    interrupting("write", lambda file, text: file == name)
    interrupting("log", lambda line: name == "log.txt")
    grid = ("training.batch_size=4,8,16",)
    result = start_sweep(plan_of(*grid), tmp_path, terms(Fake()), quiet)
    assert result.ending == "interrupted"
    assert len(measured_repeats(result.folder)) == result.ended
    made = [folder for folder in result.folder.iterdir() if folder.is_dir()]
    assert len(made) == result.ended
    assert not any(second in folder.name for folder in made)


def test_a_repeat_on_the_disk_is_counted_whenever_the_interrupt_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came between the rows and the count, and `nothing was written` was said of a kept one."""
    ended = Rounds.ended

    def interrupted(rounds: Rounds, record: RepeatRecord) -> None:
        signal.raise_signal(signal.SIGINT)
        ended(rounds, record)

    monkeypatch.setattr(Rounds, "ended", interrupted)
    result = start_sweep(plan_of(*GRID), tmp_path, terms(Fake()), quiet)
    assert result.ending == "interrupted"
    assert result.ended == sum(measured_repeats(result.folder).values()) == 1
