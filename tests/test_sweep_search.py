"""`sweep --trials`: points chosen by Optuna, by a stand-in for the processes and by real ones."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import FEW, failure_line, rows, run_here
from fake_sweeps import Fake, quiet, search_of, terms
from test_sweep import each_once, measured_repeats

from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError, OutputError
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.jobs import GoOn, Message, Prune
from mnistbench.results.phases import TRAIN
from mnistbench.session.events import News, TurnEnded
from mnistbench.session.sweep import lock, search
from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.plan_file import read_plan
from mnistbench.session.sweep.sweep import (
    SweepResult,
    look_at_sweep,
    measure_point,
    resume_sweep,
    start_sweep,
)

optuna = pytest.importorskip("optuna", reason="needs the extra [search]")

RATE = "training.learning_rate=1e-4..1e-1:log"
SPACE = (RATE, "training.batch_size=16,64,256", "model.hidden_units=[32],[64, 32]")
BEST_RATE = 1e-2


def by_rate(config: RunConfig, noise: random.Random) -> tuple[float, float]:
    """Learns best at one rate, and is faster with larger batches."""
    rate = config.training.learning_rate
    assert rate is not None
    return 64 / config.training.batch_size, 0.95 - abs(math.log10(rate / BEST_RATE)) / 10


def searched(
    tmp_path: Path, *grids: str, fake: Fake | None = None, **more: Any
) -> tuple[SweepResult, Fake]:
    fake = fake or Fake(by_rate)
    plan = search_of(*(grids or SPACE), **more)
    return start_sweep(plan, tmp_path, terms(fake), quiet), fake


def trials_of(folder: Path) -> list[Any]:
    """Return the trials as any reader of Optuna's storage finds them."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    (study,) = optuna.study.get_all_study_summaries(storage)
    assert study.study_name == folder.name
    trials = optuna.load_study(study_name=folder.name, storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    return list(trials)


def told_of(folder: Path) -> Counter[int]:
    """Return how often each point's outcome is in the study; fail for a trial that still runs."""
    trials = trials_of(folder)
    assert not [trial for trial in trials if trial.state.name in ("RUNNING", "WAITING")]
    return Counter(
        trial.user_attrs["point"] for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")
    )


def by_point(folder: Path) -> dict[int, object]:
    """Return what the study says of each point."""
    return {
        trial.user_attrs["point"]: (
            trial.state, trial.value, trial.params, trial.intermediate_values,
        )
        for trial in trials_of(folder)
    }  # fmt: skip


def settings_of(folder: Path) -> list[str]:
    return [row["settings"] for row in rows(folder / "points.csv")]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_leaves_points_and_an_ordinary_study(sampler: str, tmp_path: Path) -> None:
    result, fake = searched(tmp_path, trials=14, sampler=sampler, repeats=2)
    assert result.ending == "finished"
    assert len(fake.measured) == 28
    assert measured_repeats(result.folder) == each_once(result.plan)
    index = rows(result.folder / "points.csv")
    assert {(row["state"], row["repeats"]) for row in index} == {("measured", "2")}
    trials = [trial for trial in trials_of(result.folder) if "point" in trial.user_attrs]
    assert [trial.user_attrs["point"] for trial in trials] == list(range(1, 15))
    for trial, row, point in zip(trials, index, result.plan.points, strict=True):
        assert trial.state.name == "COMPLETE"
        assert trial.value == float(row["validation_accuracy"])
        assert trial.params["training.learning_rate"] == point["training.learning_rate"]
        assert f"training.learning_rate={trial.params['training.learning_rate']}" in row["settings"]
        assert trial.params["model.hidden_units"] in ("[32]", "[64,32]")
        assert isinstance(point["model.hidden_units"], list)
        assert trial.user_attrs["folder"] == row["folder"]
        assert trial.user_attrs["train_seconds"] == float(row["train_seconds"])
        assert "test_accuracy" not in trial.user_attrs, "it is for the chosen point alone"
        assert list(trial.intermediate_values) == [1]
        assert len(f"{point['training.learning_rate']:g}") <= 9, "four figures"
    written = yaml.safe_load((result.folder / "sweep.yaml").read_text())
    assert written["search"] == {
        "trials": 14, "sampler": sampler, "pruner": "none", "optimize": "accuracy", "seed": 42,
        "grid": {
            "training.learning_rate": "0.0001..0.1:log", "training.batch_size": [16, 64, 256],
            "model.hidden_units": [[32], [64, 32]],
        },
    }  # fmt: skip
    assert written["points"] == [dict(point) for point in result.plan.points]
    printed = run_here("sweep", "status", str(result.folder)).stdout
    assert f"Each point was chosen by those before it: {sampler} for accuracy, seed 42" in printed
    assert "best of 14, chosen on the validation set; its test accuracy, the only one" in printed


def test_tpe_comes_nearer_than_its_first_draws(tmp_path: Path) -> None:
    result, _ = searched(tmp_path, RATE, trials=22)
    accuracies = [float(row["validation_accuracy"]) for row in rows(result.folder / "points.csv")]
    assert sum(accuracies[12:]) / 10 > sum(accuracies[:10]) / 10 + 0.02


def test_broken_off_it_chooses_what_an_unbroken_one_chooses(tmp_path: Path) -> None:
    whole, _ = searched(tmp_path / "whole", trials=14)
    plan = search_of(*SPACE, trials=14)

    def listen(event: object) -> None:
        if isinstance(event, TurnEnded) and event.record.turn.order in (4, 12):
            lock.ask_to_stop(tmp_path / plan.sweep_id)

    part = start_sweep(plan, tmp_path, terms(Fake(by_rate)), listen)
    assert (part.ending, part.ended) == ("stopped", 4)
    printed = run_here("sweep", "status", str(part.folder)).stdout
    assert "It is not running: 4 of 14 points are done" in printed
    assert "mnist-dense: 4 of 14 points x 1 repeat, medians" in printed
    assert resume_sweep(part.folder, terms(Fake(by_rate)), listen).ended == 12
    again = Fake(by_rate)
    result = resume_sweep(part.folder, terms(again), quiet)
    assert len(again.measured) == 2
    assert settings_of(result.folder) == settings_of(whole.folder)
    assert told_of(result.folder) == Counter(range(1, 15))
    assert resume_sweep(part.folder, terms(again), quiet).ending == "finished"
    assert len(again.measured) == 2, "nothing twice"


PRUNED = {"trials": 16, "pruner": "median", "overrides": ["training.epochs=4"]}


@pytest.fixture(scope="module")
def pruned_search(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResult, Fake]:
    return searched(tmp_path_factory.mktemp("pruned"), RATE, repeats=2, **PRUNED)


def test_a_pruned_training_is_marked_and_in_no_figure(
    pruned_search: tuple[SweepResult, Fake],
) -> None:
    result, fake = pruned_search
    assert result.ending == "finished"
    assert result.failed == []
    index = rows(result.folder / "points.csv")
    states = Counter(row["state"] for row in index)
    assert states["pruned"] + states["measured"] == 16
    assert states["pruned"] >= 3
    assert len(fake.measured) == states["pruned"] + 2 * states["measured"]
    pruned = [row for row in index if row["state"] == "pruned"]
    assert {
        (row["failed"], row["repeats"], row["train_seconds"], row["validation_accuracy"])
        for row in pruned
    } == {("0", "1", "", "")}
    best = min(result.points, key=lambda point: -(point.median("validation_accuracy") or 0))
    assert not best.is_pruned
    folder = result.folder / pruned[0]["folder"]
    phases = {row["phase"]: row for row in rows(folder / "timings.csv")}
    assert (phases["train"]["status"], phases["total"]["status"]) == ("pruned", "pruned")
    assert (phases["test"]["status"], phases["total"]["seconds"]) == ("not-run", "")
    assert float(phases["train"]["seconds"]) > 0
    metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
    assert "test_accuracy" not in metrics
    by_state = Counter(trial.state.name for trial in trials_of(result.folder))
    assert by_state == {"PRUNED": states["pruned"], "COMPLETE": states["measured"]}
    (trial,) = [
        trial
        for trial in trials_of(result.folder)
        if trial.user_attrs["folder"] == pruned[0]["folder"]
    ]
    assert len(trial.intermediate_values) == int(metrics["pruned_epoch"]) < 4
    printed = run_here("sweep", "status", str(result.folder))
    assert f"{states['pruned']} of 16 points were pruned: a part of a training" in printed.stdout
    assert printed.returncode == 0


def test_compare_leaves_a_pruned_training_out_and_says_so(
    pruned_search: tuple[SweepResult, Fake], tmp_path: Path
) -> None:
    result, _ = pruned_search
    folders = [str(result.folder / point.folder) for point in result.pruned]
    refused = run_here("compare", *folders[:2], "--phase", "train")
    assert refused.returncode == 2
    assert "1 repeats did not finish, 1 of them pruned by a search" in failure_line(refused)
    whole = [result.folder / p.folder for p in result.points if not p.is_pruned]
    with_a_pruned_one = tmp_path / "with-a-pruned-one"
    shutil.copytree(whole[0], with_a_pruned_one)
    for name in ("timings.csv", "metrics.csv"):
        table = with_a_pruned_one / name
        header, *lines = table.read_text().splitlines(keepends=True)
        place = header.strip().split(",").index("repeat")
        cells = [line.split(",") for line in lines if line.split(",")[place] == "1"]
        again = [",".join([*each[:place], "3", *each[place + 1 :]]) for each in cells]
        again = [line.replace(",ok,", ",pruned,") for line in again]
        table.write_text("".join([header, *lines, *again]))
    done = run_here("compare", str(whole[1]), str(with_a_pruned_one), "--format", "markdown")
    assert "1 repeats did not finish, 1 of them pruned by a search, and are left out" in done.stdout


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="it is killed by a signal")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_twenty_drawn_moments_every_point_is_there_once(tmp_path: Path) -> None:
    draw, kills = random.Random(12), 0
    while kills < 20:
        plan = search_of(
            RATE, trials=25, repeats=2, pruner="median", overrides=["training.epochs=3"]
        )
        folder = tmp_path / plan.sweep_id
        while kills < 20 and not _is_whole(folder):
            kills += _killed(plan, folder, draw.uniform(0.02, 0.5))
        if (folder / "sweep.yaml").is_file():
            result = resume_sweep(folder, terms(Fake(by_rate)), quiet)
        else:  # the last kill came before anything was written
            shutil.rmtree(folder, ignore_errors=True)
            result = start_sweep(plan, tmp_path, terms(Fake(by_rate)), quiet)
        assert result.is_whole
        once = each_once(result.plan)
        for point in result.pruned:
            del once[point.folder, 2]
        assert measured_repeats(folder) == once
        assert told_of(folder) == Counter(range(1, 26))
        assert len(set(settings_of(folder))) == 25


