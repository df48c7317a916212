"""`--parallel N`: disjoint cores, rows that say so, and times that meet their own kind alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from conftest import rows, run_here
from fake_sweeps import Fake, plan_of, quiet
from hand_written_runs import verdicts
from hypothesis import given
from hypothesis import strategies as st
from test_sweep import each_once, measured_repeats

from mnistbench.errors import InputError
from mnistbench.machine.shares import Core, shares
from mnistbench.session.sweep import side_by_side
from mnistbench.session.sweep.sweep import SweepResult, resume_sweep, start_sweep
from mnistbench.session.sweep.terms import Terms

MANY = psutil.cpu_count() or 1

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned to cores")


def terms(fake: Fake, parallel: int) -> Terms:
    return Terms(calibrate=False, executor_of=lambda config: fake, parallel=parallel)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Core((number,), "0") for number in range(4)]
    monkeypatch.setattr(side_by_side, "cores", lambda: found)
    monkeypatch.setattr(side_by_side, "cgroup_facts", lambda: {"cgroup_cpu_limit_cores": None})


def swept(output: Path, parallel: int, repeats: int = 5) -> SweepResult:
    plan = plan_of("training.epochs=1,2,3", repeats=repeats)
    return start_sweep(plan, output, terms(Fake(), parallel), quiet)


def span(row: dict[str, str]) -> tuple[float, float]:
    start = datetime.fromisoformat(row["start_utc"].replace("Z", "+00:00")).timestamp()
    return start, start + float(row["seconds"])


def metric(folder: Path, name: str) -> list[str]:
    return [row["value"] for row in rows(folder / "metrics.csv") if row["metric"] == name]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=20), st.integers(1, 6))
def test_shares_are_disjoint_equal_and_whole(listed: list[tuple[int, int]], count: int) -> None:
    available, number = [], 0
    for place, threads in listed:
        available.append(Core(tuple(range(number, number + threads)), str(place)))
        number += threads
    cut = shares(available, count)
    if cut is None:
        assert len(available) < count
        return
    assert len(cut) == count
    assert len({thread for share in cut for thread in share}) == sum(map(len, cut))
    owners = [[core for core in available if set(core.threads) & set(share)] for share in cut]
    assert len({len(own) for own in owners}) == 1
    for own, share in zip(owners, cut, strict=True):
        assert {thread for core in own for thread in core.threads} == set(share)


def test_rows_say_how_many_and_on_which_cores(four_cores: None, tmp_path: Path) -> None:
    result = swept(tmp_path, 2)
    assert result.missing == []
    assert measured_repeats(result.folder) == each_once(result.plan)
    used = set()
    for point in result.points:
        folder = result.folder / point.folder
        statuses = {row["phase"]: row["status"] for row in rows(folder / "timings.csv")}
        assert {s for phase, s in statuses.items() if phase != "import"} == {"parallel:2"}
        facts = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
        assert facts["design"] == "parallel:2"
        used |= set(metric(folder, "parallel_cores"))
        assert len(metric(folder, "contention")) == 5
    assert used == {"0 2", "1 3"}
    states = {row["state"] for row in rows(result.folder / "points.csv")}
    assert states == {"measured"}
    assert all(float(row["train_seconds"]) > 0 for row in rows(result.folder / "points.csv"))
    ratios = [e for e in result.findings.effects if e.finding == "train_ratio"]
    assert {effect.pairs for effect in ratios} == {5}


def test_compare_takes_them_with_their_own_kind_alone(four_cores: None, tmp_path: Path) -> None:
    alone, two, four = (swept(tmp_path / str(n), n).folder for n in (1, 2, 4))
    code, found, table = verdicts(two, swept(tmp_path / "again", 2).folder)
    assert code == 0
    assert set(found.values()) == {"same"}
    for base, new, words in (
        (alone, two, "one side was measured 2 at a time"),
        (two, alone, "one side was measured 2 at a time"),
        (two, four, "one side was measured 4 at a time"),
    ):
        code, found, table = verdicts(base, new)
        assert code == 5
        assert {row["verdict"] for row in table} == {"not comparable"}
        assert all(words in row["reason"] for row in table)


def test_a_csv_file_alone_tells_it_too(four_cores: None, tmp_path: Path) -> None:
    alone, two = (swept(tmp_path / str(n), n) for n in (1, 2))
    files = [result.folder / result.points[0].folder / "timings.csv" for result in (alone, two)]
    copies = [tmp_path / f"{number}.csv" for number in range(2)]
    for file, copy in zip(files, copies, strict=True):
        copy.write_bytes(file.read_bytes())
    assert verdicts(*copies)[0] == 5
    for odd in ("parallel:", "parallel:0", "parallel:x"):
        copies[0].write_text(copies[1].read_text().replace("parallel:2", odd))
        done = run_here("compare", str(copies[0]), str(copies[1]))
        assert "of an unknown status" in done.stdout + done.stderr


def test_what_cannot_be_compared_is_not_put_into_one_run(four_cores: None, tmp_path: Path) -> None:
    result = swept(tmp_path, 2)
    (folder,) = (path for path in result.folder.glob("*/") if path.name == result.points[0].folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(InputError, match=r"measured 2 at a time, and would be 1: .*--parallel 2"):
        resume_sweep(result.folder, terms(Fake(), 1), quiet)
    with pytest.raises(InputError, match="measured 2 at a time, and would be 4"):
        resume_sweep(result.folder, terms(Fake(), 4), quiet)
    assert resume_sweep(result.folder, terms(Fake(), 2), quiet).missing == []
    alone = swept(tmp_path / "alone", 1)
    with pytest.raises(InputError, match=r"measured 1 at a time, and would be 2: .*leave out"):
        resume_sweep(alone.folder, terms(Fake(), 2), quiet)


def test_fewer_cores_than_asked_for_are_told(tmp_path: Path) -> None:
    done = run_here("sweep", "mnist-dense", "--parallel", "999", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert (
        "--parallel: 999 needs as many physical cores, and this process may use "
        in (done.stderr.splitlines()[-1])
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def all_cores() -> Iterator[None]:
    """Undo the pinning of a test worker to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(MANY))
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.skipif(MANY < 2, reason="it needs two cores")
def test_two_trainings_at_a_time_are_pinned_to_disjoint_cores(
    all_cores: None, tmp_path: Path
) -> None:
    done = run_here(
        "sweep", "mnist-dense", "--grid", "training.batch_size=8,16", "--parallel", "2",
        "--set", "dataset.train_samples=2048", "--set", "dataset.test_samples=64",
        "--set", "training.epochs=6", "--repeats", "2", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    runs = [path.parent for path in folder.glob("*/timings.csv")]
    where = [metric(run, "parallel_cores") for run in runs]
    assert all(not set(a.split()) & set(b.split()) for a, b in zip(*where, strict=True))
    spans = [
        [span(row) for row in rows(run / "timings.csv") if row["phase"] == "total"] for run in runs
    ]
    for (start, end), (other_start, other_end) in zip(*spans, strict=True):
        assert max(start, other_start) < min(end, other_end), "they overlap"
    assert not any((run / "calibration.csv").exists() for run in runs)
