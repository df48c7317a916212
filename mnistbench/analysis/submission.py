"""Whether a run can stand beside those of strangers: whole, as shipped, measured often enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from mnistbench.analysis.identity import flattened
from mnistbench.analysis.lessons import LESSONS
from mnistbench.analysis.sides import ALL_PHASES, ConfigRuns, GivenRuns, read_runs, side_of
from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.machine.evidence import CONTENDED
from mnistbench.results import left_out
from mnistbench.results.phases import IMPORT, PHASES, TEST, TOTAL, TRAIN
from mnistbench.results.rows import MetricRow
from mnistbench.results.tables import (
    CONFIG,
    HISTORY,
    MACHINE,
    METRICS,
    TIMINGS,
    is_merged,
    read_table,
)

LEAST_REPEATS = 5
"""Finished repeats without which a median says too little."""
FREE_SETTINGS = ("training.execution", "backend", "training.seed")
"""What may differ from the shipped config: a row says the first two, and the seed is a remark."""
_NO_SETTINGS = ("name", "description", "device", "dataset.path")
_NEEDED = (CONFIG, TIMINGS, METRICS, MACHINE)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MOST_NAMED = 5


@dataclass(frozen=True)
class Submission:
    """A run folder, and what speaks against it or must be said beside it."""

    folder: Path
    run_id: str
    config: RunConfig
    """As its `config.yaml` has it."""
    runs: ConfigRuns
    """Its one run, repeat by repeat."""
    facts: Mapping[str, str]
    """Columns of its timings, and attributes of its machine."""
    contended: int | None
    """Repeats that something else disturbed; None if that is unknown."""
    refused: tuple[str, ...] = ()
    """Why it cannot be submitted, a line each."""
    remarks: tuple[str, ...] = ()
    """What a reader of its times must know, a line each."""

    @property
    def execution(self) -> str:
        """Return `fit` or `fused`."""
        return self.config.training.execution

    @property
    def repeats(self) -> int:
        """Return how many repeats finished."""
        return len(self.seconds(TOTAL))

    def seconds(self, phase: str) -> list[float]:
        """Return a phase's seconds in each finished repeat; empty if it was not measured."""
        values = self.runs.phases.get(phase)
        return [] if values is None else [float(amount) for amount in values.amounts]

    @property
    def accuracies(self) -> list[float]:
        """Return the test accuracy of each finished repeat, from 0 to 1."""
        return [float(accuracy) for accuracy in self.runs.accuracies]


@dataclass(frozen=True)
class _Read:
    """What the rules look at."""

    submission: Submission
    given: GivenRuns

    @property
    def runs(self) -> ConfigRuns:
        return self.submission.runs

    @property
    def facts(self) -> Mapping[str, str]:
        return self.submission.facts


def examine(folder: Path) -> Submission:
    """Return a run with all that speaks against submitting it; raise InputError for no run folder.

    Raises it too for one that cannot be read, that holds several runs, or no finished repeat.
    """
    _check_files(folder)
    given = read_runs(str(folder), (ALL_PHASES,))
    runs = side_of(given).configs
    if len(given.loaded.facts) != 1 or len(runs) != 1:
        raise InputError(
            f"holds {len(given.loaded.facts)} runs", source=folder / TIMINGS, hint=_ONE_BY_ONE
        )
    facts = given.loaded.facts[0]
    if not _RUN_ID.fullmatch(facts["run_id"]):
        raise InputError(f"{facts['run_id']!r} is no id of a run of ours", source=folder / TIMINGS)
    config = load_config(str(folder / CONFIG))
    found = Submission(folder, facts["run_id"], config, runs[0], facts, _contended(folder, runs[0]))
    read = _Read(found, given)
    return replace(
        found,
        refused=tuple(line for rule in REFUSALS for line in rule(read)),
        remarks=tuple(line for rule in REMARKS for line in rule(read)),
    )


def _contended(folder: Path, runs: ConfigRuns) -> int | None:
    rows = read_table(folder, METRICS, MetricRow)
    is_known = any(row.metric == CONTENDED and row.value not in ("", None) for row in rows)
    return runs.contended if is_known else None


