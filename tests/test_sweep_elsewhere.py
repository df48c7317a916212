"""Points measured elsewhere, by a stand-in for the engine: each repeat is found exactly once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import failure_line, rows, run_here
from fake_sweeps import Fake, FakeEngine, elsewhere, plan_of, quiet, terms
from test_sweep import GRID, each_once, measured_repeats

from mnistbench.cli import command
from mnistbench.errors import InputError, RunError
from mnistbench.results.folder import RunFolder
from mnistbench.session.events import News
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.collecting import collect
from mnistbench.session.sweep.launchers import LAUNCHERS
from mnistbench.session.sweep.launchers.engine import (
    Launch,
    Launched,
    open_engine,
    read_launched,
    settings_of,
)
from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.progress import SweepProgress
from mnistbench.session.sweep.sweep import (
    collect_sweep,
    look_at_sweep,
    measure_point,
    resume_sweep,
    start_sweep,
    write_plan,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and shell scripts")


def planned(tmp_path: Path, *grids: str, repeats: int = 2) -> tuple[SweepPlan, Path]:
    plan = plan_of(*(grids or GRID), repeats=repeats)
    return plan, write_plan(plan, tmp_path).path


def as_job(patch: pytest.MonkeyPatch, job: str, restarts: int = 0, node: str = "n1") -> None:
    """Let this process be a task of Slurm."""
    array, _, task = job.partition("_")
    patch.setenv("SLURM_JOB_ID", str(int(array) + 100))
    patch.setenv("SLURM_ARRAY_JOB_ID", array)
    patch.setenv("SLURM_ARRAY_TASK_ID", task)
    patch.setenv("SLURMD_NODENAME", node)
    if restarts:
        patch.setenv("SLURM_RESTART_COUNT", str(restarts))


def collected(plan: SweepPlan, folder: Path, *live: str) -> list[str]:
    """Collect where Slurm has these jobs; return the news."""
    progress = SweepProgress(plan, RunFolder(folder))
    progress.read()
    return collect(progress, folder, lambda: frozenset(live))


def attempts(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "attempts").glob("*"))


def cut_short(folder: Path, repeats: int) -> Path:
    """Leave of the one attempt what a death after so many repeats leaves."""
    (attempt,) = (folder / "attempts").glob("*")
    (attempt / "sweep.csv").unlink()
    (run,) = (path for path in attempt.iterdir() if path.is_dir())
    for name in ("timings.csv", "metrics.csv"):
        lines = (run / name).read_text().splitlines(keepends=True)
        place = lines[0].split(",").index("repeat")
        kept = [line for line in lines[1:] if int(line.split(",")[place]) <= repeats]
        half = [line for line in lines[1:] if int(line.split(",")[place]) > repeats][:3]
        (run / name).write_text("".join([lines[0], *kept, *half])[:-2])
    return attempt


def test_what_others_measure_is_a_sweep_as_any_other(tmp_path: Path) -> None:
    plan = plan_of(*GRID, repeats=2)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake())
    heard: list[object] = []
    result = start_sweep(plan, tmp_path, elsewhere(engine), heard.append)
    assert (result.ending, result.missing, engine.submitted) == ("finished", [], [1, 2, 3, 4, 5, 6])
    assert measured_repeats(result.folder) == each_once(plan)
    assert attempts(result.folder) == []
    assert not (result.folder / "left-out").exists()
    here, _ = (start_sweep(plan_of(*GRID, repeats=2), tmp_path, terms(Fake()), quiet), None)
    names = {"cloudmesh.log", "config.yaml", "log.txt", "machine.csv", "metrics.csv", "timings.csv"}
    seeds, sessions = [], set()
    for one, other in zip(result.points, here.points, strict=True):
        folder = result.folder / one.folder
        assert {file.name for file in folder.iterdir()} == names
        tables = [rows(run / "timings.csv") for run in (folder, here.folder / other.folder)]
        seeds += [[(row["repeat"], row["phase"], row["seed"]) for row in table] for table in tables]
        assert seeds[-1] == seeds[-2], "measured as here"
        facts = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
        marks = {r["value"] for r in rows(folder / "metrics.csv") if r["metric"] == "attempt"}
        assert marks == {facts["attempt"]}
        sessions.add(facts["session"])
    assert len(sessions) == 6, "not interleaved: no two of them are a session"
    texts = [event.text for event in heard if isinstance(event, News)]
    assert "6 points given away" in texts
    assert texts[-1] == "12 of 12 repeats are collected"


def test_effects_of_others_are_of_their_medians(tmp_path: Path) -> None:
    plan = plan_of("training.batch_size=4,8", "training.epochs=1,2,3", repeats=3)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake())
    result = start_sweep(plan, tmp_path, elsewhere(engine), quiet)
    effects = {(e.finding, e.field, e.value): e for e in result.findings.effects}
    half = effects["train_ratio", "training.batch_size", "8"]
    assert half.pairs == 3, "a pair for each number of epochs, not nine"
    assert half.estimate == pytest.approx(0.5, rel=0.02)


def test_both_attempts_of_a_lost_node_finish_and_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = planned(tmp_path)
    as_job(monkeypatch, "12_0")
    measure_point(folder, 1, terms(Fake()), quiet)
    as_job(monkeypatch, "12_0", restarts=1, node="n2")
    measure_point(folder, 1, terms(Fake()), quiet)
    first, second = attempts(folder)
    assert first.startswith("slurm-12_0-r0-")
    assert second.startswith("slurm-12_0-r1-")
    news = collected(plan, folder, "12_0")
    assert news[0].startswith("point 1: 2 repeats from ")
    left = folder / "left-out" / second
    assert news[1] == f"point 1: attempt {second} is left out, another one is kept: {left}"
    assert measured_repeats(folder) == {(plan.run_id(0), 1): 1, (plan.run_id(0), 2): 1}
    facts = {r["attribute"]: r["value"] for r in rows(folder / plan.run_id(0) / "machine.csv")}
    assert (facts["slurm_job"], facts["slurm_restart_count"], facts["slurm_node"]) == (
        "12_0", "0", "n1",
    )  # fmt: skip
    before = (folder / plan.run_id(0) / "timings.csv").read_bytes()
    assert collected(plan, folder) == []
    as_job(monkeypatch, "12_0", restarts=2)
    heard: list[object] = []
    measure_point(folder, 1, terms(Fake()), heard.append)
    assert [e.text for e in heard if isinstance(e, News)] == ["point 1 is measured already"]
    assert (folder / plan.run_id(0) / "timings.csv").read_bytes() == before


def test_the_whole_attempt_is_kept_whichever_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = planned(tmp_path, repeats=3)
    as_job(monkeypatch, "12_0")
    measure_point(folder, 2, terms(Fake()), quiet)
    dead = cut_short(folder, 2)
    assert collected(plan, folder, "12_0") == [], "Slurm may begin it again"
    assert attempts(folder) == [dead.name]
    as_job(monkeypatch, "12_0", restarts=1)
    measure_point(folder, 2, terms(Fake()), quiet)
    news = collected(plan, folder, "12_0")
    assert news[0].startswith("point 2: 3 repeats from ")
    assert attempts(folder) == [dead.name], "its job has not ended"
    assert dead.name in collected(plan, folder)[0]
    assert Counter(measured_repeats(folder).values()) == {1: 3}


@pytest.mark.parametrize("again_by", ["this process", "another"])
def test_what_a_death_left_whole_is_kept_and_the_rest_is_measured(
    again_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = planned(tmp_path, "training.epochs=1,2", repeats=3)
    as_job(monkeypatch, "12_0")
    measure_point(folder, 1, terms(Fake()), quiet)
    cut_short(folder, 1)
    assert collected(plan, folder)[0].startswith("point 1: 1 repeat from ")
    assert sum(measured_repeats(folder).values()) == 1
    again = Fake()
    if again_by == "another":
        engine = FakeEngine(folder, again)
        resume_sweep(folder, elsewhere(engine), quiet)
        assert engine.submitted == [1, 2]
    else:
        monkeypatch.delenv("SLURM_JOB_ID")
        resume_sweep(folder, terms(again), quiet)
    assert len(again.measured) == 5, "the one that was kept is not measured again"
    assert measured_repeats(folder) == each_once(plan)
    assert attempts(folder) == []


def test_what_was_killed_with_its_attempt_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = planned(tmp_path, "training.epochs=1,2")
    as_job(monkeypatch, "12_0")
    measure_point(folder, 1, terms(Fake(fails="epochs-1")), quiet)
    (attempt,) = (folder / "attempts").glob("*")
    (attempt / "sweep.csv").unlink()
    news = collected(plan, folder)
    assert news == [
        f"point 1: attempt {attempt.name} is left out, it has no whole repeat: "
        f"{folder / 'left-out' / attempt.name}"
    ]
    measure_point(folder, 2, terms(Fake(fails="epochs-2")), quiet)
    assert collected(plan, folder)[0].endswith(", 2 of them did not finish"), "it came to its end"


def test_killed_between_two_steps_of_collecting_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = planned(tmp_path, "training.epochs=1,2", repeats=4)
    as_job(monkeypatch, "12_0")
    draw = random.Random(12)
    measure_point(folder, 1, terms(Fake()), quiet)
    cut_short(folder, 2)
    collected(plan, folder)
    measure_point(folder, 1, terms(Fake()), quiet)
    (attempt,) = (folder / "attempts").glob("*")
    saved = tmp_path / "saved"
    shutil.copytree(attempt, saved)
    for _ in range(6):
        collected(plan, folder)
        table = folder / plan.run_id(0) / draw.choice(["timings.csv", "metrics.csv"])
        content = table.read_bytes()
        table.write_bytes(content[: draw.randrange(len(content) // 2, len(content) - 1)])
        shutil.copytree(saved, attempt)  # it is removed last
        collect_sweep(folder, quiet)
        assert Counter(measured_repeats(folder)) == {
            (plan.run_id(0), repeat): 1 for repeat in range(1, 5)
        }


def test_a_run_of_another_sweep_is_named_and_left(tmp_path: Path) -> None:
    plan, folder = planned(tmp_path)
    stranger = folder / "attempts" / "somebody" / "other-run"
    stranger.mkdir(parents=True)
    assert collected(plan, folder) == [
        f"{stranger} is of no point of this sweep: it is left where it is"
    ]
    assert stranger.is_dir()


def test_an_attempt_that_runs_is_left_alone(tmp_path: Path) -> None:
    plan, folder = planned(tmp_path)
    measure_point(folder, 1, terms(Fake()), quiet)
    attempt = cut_short(folder, 1)
    with lock.held(attempt):
        assert collected(plan, folder) == []
    assert len(collected(plan, folder)) == 1


def test_a_task_that_left_nothing_is_named_and_measured_by_the_next(tmp_path: Path) -> None:
    plan = plan_of(*GRID)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake(), loses=[3])
    heard: list[object] = []
    result = start_sweep(plan, tmp_path, elsewhere(engine), heard.append)
    assert [point.number for point in result.missing] == [3]
    assert "point 3: its node died" in [e.text for e in heard if isinstance(e, News)]
    again = FakeEngine(result.folder, Fake())
    assert resume_sweep(result.folder, elsewhere(again), quiet).missing == []
    assert again.submitted == [3]


def test_a_wish_to_stop_cancels_and_keeps_what_has_ended(tmp_path: Path) -> None:
    plan = plan_of(*GRID)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake())

    def listen(event: object) -> None:
        if isinstance(event, News) and event.text.startswith("2 of 6"):
            lock.ask_to_stop(tmp_path / plan.sweep_id)

    result = start_sweep(plan, tmp_path, elsewhere(engine), listen)
    assert (result.ending, engine.cancelled) == ("stopped", [False])
    assert result.ended == 2


def test_after_its_time_no_point_begins(tmp_path: Path) -> None:
    plan = plan_of(*GRID)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake())
    result = start_sweep(plan, tmp_path, elsewhere(engine, max_seconds=1e-9), quiet)
    assert (result.ending, engine.cancelled) == ("time-is-up", [True])
    assert 0 < result.ended < 6


def test_ctrl_c_lets_the_jobs_go_on(tmp_path: Path) -> None:
    plan = plan_of(*GRID)
    engine = FakeEngine(tmp_path / plan.sweep_id, Fake())

    def interrupt(event: object) -> None:
        if isinstance(event, News) and event.text.startswith("1 of 6"):
            raise KeyboardInterrupt

    result = start_sweep(plan, tmp_path, elsewhere(engine), interrupt)
    assert (result.ending, engine.cancelled) == ("detached", [])


def test_unlike_machines_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, folder = planned(tmp_path, "training.epochs=1,2")
    for number in (1, 2):
        measure_point(folder, number, terms(Fake()), quiet)
    collected(plan, folder)
    run = folder / plan.run_id(1)
    node = rows(run / "timings.csv")[0]["node"]
    timings = (run / "timings.csv").read_text()
    (run / "timings.csv").write_text(timings.replace(f",{node},", ",other,"))
    machine = (run / "machine.csv").read_text().splitlines()
    changed = [
        f"{plan.run_id(1)},cpu_model,Abacus" if ",cpu_model," in line else line for line in machine
    ]
    (run / "machine.csv").write_text("\n".join(changed) + "\n")
    printed = run_here("sweep", "status", str(folder)).stdout
    assert f"Measured on 2 machines, {node}, other, which are not alike: cpu_model " in printed
    assert " and Abacus on other; what a setting does is told within each alone" in printed


# The settings, and Slurm's programs where a shell script stands for each.


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ((), {}),
        (("partition=gpu", "account=a1", "gpus=2"),
         {"partition": "gpu", "account": "a1", "gpus-per-node": 2}),
        (("constraint=[a100|h100]&ssd",), {"constraint": "[a100|h100]&ssd"}),
        (("time=90s",), {"time": 2}), (("time=30",), {"time": 30}), (("time=2h",), {"time": 120}),
        (("time=1d",), {"time": 1440}), (("time=1-12:00:00",), {"time": 2160}),
        (("time=01:30:00",), {"time": 90}), (("time=10:30",), {"time": 11}),
        (("time=1-02:30",), {"time": 1590}),
    ],
)  # fmt: skip
def test_settings_of_slurm_become_options_of_sbatch(
    given: tuple[str, ...], flags: dict[str, object]
) -> None:
    always = {"nodes": 1, "exclusive": True, "mem": 0, "requeue": True}
    assert settings_of("slurm", given).flags == {**always, **flags}


def test_modules_come_before_lines_of_the_shell() -> None:
    given = ("setup=source ~/venv/bin/activate", "module=cuda/12", "setup=export A=b c", "module=x")
    assert settings_of("slurm", given).setup_lines == [
        "set -e", "module load cuda/12", "module load x", "source ~/venv/bin/activate",
        "export A=b c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--launch", "partition=gpu"), "this process takes no settings; add --launcher slurm"),
        (("--launcher", "slurm", "--launch", "gpus"), "--launch gpus: is not KEY=VALUE; the keys "
         "of slurm: partition, account, qos, constraint, time, gpus, module, setup"),
        (("--launcher", "slurm", "--launch", "partition="), "partition=: is not KEY=VALUE"),
        (("--launcher", "slurm", "--launch", "partiton=a"), "'partiton' is no setting of slurm; "),
        (("--launcher", "slurm", "--launch", "partiton=a"), "; did you mean partition?"),
        (("--launcher", "slurm", "--launch", "gpus=many"), "--launch gpus=many: 'many' is not "
         "allowed: "),
        (("--launcher", "slurm", "--launch", "gpus=-1"), "--launch gpus=-1: '-1' is not allowed: "),
        (("--launcher", "slurm", "--launch", "time=soon"), "'soon' is not allowed: not a time; "
         "give 30m, 2h or 1-12:00:00"),
        (("--launcher", "slurm", "--launch", "time=0"), "'0' is not allowed: not a time"),
        (("--launcher", "slurm", "--launch", "partition=a b"), "'a b' is not allowed"),
        (("--launcher", "slurm", "--launch", "setup=a\nb"), "is not allowed"),
        (("--launcher", "slurm", "--launch", "qos=a", "--launch", "qos=b"), "qos is given twice"),
        (("--launcher", "dask", "--launch", "partition=a"), "'partition' is no setting of dask; "
         "allowed: scheduler, workers, retries"),
        (("--launcher", "dask", "--parallel", "2"), "--parallel: Dask measures one point a worker"),
        (("--detach",), "--detach: of --launcher slurm"),
        (("--launcher", "dask", "--print"), "--print: of --launcher slurm"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_a_line(arguments: tuple[str, ...], words: str) -> None:
    done = run_here("sweep", "mnist-dense", *arguments, "--dry-run")
    assert done.returncode == 2
    assert words in failure_line(done)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("collect",), "collect: give the folder of one sweep"),
        (("point", "DIR"), "point: give the folder of one sweep and the number of one point"),
        (("point", "DIR", "x"), "'x' is not a whole number from 1 to 10000"),
        (("point", "DIR", "7"), "has no point 7, but 1 to 6"),
        (("point", "DIR", "1", "--repeats", "2"), "--repeats: point takes no such option"),
        (("collect", "DIR", "--launcher", "slurm"), "--launcher: collect takes no such option"),
        (("collect", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_a_wrong_word_is_told_in_a_line(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    _, folder = planned(tmp_path)
    done = run_here("sweep", *(str(folder) if word == "DIR" else word for word in arguments))
    assert done.returncode == 2
    assert words in failure_line(done)


def test_launchers_are_the_words_of_the_option() -> None:
    sweep = command.get_command(None, "sweep")  # type: ignore[attr-defined]
    (choice,) = (p.type.choices for p in sweep.params if p.name == "launcher")
    assert list(choice) == [*LAUNCHERS]


def stand_ins(folder: Path, **programs: str) -> str:
    """Make programs of Slurm from lines of a shell; return the path that has nothing else of it."""
    folder.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel"):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{programs.get(name, 'exit 0')}\n")
        file.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_states_come_from_squeue_and_endings_from_scontrol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = "\n".join(["12_0|RUNNING|n1|None", "12_2|PENDING||Resources", "13|COMPLETING|n2|None",
                       "99|RUNNING|n9|None"])  # fmt: skip
    shown = "\n".join(
        [
            "JobId=112 ArrayJobId=12 ArrayTaskId=1 JobName=mnistbench JobState=NODE_FAIL Reason=x",
            "JobId=113 ArrayJobId=12 ArrayTaskId=3 JobName=mnistbench JobState=COMPLETED Reason=x",
        ]
    )
    asked = tmp_path / "asked"
    path = stand_ins(
        tmp_path / "bin", squeue=f"cat <<'END'\n{queue}\nEND",
        scontrol=f"[ $4 = 13 ] && {{ echo 'slurm_load_jobs error: Invalid job id' >&2; exit 1; }}\n"
        f"cat <<'END'\n{shown}\nEND",
        scancel=f'echo "$@" >> {asked}',
    )  # fmt: skip
    monkeypatch.setenv("PATH", path)
    jobs = {"12_0": 4, "12_1": 5, "12_2": 6, "12_3": 7, "13": 8}
    engine = open_engine(tmp_path, Launched(Launch("slurm"), jobs))
    states = engine.states()
    assert {n: (s.job, s.state, s.details) for n, s in states.items()} == {
        4: ("12_0", "runs", "n1"), 6: ("12_2", "waits", "Resources"),
        8: ("13", "runs", "n2 COMPLETING"),
    }  # fmt: skip
    assert engine.endings() == {
        5: f"its job 12_1 ended as NODE_FAIL: see {tmp_path}/jobs/12_1_0_log.out"
    }
    engine.cancel(waiting_only=True)
    engine.cancel(waiting_only=False)
    assert asked.read_text().splitlines() == ["--state=PENDING 12 13", "12 13"]


def test_where_squeue_does_not_answer_nothing_is_taken_for_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = "echo 'squeue: error: Unable to contact slurm controller' >&2; exit 1"
    monkeypatch.setenv("PATH", stand_ins(tmp_path / "bin", squeue=refuse))
    _, folder = planned(tmp_path / "out")
    Launched(Launch("slurm"), {"12_0": 1}).write(folder)
    result = look_at_sweep(folder)
    assert result.ending == "running"
    assert result.tasks[1].details == (
        "Slurm refused: squeue: error: Unable to contact slurm controller"
    )
    with monkeypatch.context() as patch:
        as_job(patch, "12_0")
        measure_point(folder, 1, terms(Fake()), quiet)
    cut_short(folder, 1)
    collect_sweep(folder, quiet)
    assert len(attempts(folder)) == 1
    with pytest.raises(InputError, match="1 of its points wait or run elsewhere, job 12_0; wait"):
        resume_sweep(folder, terms(Fake()), quiet)
    engine = open_engine(folder, Launched(Launch("slurm"), {"12_0": 1}))
    monkeypatch.setenv(
        "PATH", stand_ins(tmp_path / "more", scancel=refuse, squeue="echo '12_0|RUNNING|a|'")
    )
    with pytest.raises(RunError, match="Slurm refused: squeue: error: Unable"):
        engine.cancel(waiting_only=False)


def test_where_there_is_no_slurm_it_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "/nowhere")
    done = run_here(
        "sweep", "mnist-dense", "--launcher", "slurm", "--output", str(tmp_path / "out")
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "mnistbench: --launcher: slurm needs sbatch, which is not found here; call it where jobs "
        "are submitted, or take --print there"
    )
    assert not (tmp_path / "out").exists()


def test_an_extra_that_is_missing_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, requirement in (("slurm", "submitit>=1.5"), ("dask", "distributed>=2025.5")):
        done = run_here("sweep", "mnist-dense", "--launcher", name, "--output", str(tmp_path))
        assert done.returncode == 2
        assert f"-m pip install '{requirement}'" in failure_line(done)
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for name, launcher in LAUNCHERS.items():
        if launcher is not None:
            assert project["optional-dependencies"][name] == [launcher.requirement]


def test_a_damaged_record_of_what_was_given_away_is_named(tmp_path: Path) -> None:
    _, folder = planned(tmp_path)
    for text in ("{", "[]", '{"launcher": "slurm"}', '{"launcher": "slurm", "launch": [], '
                 '"parallel": null, "jobs": {"1": "x"}}'):  # fmt: skip
        (folder / "launched.json").write_text(text)
        with pytest.raises(InputError, match=r"launched\.json: is damaged; delete it"):
            read_launched(folder)


def test_the_printed_script_measures_each_point_where_it_is_run(tmp_path: Path) -> None:
    done = run_here(
        "sweep", "mnist-dense", "--grid", "training.epochs=1,2", "--repeats", "2",
        "--set", "dataset.train_samples=128", "--set", "dataset.test_samples=64", "--no-calibrate",
        "--launcher", "slurm", "--print", "--launch", "partition=gpu", "--launch", "time=30m",
        "--launch", "setup=export TAG='of mine'", "--parallel", "4", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0
    (folder,) = tmp_path.iterdir()
    assert f"mnistbench sweep collect {folder}" in failure_line_of(done.stderr)
    lines = done.stdout.splitlines()
    assert lines[:9] == [
        "#!/bin/bash", "#SBATCH --job-name=mnistbench", "#SBATCH --array=1-2%4",
        "#SBATCH --nodes=1", "#SBATCH --exclusive", "#SBATCH --mem=0", "#SBATCH --requeue",
        "#SBATCH --partition=gpu", "#SBATCH --time=30",
    ]  # fmt: skip
    assert lines[10:12] == ["set -e", "export TAG='of mine'"]
    script = tmp_path / "job.sh"
    script.write_text(done.stdout)
    variables = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "5", "SLURM_JOB_ID": "6"}
    subprocess.run(["bash", str(script)], check=True, env={**os.environ, **variables})
    with pytest.MonkeyPatch.context() as patch:
        as_job(patch, "5_2")
        assert run_here("sweep", "point", str(folder), "2", "--no-calibrate").returncode == 0
    assert [name[:12] for name in attempts(folder)] == ["slurm-5_1-r0", "slurm-5_2-r0"]
    status = run_here("sweep", "status", str(folder)).stdout
    assert f"2 tasks have ended and can be collected: mnistbench sweep collect {folder}" in status
    assert run_here("sweep", "collect", str(folder)).returncode == 0
    assert sum(measured_repeats(folder).values()) == 4
    assert run_here("sweep", "collect", str(folder), "-q").returncode == 0, "again"


def failure_line_of(errors: str) -> str:
    (line,) = errors.strip().splitlines()
    return line


def test_too_many_points_for_one_array_are_refused_where_a_script_is_printed(
    tmp_path: Path,
) -> None:
    values = ",".join(str(number) for number in range(1, 1002))
    done = run_here(
        "sweep", "mnist-dense", "--grid", f"training.batch_size={values}", "--launcher", "slurm",
        "--print", "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "--print: 1,001 points are more than most clusters take" in failure_line(done)
    assert not (tmp_path / "out").exists()


def test_every_command_of_the_page_on_clusters_is_one(tmp_path: Path) -> None:
    """What they do is tested where there is a cluster; that they are right, everywhere."""
    page = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text()
    blocks = "\n".join(part.split("```")[0] for part in page.split("```sh\n")[1:])
    lines = [line.split("#")[0].split("|")[0].split() for line in blocks.splitlines()]
    told = [line[1:] for line in lines if line[:1] == ["mnistbench"]]
    assert len(told) > 12
    _, folder = planned(tmp_path)
    measure_point(folder, 1, terms(Fake()), quiet)
    ends = []
    for words in told:
        if "results/SWEEP" in words:
            words = [str(folder) if word == "results/SWEEP" else word for word in words]
            more = ("--dry-run",) if "--resume" in words else ()
        else:
            more = ("--dry-run",)
        done = run_here(*words, *more)
        ends.append((done.returncode, "no sweep is running in it" in done.stderr, words[1]))
    assert {end for end in ends if end[0]} == {(2, True, "stop")}, ends
