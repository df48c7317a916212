"""What a sweep costs beside its trainings: by a stand-in for the processes, and by real ones.

    python benchmarks/sweeps.py scale [POINTS]...     plan, index, read back: nothing is trained
    python benchmarks/sweeps.py resume [POINTS]...    begun, broken off, gone on with: by a stand-in
    python benchmarks/sweeps.py search [POINTS]...    the same of a search by each sampler
    python benchmarks/sweeps.py real [POINTS]         a sweep beside a shell loop of `benchmark`

`scale` writes the folders of points that have ended as a killed sweep leaves them, and times each
step for more and more points. `real` trains about a second a point, as many points by one `sweep`,
and a tenth as many by calls of `benchmark`, and prints what of each point lies outside its phases.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnistbench.config.loading import read_fields
from mnistbench.config.sweep_space import space_of_grid
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import PHASES
from mnistbench.results.rows import MetricRow, TimingRow, to_csv
from mnistbench.results.tables import METRICS, SWEEP_PLAN, TIMINGS
from mnistbench.session.sweep.plan import SweepPlan, make_plan
from mnistbench.session.sweep.plan_file import plan_text, read_plan
from mnistbench.session.sweep.progress import SweepProgress

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the stand-in for processes

POINTS = (2_500, 5_000, 10_000)
METRICS_OF_A_REPEAT = 75
ONE_SECOND = (
    "--set", "dataset.train_samples=1600", "--set", "dataset.test_samples=5000", "-q",
)  # fmt: skip


def main() -> None:
    what, *numbers = sys.argv[1:] or ["scale"]
    if what == "scale":
        for points in map(int, numbers or POINTS):
            scale(points)
    elif what == "resume":
        for points in map(int, numbers or POINTS):
            resume(points)
    elif what == "search":
        for trials in map(int, numbers or (100, 200, 400)):
            search(trials)
    else:
        real(int(numbers[0]) if numbers else 200)


@contextmanager
def timed(name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"  {name:<28} {time.perf_counter() - start:6.2f} s", flush=True)


def scale(points: int) -> None:
    """Print what each step takes that is not measuring."""
    print(f"{points:,} points")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with timed("plan and check every point"):
            plan = make_plan(read_fields("mnist-dense"), space_of_grid(grid_of(points), None), 1)
        with timed("write the plan"):
            (folder / SWEEP_PLAN).write_text(plan_text(plan))
        with timed("the index, a hundred times"):
            progress = SweepProgress(plan, RunFolder(folder))
            for _ in range(100):
                progress.write_index()
        write_ended(folder, plan)
        with timed("read the plan back"):
            plan = read_plan(folder)
        progress = SweepProgress(plan, RunFolder(folder))
        with timed("find what has ended"):
            progress.read()
        with timed("mend what was half written"):
            progress.repair()
        with timed("findings and index"):
            progress.write_findings()
        assert not progress.missing()


def grid_of(points: int) -> tuple[str, str]:
    """Return what is a grid of so many points."""
    values = ",".join(str(2 + number) for number in range(points // 5))
    return "training.epochs=1,2,3,4,5", f"training.batch_size={values}"


def resume(points: int) -> None:
    """Print what a sweep costs whose trainings take no time, in two halves."""
    from fake_sweeps import plan_of

    print(f"{points:,} points")
    with timed("plan and check every point"):
        plan = plan_of(*grid_of(points))
    in_two_halves(plan)


def search(trials: int) -> None:
    """Print what a search costs whose trainings take no time."""
    from fake_sweeps import search_of

    rate, batch = "training.learning_rate=1e-5..1:log", "training.batch_size=16..512:log"
    for sampler in ("random", "tpe"):
        print(f"{trials:,} trials by {sampler}")
        in_two_halves(search_of(rate, batch, trials=trials, sampler=sampler))


def in_two_halves(plan: SweepPlan) -> None:
    from fake_sweeps import Fake, quiet, terms

    from mnistbench.session.events import TurnEnded
    from mnistbench.session.sweep import lock
    from mnistbench.session.sweep.sweep import look_at_sweep, resume_sweep, start_sweep

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / plan.sweep_id
        ended = 0

        def listen(event: object) -> None:
            nonlocal ended
            ended += isinstance(event, TurnEnded)
            if ended == plan.planned // 2 and not (folder / "stop").exists():
                lock.ask_to_stop(folder)

        with timed("the first half"):
            start_sweep(plan, Path(scratch), terms(Fake()), listen)
        with timed("how far it is"):
            look_at_sweep(folder)
        with timed("the second half"):
            assert resume_sweep(folder, terms(Fake()), quiet).is_whole
        with timed("go on where all is there"):
            assert resume_sweep(folder, terms(Fake()), quiet).is_whole


def write_ended(folder: Path, plan: SweepPlan) -> None:
    """Write the two tables of every point, as many rows as real ones have."""
    for index, config in enumerate(plan.configs):
        run_id = plan.run_id(index)
        epochs, batch = config.training.epochs, config.training.batch_size
        rows = [
            TimingRow(
                run_id, config.name, "", "mnist", "", "dense", "tensorflow", "cpu", "float32",
                epochs, batch, 1, 1, phase, 0.5, 0.5, "", "ok", "", "node", "user",
            )
            for phase in PHASES
        ]  # fmt: skip
        names = [f"metric_{number}" for number in range(METRICS_OF_A_REPEAT - 2)]
        metrics = [MetricRow(run_id, 1, name, 0.5, "1") for name in names]
        metrics += [MetricRow(run_id, 1, "test_accuracy", 0.9, "1")]
        metrics += [MetricRow(run_id, 1, "contention", None, "")]
        run = folder / run_id
        run.mkdir()
        (run / TIMINGS).write_text(to_csv(rows, TimingRow), newline="")
        (run / METRICS).write_text(to_csv(metrics, MetricRow), newline="")


def real(points: int) -> None:
    """Print what a point costs by a sweep, and by a call of `benchmark` for each."""
    with tempfile.TemporaryDirectory() as scratch:
        values = ",".join(str(32 + number) for number in range(points))
        start = time.perf_counter()
        run("sweep", "mnist-dense", "--grid", f"training.batch_size={values}", *ONE_SECOND,
            "--output", f"{scratch}/sweep")  # fmt: skip
        by_sweep = (time.perf_counter() - start) / points
        totals = list(totals_of(Path(scratch) / "sweep"))
        phases = statistics.mean(totals)
        print(f"{points} points of {phases:.2f} s in their phases")
        print(f"sweep: {by_sweep:.2f} s a point, {by_sweep - phases:.2f} s outside the phases")
        calls = max(3, points // 10)
        start = time.perf_counter()
        for number in range(calls):
            run("benchmark", "mnist-dense", "--set", f"training.batch_size={32 + number}",
                *ONE_SECOND, "--output", f"{scratch}/loop")  # fmt: skip
        by_loop = (time.perf_counter() - start) / calls
        print(f"shell loop: {by_loop:.2f} s a point (n = {calls}), {by_loop / by_sweep:.1f} times")


def run(*arguments: str) -> None:
    command = [sys.executable, "-m", "mnistbench", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def totals_of(output: Path) -> Iterator[float]:
    from mnistbench.results.tables import read_table

    for timings in output.glob(f"*/*/{TIMINGS}"):
        for row in read_table(timings.parent, TIMINGS, TimingRow):
            if row.phase == "total" and row.seconds is not None:
                yield row.seconds


if __name__ == "__main__":
    main()
