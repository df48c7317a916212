"""Duets: two sides at the same time, each on its half of the cores, told apart from plain times."""

from __future__ import annotations

import csv
import os
import shutil
import statistics
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import FEW, Session, benchmark_here, failure_line, rows, run_here
from hand_written_runs import compare
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.analysis import stats
from mnistbench.analysis.pairing import without_halves
from mnistbench.machine.shares import Core, cores, shares
from mnistbench.results.phases import TRAIN, PhaseRecord

MANY = psutil.cpu_count() or 1
needs_two_cores = pytest.mark.skipif(MANY < 2, reason="a duet needs two cores")


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """Undo the pinning of a test worker to one core: a duet needs two."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(MANY))
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module")
def duet(all_cores: None, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Two configs that differ in their batch size, three rounds."""
    folder = tmp_path_factory.mktemp("duet")
    other = folder / "other.yaml"
    text = run_here("config", "show", "mnist-dense-512").stdout
    other.write_text(text.replace("name: mnist-dense-512", "name: other"))
    return benchmark_here(
        folder / "out", "mnist-dense-512", str(other), *FEW, "--set", "training.epochs=6",
        "--repeats", "4", "--duet",
    )  # fmt: skip


def at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@needs_two_cores
def test_both_sides_train_at_the_same_time(duet: Session) -> None:
    assert duet.done.returncode == 0, duet.done.stderr
    sides = [rows(duet.folder(name) / "timings.csv") for name in ("mnist-dense-512", "other")]
    for phase in ("train", "test"):
        starts, lengths = [], []
        for table in sides:
            chosen = [row for row in table if row["phase"] == phase]
            starts.append([at(row["start_utc"]) for row in chosen])
            lengths.append([float(row["seconds"]) for row in chosen])
        assert len(starts[0]) == len(starts[1]) == 4
        for one, other in zip(*starts, strict=True):
            assert abs(one - other) < min(map(min, lengths)), "they overlap"