def _is_whole(folder: Path) -> bool:
    return (folder / "sweep.yaml").is_file() and look_at_sweep(folder).is_whole


def _killed(plan: SweepPlan, folder: Path, seconds: float) -> bool:
    """Begin a search or go on with it, in a process that is killed; return if it was in time."""
    process = os.fork()
    if process == 0:
        try:
            if (folder / "sweep.yaml").is_file():
                resume_sweep(folder, terms(Fake(by_rate)), quiet)
            else:
                shutil.rmtree(folder, ignore_errors=True)
                start_sweep(plan, folder.parent, terms(Fake(by_rate)), quiet)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def test_a_study_that_is_lost_or_damaged_is_made_anew_from_the_points(tmp_path: Path) -> None:
    plan = search_of(*SPACE, trials=12, pruner="median", overrides=["training.epochs=3"])

    def listen(event: object) -> None:
        if isinstance(event, TurnEnded) and event.record.turn.order == 8:
            lock.ask_to_stop(tmp_path / plan.sweep_id)

    part = start_sweep(plan, tmp_path, terms(Fake(by_rate)), listen)
    before = {
        trial.user_attrs["point"]: (
            trial.state,
            trial.value,
            trial.params,
            trial.intermediate_values,
        )
        for trial in trials_of(part.folder)
    }
    (part.folder / "study.db").write_bytes(b"no database" * 999)
    with pytest.raises(OutputError, match=r"study\.db: cannot be read or written: .*delete it"):
        resume_sweep(part.folder, terms(Fake(by_rate)), quiet)
    (part.folder / "study.db").unlink()
    result = resume_sweep(part.folder, terms(Fake(by_rate)), quiet)
    after = {
        trial.user_attrs["point"]: (
            trial.state,
            trial.value,
            trial.params,
            trial.intermediate_values,
        )
        for trial in trials_of(result.folder)
    }
    assert len(after) == 12
    assert {number: after[number] for number in before} == before


