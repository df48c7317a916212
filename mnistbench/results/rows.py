"""The files of a run: CSV tables that a crash cannot hurt, and that concatenate into valid ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from mnistbench.results.cells import defused
from mnistbench.results.inference import InferenceRow

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class TimingRow:
    """One phase of one repeat: a row of timings.csv."""

    run_id: str
    config: str
    config_digest: str
    dataset: str
    data_digest: str
    model: str
    backend: str
    device: str
    precision: str
    epochs: int
    batch_size: int
    repeat: int
    """From 1, in the order they ran; discarded warm-ups are not counted."""
    seed: int
    phase: str
    seconds: float | None
    cpu_seconds: float | None
    start_utc: str
    status: str
    tag: str
    node: str
    user: str


@dataclass(frozen=True)
class MetricRow:
    """One figure of one repeat: a row of metrics.csv."""

    run_id: str
    repeat: int
    metric: str
    value: Cell
    unit: str


@dataclass(frozen=True)
class MachineRow:
    """One fact of the machine: a row of machine.csv."""

    run_id: str
    attribute: str
    value: Cell


@dataclass(frozen=True)
class RateRow:
    """One sample of a workload's rate: a row of calibration.csv and of peak.csv."""

    run_id: str
    workload: str
    size: int
    moment: str
    """`before` the first repeat or `after` the last; empty for `mnistbench peak`."""
    seconds: float
    rate: float
    unit: str


@dataclass(frozen=True)
class HistoryRow:
    """What an epoch of `train` taught, and how fast: a row of history.csv."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the epoch's steps, as Keras has it."""
    accuracy: float
    """Share of the training images guessed right, over the epoch's steps."""
    val_loss: float | None
    """After the epoch; None without validation, as is val_accuracy."""
    val_accuracy: float | None
    learning_rate: float | None
    """At the epoch's end."""
    seconds: float
    """Wall time of the epoch, validation included."""
    samples_per_second: float | None
    """Training images over the time of the training steps, validation excluded."""


@dataclass(frozen=True)
class PredictionRow:
    """One image and what a model took it for: a row of predictions.csv."""

    index: int
    """Place in the set, from 0."""
    label: int
    guess: int
    """As Keras counts it: the first class where the model gives no number (NaN)."""
    probability: float | None
    """What the model gave its guess; None where that is no number."""


@dataclass(frozen=True)
class ClassRow:
    """How well one class was told from the others: a row of classes.csv."""

    name: str
    precision: float | None
    """Share of the guesses of this class that were right; None if there was no guess."""
    recall: float | None
    """Share of the images of this class that were found; None if there is no image."""
    f1: float | None
    """Harmonic mean of the two; None where either is."""
    support: int
    """Images of this class."""


@dataclass(frozen=True)
class GuessRow:
    """One picture of the user's and what a model took it for: a row of guesses.csv."""

    file: str
    guess: str
    """The name of the class."""
    probability: float
    preparation: str
    """What was done to the picture before the model saw it."""


@dataclass(frozen=True)
class SelfcheckRow:
    """What a machine against itself tells of the verdicts on it: a row of selfcheck.csv."""

    figure: str
    """`false_alarms`, `slowdown_found`, `smallest_change` or `pairs_needed`."""
    how: str
    """`disjoint`: from pairs that no other comparison uses; `resampled`: drawn from all of them."""
    pairs: int | None
    """Pairs of one comparison; None where there is no number that would be enough."""
    change: float | None
    """Slowdown put in by scaling one side's times, 0.1 for 10 %; of `smallest_change` the result;
    None where no number of pairs says."""
    comparisons: int
    count: int | None
    """Comparisons in which it happened; None where the figure is no count."""
    share: float | None
    """Of the comparisons, from 0 to 1; of the last two figures, the one aimed at."""
    low: float | None
    """End of the 95 % interval of the share; None if resampled: those comparisons share pairs."""
    high: float | None
    design: str
    """`interleaved`, `duet` or `one-core`: how the pairs were measured."""