_ONE_BY_ONE = "give the folders of the runs, one by one or by a glob in quotes"


def _check_files(folder: Path) -> None:
    if is_merged(folder):
        raise InputError("is a merged folder", source=folder, hint=_ONE_BY_ONE)
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"is not the whole folder of a run: it lacks {', '.join(missing)}",
            source=folder,
            hint="give a folder that mnistbench benchmark wrote",
        )


def _is_a_benchmark(read: _Read) -> Iterator[str]:
    if (read.submission.folder / HISTORY).exists():
        yield "is a training's: only what benchmark measured is compared"


def _as_shipped(read: _Read) -> Iterator[str]:
    config = read.submission.config
    if config.name not in known_configs():
        shipped = ", ".join(known_configs())
        yield f"its config is {config.name}, which is none of those that ship: {shipped}"
        return
    own, shipped_fields = (
        flattened(fields.model_dump(mode="json")) for fields in (config, load_config(config.name))
    )
    differing = [
        f"{name} is {own.get(name, 'not there')}, shipped is {shipped_fields.get(name, 'without')}"
        for name in sorted({*own, *shipped_fields})
        if own.get(name) != shipped_fields.get(name) and name not in (*FREE_SETTINGS, *_NO_SETTINGS)
    ]
    yield from differing[:_MOST_NAMED]
    if len(differing) > _MOST_NAMED:
        yield f"{len(differing) - _MOST_NAMED} more fields differ from the shipped config"


def _rows_of_its_config(read: _Read) -> Iterator[str]:
    config = read.submission.config
    if (read.runs.name, read.runs.digest) != (config.name, config.digest()):
        yield f"its times are of another config than its {CONFIG}"


def _published_data(read: _Read) -> Iterator[str]:
    canonical = read.facts.get("dataset_canonical", "")
    if canonical != "true":
        yield (
            "its images are not the published ones"
            if canonical == "false"
            else "whether its images are the published ones is not known"
        )


def _often_enough(read: _Read) -> Iterator[str]:
    count = read.submission.repeats
    if count < LEAST_REPEATS:
        repeats = "1 finished repeat is" if count == 1 else f"{count} finished repeats are"
        yield f"{repeats} too few: measure with --repeats {LEAST_REPEATS} or more"


def _whole(read: _Read) -> Iterator[str]:
    finished = _repeats_with(read, TOTAL)
    for phase in PHASES:
        lacking = finished - _repeats_with(read, phase)
        if lacking and phase != IMPORT and phase not in read.runs.zeros:
            yield f"repeat {min(lacking)} has no time of {phase}"
    if len(read.runs.accuracies) < len(finished):
        yield f"{len(finished) - len(read.runs.accuracies)} of its repeats have no test accuracy"
    for line in read.given.loaded.left_out:
        if line.reason != left_out.ZERO:  # a coarse clock
            yield str(line)


def _repeats_with(read: _Read, phase: str) -> set[int]:
    values = read.runs.phases.get(phase)
    return set() if values is None else {int(number) for number in np.unique(values.repeat)}


def _alone(read: _Read) -> Iterator[str]:
    design = read.runs.runs[0].design
    if design:
        yield f"was measured as {design}: times on a share of the cores, beside others"


def _mostly_undisturbed(read: _Read) -> Iterator[str]:
    contended, count = read.runs.contended, read.submission.repeats
    if 2 * contended > count:
        yield (
            f"something else disturbed {contended} of its {count} repeats: measure again on a "
            "quieter machine"
        )


def _learnt(read: _Read) -> Iterator[str]:
    report = LESSONS.get(read.submission.config.name)
    if report is None or not len(read.runs.accuracies):
        return
    accuracy = median(read.submission.accuracies)
    if not report.lowest <= accuracy <= report.highest:
        yield (
            f"its test accuracy, {accuracy:.4f}, is not that of this network: "
            f"{report.lowest:g} to {report.highest:g}"
        )


Rule = Callable[[_Read], Iterator[str]]

