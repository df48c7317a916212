"""From attempts to points: of each point one attempt is kept, and every repeat exactly once."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.analysis.sweeps import RepeatFigures
from mnistbench.results.folder import RunFolder, output_error
from mnistbench.results.phases import STATUS_OK
from mnistbench.results.rows import MetricRow, TimingRow
from mnistbench.results.tables import LEFT_OUT, METRICS, TIMINGS, read_table
from mnistbench.session.sweep.attempts import AttemptFolder, attempt_folders
from mnistbench.session.sweep.progress import (
    SweepProgress,
    keep_only,
    repeats_in,
    write_report_of,
)

LiveJobs = Callable[[], frozenset[str] | None]
"""What tells Slurm's jobs that have not ended; None where it cannot be asked."""


@dataclass(frozen=True)
class _Candidate:
    """An attempt that nothing more comes of, and what of it is wanted."""

    attempt: AttemptFolder
    wanted: tuple[RepeatFigures, ...]
    """Whole repeats that the point lacks."""

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Return what the best has least of: the most that finished, then the earliest."""
        finished = sum(repeat.status == STATUS_OK for repeat in self.wanted)
        return -finished, -len(self.wanted), self.attempt.restart, self.attempt.path.name


def collect(progress: SweepProgress, sweep: Path, live_jobs: LiveJobs) -> list[str]:
    """Move what attempts have left to the places of their points; return a line for each news.

    An attempt that may still go on is left alone, and so is its point as long as no other attempt
    has all of it. Raises InputError and OutputError.
    """
    attempts = attempt_folders(sweep)
    if not attempts:
        return []
    unsure = any(attempt.job and not attempt.has_ended for attempt in attempts)
    live = live_jobs() if unsure else frozenset[str]()
    places = {point.folder: index for index, point in enumerate(progress.points)}
    by_point: dict[int, list[AttemptFolder]] = defaultdict(list)
    lines = []
    for attempt in attempts:
        index = places.get(attempt.run.name) if attempt.run else None
        if index is not None:
            by_point[index].append(attempt)
        elif attempt.run is not None:
            lines.append(f"{attempt.run} is of no point of this sweep: it is left where it is")
        elif attempt.is_settled(live):  # it began, and never got as far as a run
            shutil.rmtree(attempt.path)
    for index, of_point in by_point.items():
        lines += _collect_point(progress, index, of_point, sweep, live)
    return lines


def _collect_point(
    progress: SweepProgress, index: int, attempts: Sequence[AttemptFolder], sweep: Path,
    live: frozenset[str] | None,
) -> list[str]:  # fmt: skip
    point = progress.points[index]
    have = {repeat.repeat for repeat in point.repeats}
    missing = progress.plan.repeats - len(have)
    settled = [attempt for attempt in attempts if attempt.is_settled(live)]
    goes_on = len(settled) < len(attempts)
    candidates = sorted((_candidate(each, have) for each in settled), key=lambda each: each.rank)
    best = candidates[0] if missing and candidates and candidates[0].wanted else None
    if goes_on and missing and (best is None or len(best.wanted) < missing):
        return []
    lines = []
    if best is not None:
        candidates.remove(best)
        _take(best, sweep / point.folder)
        progress.read_point(index)
        lines.append(_taken_line(point.number, best))
    return [*lines, *(_leave_out(each, point.number, sweep, not missing) for each in candidates)]


def _candidate(attempt: AttemptFolder, have: Collection[int]) -> _Candidate:
    assert attempt.run is not None
    whole, _ = repeats_in(attempt.run)
    # What broke an attempt off may have killed its measuring process first: that is no result.
    usable = [r for r in whole if attempt.has_ended or not r.status.startswith("killed:")]
    return _Candidate(attempt, tuple(r for r in usable if r.repeat not in have))


def _take(chosen: _Candidate, place: Path) -> None:
    """Move an attempt's repeats to a point's place; broken off anywhere, it can be done again."""
    run, attempt = chosen.attempt.run, chosen.attempt.path
    assert run is not None
    numbers = {repeat.repeat for repeat in chosen.wanted}
    if place.exists():
        _append(run, numbers, place)
    else:
        keep_only(run, numbers)
        try:
            run.rename(place)
        except OSError as error:
            raise output_error(place, error) from None
    write_report_of(place)
    shutil.rmtree(attempt)


def _append(run: Path, numbers: Collection[int], place: Path) -> None:
    """Add repeats to those that are there: the other rows of the attempt are of no use."""
    keep_only(run, numbers)
    folder = RunFolder(place)
    timings = read_table(run, TIMINGS, TimingRow)
    metrics = read_table(run, METRICS, MetricRow)
    folder.append(TIMINGS, timings)
    folder.append(METRICS, metrics)
    folder.log(f"repeats {_listed(numbers)} are of attempt {run.parent.name}")


def _taken_line(number: int, chosen: _Candidate) -> str:
    nodes = ", ".join(dict.fromkeys(repeat.node for repeat in chosen.wanted))
    noun = "repeat" if len(chosen.wanted) == 1 else "repeats"
    failed = sum(repeat.status != STATUS_OK for repeat in chosen.wanted)
    text = f"point {number}: {len(chosen.wanted)} {noun} from {nodes}"
    return f"{text}, {failed} of them did not finish" if failed else text


def _leave_out(candidate: _Candidate, number: int, sweep: Path, is_whole: bool) -> str:
    attempt = candidate.attempt
    place = sweep / LEFT_OUT / attempt.path.name
    try:
        place.parent.mkdir(exist_ok=True)
        attempt.path.rename(place)
    except OSError as error:
        raise output_error(place, error) from None
    why = "another one is kept" if is_whole or candidate.wanted else "it has no whole repeat"
    return f"point {number}: attempt {attempt.path.name} is left out, {why}: {place}"


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
