"""The published results, row by row, as they lie in the folders below results/."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mnistbench.analysis.lessons import LESSONS
from mnistbench.analysis.submission import Submission, examine, machine_in_words
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.loading import load_config
from mnistbench.results.phases import TEST, TOTAL, TRAIN
from mnistbench.results.tables import METRICS, TIMINGS

RESULTS = Path(__file__).parents[1] / "results"
CONFIGS = tuple(LESSONS)
LESSON, VM, PEERS = "lesson-2019-colab", "two-core-cloud-vm", "two-core-cloud-vm-peers"
BUSY = "a busy machine: other programs used both of its cores"
_BY_PEERS = "by `benchmarks/peers.py`, not `mnistbench benchmark`: the train phase alone"


@dataclass
class Measured:
    """One config in one row."""

    train: list[float]
    """Seconds of each finished repeat, as the next two."""
    test: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    contended: int | None = None
    """Repeats that something else disturbed; None if that is unknown."""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Key:
    """What a row is of: repeats that agree in it are told together."""

    machine: str
    """Its folder below results/."""
    date: str
    execution: str
    framework: str
    """With its version."""
    device: str


@dataclass
class Row:
    """One machine on one day, in one execution and with one framework."""

    key: Key
    words: str
    """The machine."""
    remark: str = ""
    """On all of it."""
    configs: dict[str, Measured] = field(default_factory=dict)


def rows_of(results: Path = RESULTS) -> list[Row]:
    """Return the lessons' row, those of the reference runs, and those that were submitted."""
    reference = results / "reference"
    rows = [_lesson(reference / LESSON)]
    rows += _runs(sorted((reference / VM).glob(f"*/{TIMINGS}")), results, BUSY)
    rows += [_peers(reference / PEERS, rows[-1])]
    rows += _runs(sorted((results / "machines").glob(f"*/*/*/{TIMINGS}")), results, "")
    return rows


def _runs(files: Iterable[Path], results: Path, remark: str) -> list[Row]:
    rows: dict[Key, Row] = {}
    for file in files:
        run = examine(file.parent)
        facts = run.facts
        below = file.relative_to(results).parts
        date = below[2] if below[0] == "machines" else facts["started_utc"][:10]
        key = Key(
            "/".join(below[:2]), date, run.execution, _framework(facts),
            facts.get("device", ""),
        )  # fmt: skip
        row = rows.setdefault(key, Row(key, machine_in_words(facts), remark))
        _add(row.configs, run)
    return [
        rows[key] for key in sorted(rows, key=lambda key: (key.machine, key.date, key.execution))
    ]


def _framework(facts: Mapping[str, str]) -> str:
    backend = facts["backend"]
    return f"{BACKENDS[backend].title} {facts.get(f'{backend}_version', '')}".strip()


def _add(configs: dict[str, Measured], run: Submission) -> None:
    measured = configs.setdefault(run.config.name, Measured([], contended=0))
    measured.train += run.seconds(TRAIN)
    measured.test += run.seconds(TEST)
    measured.total += run.seconds(TOTAL)
    measured.accuracies += run.accuracies
    if run.contended is None or measured.contended is None:
        measured.contended = None
    else:
        measured.contended += run.contended
    measured.remarks += [line for line in run.remarks if line not in measured.remarks]


def _lesson(folder: Path) -> Row:
    """Return the row of the timing table that the benchmark lesson prints."""
    timings = _table(folder / TIMINGS)
    first = timings[0]
    seconds = {row["phase"]: [float(row["seconds"])] for row in timings}
    accuracies = [
        float(row["value"]) for row in _table(folder / METRICS) if row["metric"] == "test_accuracy"
    ]
    key = Key(f"reference/{folder.name}", first["start_utc"][:10], "fit", "TensorFlow", "")
    measured = Measured(seconds[TRAIN], seconds[TEST], [], accuracies)
    remark = "as the benchmark lesson prints it; its TensorFlow and processor are not told"
    return Row(key, "Google Colab, 2 threads", remark, {first["config"]: measured})


def _peers(folder: Path, like: Row) -> Row:
    """Return what `fused` took beside its peers, of configs at their own epochs and images."""
    key = Key(f"reference/{folder.name}", like.key.date, "fused", like.key.framework, "cpu")
    row = Row(key, like.words, f"{BUSY}; {_BY_PEERS}")
    for config in CONFIGS:
        epochs = str(load_config(config).training.epochs)
        found = [
            outcome
            for file in sorted(folder.glob("*.csv"))
            for outcome in _table(file)
            if (outcome["config"], outcome["peer"], outcome["epochs"], outcome["status"])
            == (config, "fused-tensorflow", epochs, "ok")
            and not outcome["train_samples"]
        ]
        if found:
            row.configs[config] = Measured(
                [float(outcome["train_seconds"]) for outcome in found],
                accuracies=[float(outcome["accuracy"]) for outcome in found],
            )
    return row


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))