@dataclass(frozen=True)
class PartRow:
    """A share of a config's time: a row of explain.csv."""

    part: str
    seconds: float
    """Median over the repeats, or the difference of two medians."""
    share: float
    """Of all parts."""
    measured_by: str


@dataclass(frozen=True)
class SettingRow:
    """A setting, measured against the config as it is: a row of settings.csv."""

    setting: str
    """As for `--set`."""
    n: int
    train_seconds: float
    """Median."""
    times_faster: float
    """The config's train phase over the setting's, over pairs."""
    low: float | None
    """Of the ratio's 95 % interval; None where the repeats are too few to say."""
    high: float | None
    test_accuracy: float
    """Median."""


@dataclass(frozen=True)
class PointRow:
    """One point of a sweep: a row of points.csv."""

    point: int
    """From 1, as in sweep.yaml."""
    settings: str
    """As for `--set`, a blank between two."""
    state: str
    """`planned`, `begun`, `measured`, `failed` where a repeat did not finish, or `pruned`."""
    folder: str
    """In the sweep's folder; empty before its first repeat has ended."""
    repeats: int
    """That have ended."""
    failed: int
    """Of these, those that did not finish."""
    contended: int
    """Of these, those that something else disturbed, as far as is known."""
    train_seconds: float | None
    """Median of those that finished, as are the next ones; None where none did."""
    total_seconds: float | None
    test_accuracy: float | None
    """None too where the choice is made on the validation set, but for the chosen point."""
    validation_accuracy: float | None
    """None where no part of the training set is held out."""
    seconds_to_accuracy: float | None
    """With a target; None where a repeat did not reach it."""
    node: str
    """Where its repeats ran; several with a blank between them."""


@dataclass(frozen=True)
class SweepRow:
    """One finding of a sweep: a row of sweep.csv."""

    finding: str
    """`best_accuracy`, `fastest`, `fastest_to_accuracy`, `train_ratio`, `accuracy_difference` or
    `scaling_efficiency`."""
    point: int | None
    """The chosen one; None for the effect of a setting."""
    setting: str
    """The chosen point's settings, or the field whose effect it is."""
    base: str
    """The value that an effect is against; empty for a choice."""
    value: str
    """The value that has the effect; empty for a choice."""
    n: int
    """Repeats of the chosen point, or pairs that the effect is of."""
    estimate: float
    """Seconds, an accuracy, a ratio or a difference."""
    low: float | None
    """End of an effect's 95 % interval; None for a choice, and for too few pairs to tell."""
    high: float | None
    remark: str
    """Of how many it is the best, and on which images that was decided."""


Row = (
    TimingRow | MetricRow | MachineRow | HistoryRow | PredictionRow | ClassRow | GuessRow
    | PartRow | SettingRow | RateRow | SelfcheckRow | PointRow | SweepRow | InferenceRow
)  # fmt: skip


def columns(row: type[Row]) -> tuple[str, ...]:
    """Return the column names of a table."""
    return tuple(field.name for field in fields(row))


def to_csv(rows: Iterable[Row], header: type[Row] | None = None) -> str:
    """Return rows as RFC 4180 text, after a header line if its row type is given."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    if header is not None:
        writer.writerow(columns(header))
    writer.writerows([_cell(value) for value in astuple(row)] for row in rows)
    return text.getvalue()


def _cell(value: Cell) -> str:
    """Return full precision, true or false, an empty cell for the unknown, and no formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return defused(value)
    return repr(value) if isinstance(value, float) else str(value)


def cell(value: object) -> Cell:
    """Return a value that a table can hold; what is no number or text, as text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


@dataclass(frozen=True)
class Sample:
    """One measured rate of one workload."""

    workload: str
    size: int
    seconds: float
    """Of one or several calls in a row."""
    rate: float
    unit: str


@dataclass(frozen=True)
class Metric:
    """One figure of a repeat beside its times."""

    name: str
    value: float | int | str | bool | None
    unit: str
    """`s`, `bytes`, `samples/s`, `1` for shares and counts; empty for text and losses."""