@pytest.fixture(scope="module")
def one_core(all_cores: None, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A config against three times its epochs, on one core, two rounds."""
    folder = tmp_path_factory.mktemp("one_core")
    longer = folder / "longer.yaml"
    text = run_here("config", "show", "mnist-dense-512").stdout
    longer.write_text(
        text.replace("name: mnist-dense-512", "name: longer").replace("epochs: 1", "epochs: 3")
    )
    return benchmark_here(
        folder / "out", "mnist-dense-512", str(longer), "--set", "dataset.train_samples=6000",
        "--set", "dataset.test_samples=100", "--repeats", "2", "--one-core",
    )  # fmt: skip


SHARING = ("mnist-dense-512", "longer")


def test_both_sides_share_one_core_and_its_time(one_core: Session) -> None:
    assert one_core.done.returncode == 0, one_core.done.stderr
    used = [one_core.metric(name, "duet_cores") for name in SHARING]
    assert used[0] == used[1]
    assert len(set(used[0])) == 1
    assert used[0][0].isdecimal()
    trains = [
        [row for row in rows(one_core.folder(name) / "timings.csv") if row["phase"] == "train"]
        for name in SHARING
    ]
    for short, long in zip(*trains, strict=True):
        assert abs(at(short["start_utc"]) - at(long["start_utc"])) < float(short["seconds"])
        assert float(long["cpu_seconds"]) > 1.2 * float(short["cpu_seconds"])
    # The shorter one shared it from beginning to end; asleep it needs none.
    awake = one_core.metric(SHARING[0], "train_without_teardown_seconds")
    for seconds, short in zip(awake, trains[0], strict=True):
        assert float(seconds) > 1.5 * float(short["cpu_seconds"])


def test_its_rows_say_what_they_are(one_core: Session, duet: Session) -> None:
    for name in SHARING:
        table = rows(one_core.folder(name) / "timings.csv")
        assert {row["status"] for row in table} == {"one-core", "inherited"}
        facts = {
            row["attribute"]: row["value"] for row in rows(one_core.folder(name) / "machine.csv")
        }
        assert facts["design"] == "one-core"
    assert "One core in turns with a busy neighbour" in one_core.done.stdout
    sides = [str(one_core.folder(name)) for name in SHARING]
    code, output, _ = compare(*sides, "--phase", "train")
    assert code in (3, 4)
    assert "both sides in turns of milliseconds on one core" in " ".join(output.split())
    code, output, _ = compare(sides[0], str(duet.folder("mnist-dense-512")))
    assert code == 5
    assert "on one core, which it shared" in " ".join(output.split())


def test_on_one_core_the_processor_times_are_compared(one_core: Session) -> None:
    # While one of them sleeps, the other has the whole core: of wall times the ratio is nearer 1.
    folders = [one_core.folder(name) for name in SHARING]
    _, output, _ = compare(*map(str, folders), "--phase", "train")
    assert "releasing input" not in output, "asleep it takes no processor time"
    _, output, _ = compare(*map(str, folders), "--phase", "train", "--format", "csv")
    (row,) = csv.DictReader(output.splitlines())
    # The effect of the places takes one.
    assert row["reason"] == "2 pairs: 3 or more are needed, 10 advised"
    page = run_here("report", *map(str, folders), "--format", "markdown").stdout
    assert "by the processor's time: no times of the machine" in page
    alone = run_here("report", str(folders[0]), "--format", "markdown").stdout
    first = next(line for line in alone.splitlines() if "trains in" in line)
    assert "measured on one core, which it shared" in first and "no time of the machine" in first
    for side, folder in zip(("base", "new"), folders, strict=True):
        trains = [row for row in rows(folder / "timings.csv") if row["phase"] == "train"]
        middle = statistics.median(float(train["cpu_seconds"]) for train in trains)
        assert float(row[f"{side}_median_seconds"]) == pytest.approx(middle, rel=1e-9)


def test_one_core_without_a_processor_time_is_told(one_core: Session, tmp_path: Path) -> None:
    folder = tmp_path / one_core.folder(SHARING[0]).name
    shutil.copytree(one_core.folder(SHARING[0]), folder)
    table = rows(folder / "timings.csv")
    first = next(row for row in table if row["phase"] == "train")
    first["cpu_seconds"] = ""
    with (folder / "timings.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, table[0])
        writer.writeheader()
        writer.writerows(table)
    code, output, errors = compare(str(folder), str(one_core.folder(SHARING[1])))
    assert code == 4
    assert "1 phase on one core without its processor time is left out" in " ".join(
        (output + errors).split()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist-dense"], "--one-core: takes two configs, and 1 were given"),
        (["mnist-dense", "mnist-dense", "--duet"], "--one-core: is another way than --duet"),
        (["mnist-dense", "mnist-dense", "--roofline"], "--roofline: one core is not the machine"),
    ],
)
def test_what_cannot_share_a_core_is_one_line(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = run_here("benchmark", *arguments, "--one-core", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert words in failure_line(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@needs_two_cores
def test_selfcheck_measures_every_design(all_cores: None, tmp_path: Path) -> None:
    done = run_here(
        "selfcheck", *FEW, "--pairs", "5", "--duet", "--one-core", "--output", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    tables = [rows(file) for file in tmp_path.glob("*/selfcheck.csv")]
    assert sorted(table[0]["design"] for table in tables) == [
        "duet", "interleaved", "one-core",
    ]  # fmt: skip
    assert len(list(tmp_path.iterdir())) == 6
    last = [line for line in done.stdout.splitlines() if line.startswith("On this machine: ")]
    assert len(last) == 1
    assert "; duet: with " in last[0]
    assert "needs" in last[0]


@needs_two_cores
def test_halves_are_disjoint_and_swap_every_round(duet: Session) -> None:
    used = [duet.metric(name, "duet_cores") for name in ("mnist-dense-512", "other")]
    for base, new in zip(*used, strict=True):
        assert not set(base.split()) & set(new.split())
    for side in used:
        assert side[0] == side[2] != side[1] == side[3]


@needs_two_cores
def test_every_row_says_what_it_is(duet: Session) -> None:
    for name in ("mnist-dense-512", "other"):
        table = rows(duet.folder(name) / "timings.csv")
        assert {row["status"] for row in table} == {"duet", "inherited"}
        facts = {row["attribute"]: row["value"] for row in rows(duet.folder(name) / "machine.csv")}
        assert facts["design"] == "duet"
        assert not (duet.folder(name) / "calibration.csv").exists()
    assert "no times of the machine" in duet.done.stdout


@needs_two_cores
def test_compare_pairs_a_duet_and_takes_it_for_nothing_else(duet: Session, tmp_path: Path) -> None:
    base, other = (str(duet.folder(name)) for name in ("mnist-dense-512", "other"))
    code, output, _ = compare(base, other)
    assert code in (0, 3, 4)
    assert "paired: a duet, measured at the same time" in " ".join(output.split())
    plain = benchmark_here(tmp_path, "mnist-dense-512", *FEW, "--no-calibrate")
    code, output, _ = compare(base, str(plain.folder("mnist-dense-512")))
    assert code == 5
    assert "on half of the cores, beside a busy neighbour" in " ".join(output.split())
    code, output, _ = compare(str(plain.folder("mnist-dense-512")), other)
    assert code == 5


@needs_two_cores
def test_the_model_that_is_tested_is_the_one_that_was_trained(
    duet: Session, tmp_path: Path
) -> None:
    """The further, untimed epochs of who ends first leave no trace in what was learnt."""
    plain = benchmark_here(
        tmp_path, "mnist-dense-512", *FEW, "--set", "training.epochs=6", "--no-calibrate"
    )
    (alone,) = plain.metric("mnist-dense-512", "test_accuracy")
    beside = duet.metric("mnist-dense-512", "test_accuracy")[0]
    assert float(beside) == pytest.approx(float(alone), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["mnist-dense"],
            "--duet: takes two configs, and 1 were given",
        ),
        (["mnist-dense", "mnist-mlp", "mnist-cnn"], "--duet: takes two configs, and 3 were given"),
        (
            ["mnist-dense", "mnist-dense", "--roofline"],
            "--roofline: half of the cores is not the machine",
        ),
    ],
)
def test_what_is_no_duet_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, all_cores: None
) -> None:
    done = run_here("benchmark", *arguments, "--duet", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert words in failure_line(done)
    assert not (tmp_path / "out").exists()


def test_one_core_is_too_few(tmp_path: Path, all_cores: None) -> None:
    os.sched_setaffinity(0, {0})
    try:
        done = run_here(
            "benchmark", "mnist-dense", "mnist-dense", "--duet", "--output", str(tmp_path / "out")
        )
    finally:
        os.sched_setaffinity(0, range(MANY))
    assert done.returncode == 2
    assert "--duet: needs two physical cores" in failure_line(done)


def machine(root: Path, *cpus: tuple[int, int, str]) -> Path:
    """Write what the kernel tells of CPU threads: socket, core, and who shares the last cache."""
    for number, (socket, core, shared) in enumerate(cpus):
        topology = root / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
        (topology / "core_id").write_text(f"{core}\n")
        for level, who in (("1", str(number)), ("3", shared)):
            index = root / f"cpu{number}" / "cache" / f"index{level}"
            index.mkdir(parents=True)
            (index / "level").write_text(level)
            (index / "shared_cpu_list").write_text(who)
    return root


def test_two_threads_of_one_core_stay_on_one_side(tmp_path: Path) -> None:
    root = machine(tmp_path, (0, 0, "0-3"), (0, 1, "0-3"), (0, 0, "0-3"), (0, 1, "0-3"))
    assert cores(range(4), root) == [Core((0, 2), "0/0-3"), Core((1, 3), "0/0-3")]
    assert shares(cores(range(4), root), 2) == ((0, 2), (1, 3))
    assert shares(cores([0, 2], root), 2) is None, "two threads, one core"


def test_each_cache_is_shared_out_evenly(tmp_path: Path) -> None:
    root = machine(tmp_path, *[(0, n, "0-2") for n in range(3)], *[(1, n, "3-5") for n in range(3)])
    assert shares(cores(range(6), root), 2) == ((0, 3), (1, 4)), "an odd core goes unused"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=20))
def test_halves_are_equal_and_whole(listed: list[tuple[int, int]]) -> None:
    number, available = 0, []
    for place, threads in listed:
        available.append(Core(tuple(range(number, number + threads)), str(place)))
        number += threads
    cut = shares(available, 2)
    if cut is None:
        assert len(available) < 2
        return
    first, second = map(set, cut)
    assert not first & second
    counts = [sum(set(core.threads) <= half for core in available) for half in (first, second)]
    assert counts[0] == counts[1] > 0
    assert {t for core in available if set(core.threads) & first for t in core.threads} == first


@pytest.mark.parametrize("n", [5, 10, 20])
def test_the_interval_holds_where_one_half_is_slower(n: int) -> None:
    random = np.random.default_rng(n)
    rounds = np.arange(1, n + 1)
    held = []
    for _ in range(600):
        shared = random.normal(0, 0.3, n)  # what disturbs both sides alike
        half = np.where(rounds % 2 == 1, 0.06, -0.06)
        base = np.exp(shared + half + random.normal(0, 0.05, n))
        new = 1.1 * np.exp(shared - half + random.normal(0, 0.05, n))
        interval = stats.paired_ratio(*without_halves(base, new, rounds), 0.95, removed=1)
        held.append(interval.low <= 1.1 <= interval.high)
    assert np.mean(held) >= 0.93


def test_what_the_halves_differ_by_is_taken_out_of_both_sides() -> None:
    rounds = np.arange(1, 9)
    half = np.where(rounds % 2 == 1, 1.2, 1 / 1.2)
    base, new = without_halves(np.full(8, 2.0) * half, np.full(8, 3.0) / half, rounds)
    assert new / base == pytest.approx(np.full(8, 1.5))
    few = without_halves(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]), rounds[:3])
    assert few[0].tolist() == [1.0, 2.0, 3.0], "three rounds cannot tell it"


def test_a_side_that_is_gone_holds_nobody_up() -> None:
    """With a stand-in for the processes: only what is said to whom is the matter here."""
    from mnistbench.measuring.partners import Go, PartnerEnded, Ready
    from mnistbench.session.duet import Conductor

    class Channel:
        def __init__(self) -> None:
            self.sent: list[object] = []

        def send(self, message: object) -> None:
            self.sent.append(message)

    class Process:
        def __init__(self) -> None:
            self.channel = Channel()

    sides = [Process(), Process()]
    conductor = Conductor(lambda event: None)
    for number, side in enumerate(sides):
        conductor.add(number, side)  # type: ignore[arg-type]
    conductor.hear(0, Ready(TRAIN))
    assert sides[0].channel.sent == []
    conductor.hear(1, Ready(TRAIN))
    assert sides[0].channel.sent == sides[1].channel.sent == [Go(TRAIN)]
    conductor.hear(0, PhaseRecord(TRAIN, 1.0, 1.0, "", "ok"))
    assert sides[1].channel.sent[1:] == [PartnerEnded(TRAIN)]
    conductor.leave(1)
    assert {Go("test"), PartnerEnded("test"), PartnerEnded(TRAIN)} <= set(sides[0].channel.sent)