def test_a_line_of_the_plan_cut_short_is_chosen_again(tmp_path: Path) -> None:
    plan = search_of(*SPACE, trials=6)
    whole, _ = searched(tmp_path / "whole", trials=6)

    def listen(event: object) -> None:
        if isinstance(event, TurnEnded) and event.record.turn.order == 3:
            lock.ask_to_stop(tmp_path / plan.sweep_id)

    part = start_sweep(plan, tmp_path, terms(Fake(by_rate)), listen)
    file = part.folder / "sweep.yaml"
    file.write_bytes(file.read_bytes() + b'- {"training.learning_r')
    assert len(read_plan(part.folder).points) == 3
    result = resume_sweep(part.folder, terms(Fake(by_rate)), quiet)
    assert settings_of(result.folder) == settings_of(whole.folder)
    assert yaml.safe_load(file.read_text())["points"] == [dict(p) for p in result.plan.points]


def test_a_space_that_can_be_counted_is_measured_whole_and_no_point_twice(tmp_path: Path) -> None:
    grids = ("training.batch_size=4,8,16", "training.epochs=1..4")
    result, fake = searched(tmp_path, *grids, trials=12, fake=Fake())
    assert len({name for name, _ in fake.measured}) == 12
    assert len(set(settings_of(result.folder))) == 12
    points = {trial.user_attrs.get("point") for trial in trials_of(result.folder)}
    assert points - {None} == set(range(1, 13))
    with pytest.raises(InputError, match=r"only 12 different points there are, and 13 are asked"):
        search_of(*grids, trials=13)