REFUSALS: tuple[Rule, ...] = (
    _is_a_benchmark, _as_shipped, _rows_of_its_config, _published_data, _often_enough, _whole,
    _alone, _mostly_undisturbed, _learnt,
)  # fmt: skip
"""What makes a run no row of a table of strangers' machines; a new rule is an entry here."""


def _disturbed(read: _Read) -> Iterator[str]:
    contended, repeats = read.submission.contended, read.submission.repeats
    if contended is None:
        yield "whether something else disturbed it is not known"
    elif 0 < 2 * contended <= repeats:
        yield f"something else disturbed {contended} of {repeats} repeats"


def _unfinished(read: _Read) -> Iterator[str]:
    if read.runs.unfinished:
        repeats = "repeat" if read.runs.unfinished == 1 else "repeats"
        yield f"{read.runs.unfinished} {repeats} did not finish"
    planned = read.facts.get("repeats_planned", "")
    if planned.isdecimal() and int(planned) > read.submission.repeats + read.runs.unfinished:
        yield f"ended before its {planned} planned repeats"


def _until_precise(read: _Read) -> Iterator[str]:
    if read.runs.runs[0].target:
        yield "repeated until its interval was narrow enough"


def _drifted(read: _Read) -> Iterator[str]:
    for ratio in read.runs.drifts:
        yield f"it drifted: the last training took {ratio:.2f} times as long as the first"


def _seeded(read: _Read) -> Iterator[str]:
    config = read.submission.config
    if config.name in known_configs():
        shipped = load_config(config.name).training.seed
        if config.training.seed != shipped:
            yield f"its seed is {config.training.seed}, shipped is {shipped}"


def _variables(read: _Read) -> Iterator[str]:
    for name, value in sorted(read.facts.items()):
        if name.startswith("env_") and value:
            yield f"{name.removeprefix('env_')}={left_out.shortened(value)} was set"


def _changed_code(read: _Read) -> Iterator[str]:
    if read.facts.get("mnistbench_git_commit", "").endswith("-dirty"):
        yield "measured by a checkout of mnistbench with changes of its own"


REMARKS: tuple[Rule, ...] = (
    _disturbed, _unfinished, _until_precise, _drifted, _seeded, _variables, _changed_code,
)  # fmt: skip
"""What is no reason to refuse a run, and a reader should know."""


def machine_in_words(facts: Mapping[str, str]) -> str:
    """Return what computes, as `AMD EPYC 7B13, 2 threads`; empty if that is unknown."""
    if facts.get("device") == "gpu":
        count = facts.get("gpu_count", "")
        several = f"{count} x " if count.isdecimal() and int(count) > 1 else ""
        return f"{several}{facts['gpu_0_name']}" if facts.get("gpu_0_name") else ""
    model = _MARKS.sub(" ", facts.get("cpu_model", "")).split()
    threads = facts.get("cpu_affinity_threads") or facts.get("cpu_threads")
    if not model:
        return ""
    return f"{' '.join(model)}, {threads} threads" if threads else " ".join(model)


_MARKS = re.compile(r"\((R|TM|r|tm)\)|\bCPU\b|@.*|\bProcessor\b|\b\d+-Core\b")


def machine_name(facts: Mapping[str, str]) -> str:
    """Return the same as the name of a folder: `amd-epyc-7b13-2-threads`."""
    return re.sub(r"[^a-z0-9]+", "-", machine_in_words(facts).lower()).strip("-")


def summary(submission: Submission) -> str:
    """Return what was measured, in a line."""
    train, test = (submission.seconds(phase) for phase in (TRAIN, TEST))
    figures = [
        f"{name} {median(values):.4g} s"
        for name, values in ((TRAIN, train), (TEST, test))
        if values
    ]
    if submission.accuracies:
        figures.append(f"accuracy {median(submission.accuracies):.4f}")
    repeats = "1 repeat" if submission.repeats == 1 else f"{submission.repeats} repeats"
    medians = f", medians: {', '.join(figures)}" if figures else ""
    return f"{submission.config.name}, {submission.execution}, {repeats}{medians}"