def test_ends_that_exclude_each_other_are_passed_over(tmp_path: Path) -> None:
    grids = (
        "training.execution=fit,fused", "dataset.image_dtype=float32,float64",
        *(f"training.{field}=1,2,3,4,5,6,7" for field in ("epochs", "seed", "batch_size")),
    )  # fmt: skip
    heard: list[object] = []
    plan = search_of(*grids, trials=12, sampler="random")
    result = start_sweep(plan, tmp_path, terms(Fake()), heard.append)
    assert len(result.points) == 12
    told = [event.text for event in heard if isinstance(event, News)]
    failed = [trial for trial in trials_of(result.folder) if trial.state.name == "FAIL"]
    assert sum(text.startswith("passed over: point ") for text in told) == len(failed) > 0
    assert all(trial.user_attrs["reason"] for trial in failed)


def test_a_failed_trial_is_a_result_and_the_search_goes_on(tmp_path: Path) -> None:
    fake = Fake(by_rate, fails="batch_size-64")
    result, _ = searched(tmp_path, *SPACE[:2], trials=10, fake=fake, sampler="random")
    assert len(result.points) == 10
    assert result.failed
    states = Counter(trial.state.name for trial in trials_of(result.folder))
    assert states == {"FAIL": len(result.failed), "COMPLETE": 10 - len(result.failed)}
    again = Fake(by_rate)
    resume_sweep(result.folder, terms(again), quiet)
    assert again.measured == []
    assert sum(told_of(result.folder).values()) == 10 - len(result.failed)


def test_the_fastest_can_be_looked_for(tmp_path: Path) -> None:
    result, _ = searched(tmp_path, *SPACE, trials=8, optimize="time", select_on="test")
    for trial, row in zip(
        trials_of(result.folder), rows(result.folder / "points.csv"), strict=True
    ):
        assert trial.value == float(row["train_seconds"])
        assert trial.user_attrs["test_accuracy"] == float(row["test_accuracy"])


def test_time_that_is_up_begins_no_point(tmp_path: Path) -> None:
    plan = search_of(*SPACE, trials=8)
    result = start_sweep(plan, tmp_path, terms(Fake(by_rate), max_seconds=1e-9), quiet)
    assert (result.ending, result.ended) == ("time-is-up", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_no_url_can_hold(tmp_path: Path) -> None:
    place = tmp_path / "50% {of} a?b#c ü"
    result, _ = searched(place, *SPACE, trials=2)
    assert (result.folder / "study.db").is_file()
    assert not (Path.cwd() / "study.db").exists()


GRID = ("--grid", "training.learning_rate=1e-3..1e-1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((*GRID, "--sampler", "tpe"), "--sampler: of a search; add --trials 30"),
        ((*GRID, "--pruner", "median"), "--pruner: of a search; add --trials 30"),
        ((*GRID, "--trials", "3", "--random", "3"), "--random: with --trials each point is chosen"),
        (
            (*GRID, "--trials", "3", "--launcher", "slurm"),
            "--launcher: with --trials each point is chosen by those before it, and measured here, "
            "one after the other; leave it out",
        ),
        ((*GRID, "--trials", "3", "--parallel", "2"), "--parallel: with --trials each point"),
        (
            (*GRID, "--trials", "3", "--pruner", "median"),
            "--pruner median: ends trainings between two epochs, and all have one; leave it out, "
            "or add --set training.epochs=10",
        ),
        (
            (*GRID, "--trials", "3", "--pruner", "median", "--optimize", "time"),
            "--pruner median: compares accuracies, and --optimize time asks for the fastest; ",
        ),
        (
            (*GRID, "--trials", "3", "--pruner", "hyperband", "--set", "training.epochs=3",
             "--select-on", "test"),
            "--pruner hyperband: compares the accuracy after each epoch, and no part of the ",
        ),
        (
            ("--grid", "training.epochs=0..3", "--trials", "3"),
            "a trial (training.epochs=0): training.epochs: 0 must be at least 1; ",
        ),
        (
            ("--grid", "training.epochs=1..3", "--trials", "4"),
            "--trials: only 3 different points there are, and 4 are asked for; ",
        ),
        (
            ("--grid", "training.validation=none,0.1", "--trials", "2"),
            "a trial (training.validation=none): training.validation: holds no part of the ",
        ),
        (("mnist-dense-relu", "--trials", "3"), "--trials searches a grid, and a list is given; "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    done = run_here("sweep", *arguments, "--dry-run")
    assert done.returncode == 2
    assert line in failure_line(done)


def test_a_dry_run_shows_the_space_and_writes_nothing(tmp_path: Path) -> None:
    arguments = (
        "sweep", "mnist-dense", "--grid", RATE, "--grid", "training.batch_size=4,32",
        "--trials", "20", "--repeats", "2", "--dry-run", "--output", str(tmp_path),
    )  # fmt: skip
    done = run_here(*arguments)
    assert done.stdout.splitlines() == [
        "20 points, each 2 times, chosen by tpe for accuracy, seed 42: 40 trainings; how long they "
        "take is known once every point was measured",
        "  training.learning_rate=0.0001..0.1:log",
        "  training.batch_size=4,32",
    ]
    told = json.loads(run_here(*arguments, "--format", "json").stdout)
    assert (told["select_on"], told["search"]["trials"], told["points"]) == ("validation", 20, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("sampler", "package"), [("tpe", "optuna"), ("gp", "torch")])
def test_what_is_not_installed_is_named_with_its_command(
    sampler: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = search.importlib.util.find_spec
    monkeypatch.setattr(
        search.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    done = run_here(
        "sweep", *GRID, "--trials", "3", "--sampler", sampler, "--output", str(tmp_path)
    )
    assert done.returncode == 2
    assert f"needs {package}, which is not installed; install it with: " in failure_line(done)
    assert list(tmp_path.iterdir()) == []


def test_what_others_or_several_would_measure_is_refused(tmp_path: Path) -> None:
    result, _ = searched(tmp_path, *SPACE, trials=2)
    done = run_here("sweep", "--resume", str(result.folder), "--parallel", "2")
    assert "--parallel: each point of a search is chosen by those before it" in failure_line(done)
    with pytest.raises(InputError, match="is a search: each point is chosen by those before it"):
        measure_point(result.folder, 1, terms(Fake()), quiet)
    with sqlite3.connect(result.folder / "study.db") as database:
        assert database.execute("SELECT count(*) FROM trials").fetchone() == (2,)
    database.close()


def test_a_changed_space_is_refused(tmp_path: Path) -> None:
    result, _ = searched(tmp_path, *SPACE, trials=2)
    file = result.folder / "sweep.yaml"
    file.write_text(file.read_text().replace("0.0001..0.1:log", "0.001..0.1:log"))
    with pytest.raises(InputError, match="is no longer the plan that the sweep began with"):
        read_plan(result.folder)
    file.write_text(file.read_text().replace("sampler: tpe", "sampler: best"))
    with pytest.raises(InputError, match="is damaged: no plan can be read from it"):
        read_plan(result.folder)


def test_a_pause_is_in_no_phase() -> None:
    clock = PhaseClock(quiet)
    with clock.phase(TRAIN):
        with clock.paused():
            time.sleep(0.3)
        with clock.paused():
            time.sleep(0.3)
    seconds = clock.records[TRAIN].seconds
    assert seconds is not None
    assert 0 <= seconds < 0.2
    with clock.phase("test"):
        time.sleep(0.01)
    assert (clock.records["test"].seconds or 0) >= 0.01


def test_a_real_search_is_pruned_and_waits_in_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnistbench.session.sweep.study import Study

    answer = Study.answer
    asked: list[int] = []

    def slowly(study: Study, message: Message) -> GoOn | Prune | None:
        said = answer(study, message)
        if said is None:
            return None
        time.sleep(0.5)
        asked.append(said.epoch)
        return Prune(said.epoch) if len(asked) == 3 else said

    monkeypatch.setattr(Study, "answer", slowly)
    done = run_here(
        "sweep", "mnist-dense", "--grid", "training.learning_rate=0.003,0.0003", *FEW,
        "--set", "training.epochs=3", "--set", "training.batch_size=128", "--trials", "2",
        "--pruner", "hyperband", "--no-calibrate", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert asked == [1, 2, 1], "nobody is asked after the last epoch"
    assert "pruned, after epoch 1 of 3" in done.stderr
    assert "1 of 2 points were pruned: a part of a training is no measurement" in done.stdout
    (folder,) = tmp_path.iterdir()
    index = rows(folder / "points.csv")
    assert [row["state"] for row in index] == ["measured", "pruned"]
    for row, epochs, waits in zip(index, (3, 1), (2, 1), strict=True):
        run = folder / row["folder"]
        phases = {r["phase"]: r for r in rows(run / "timings.csv")}
        metrics = {r["metric"]: r["value"] for r in rows(run / "metrics.csv")}
        assert float(metrics["pruning_seconds"]) > 0.5 * waits
        took = sum(float(metrics[f"epoch_{epoch}_seconds"]) for epoch in range(1, epochs + 1))
        assert f"epoch_{epochs + 1}_seconds" not in metrics
        assert took <= float(phases["train"]["seconds"])
        assert f"epoch_{epochs}_validation_accuracy" in metrics
        assert ("test_accuracy" in metrics) == (row["state"] == "measured")
        if phases["test"]["start_utc"]:
            begun, ended = (
                datetime.fromisoformat(phases[name]["start_utc"].rstrip("Z"))
                for name in ("train", "test")
            )
            counted = float(phases["train"]["seconds"]) + float(metrics["pruning_seconds"])
            assert counted - 0.1 < (ended - begun).total_seconds(), "the wait is in no phase"
    assert told_of(folder) == Counter([1, 2])
