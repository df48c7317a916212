"""The files of a run: CSV tables that a crash cannot hurt, and that concatenate into valid ones."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

from mnistbench.errors import OutputError

TIMINGS = "timings.csv"
METRICS = "metrics.csv"
MACHINE = "machine.csv"
CONFIG = "config.yaml"
CLOUDMESH = "cloudmesh.log"
LOG = "log.txt"
CALIBRATION = "calibration.csv"
PEAK = "peak.csv"

Cell = str | int | float | bool | None

_ROOM_BYTES = 1 << 20  # what a run's files may need before the first training is worth starting


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
    probability: float
    """What the model gave its guess."""


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


Row = (
    TimingRow | MetricRow | MachineRow | HistoryRow | PredictionRow | ClassRow | GuessRow
    | PartRow | SettingRow | RateRow | SelfcheckRow
)  # fmt: skip


def new_run_id(config: str, node: str) -> str:
    """Return UTC time, config, host and a random suffix, fit to name a folder anywhere."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host = re.sub(r"[^A-Za-z0-9_.]+", "-", node.split(".")[0]).strip("-.") or "host"
    return f"{now}-{config}-{host}-{secrets.token_hex(3)}"


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
    """Return full precision, true or false, and an empty cell for the unknown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def cell(value: object) -> Cell:
    """Return a value that a table can hold; what is no number or text, as text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


class RunFolder:
    """The folder of one run; every row is on the disk before the next repeat starts."""

    def __init__(self, path: Path, made: Sequence[Path] = ()) -> None:
        """Use `create` for a new run; `made` are the folders above that it had to make."""
        self.path = path
        self._made = made

    @classmethod
    def create(cls, output: Path, run_id: str, config_yaml: str) -> RunFolder:
        """Make `output/run_id` with its config and empty tables.

        Raises OutputError, leaving nothing behind, if they cannot be written or the disk is full.
        """
        folder = cls.make(output, run_id)
        try:
            folder.write(CONFIG, config_yaml)
            folder.write(TIMINGS, to_csv([], TimingRow))
            folder.write(METRICS, to_csv([], MetricRow))
            folder.write(MACHINE, to_csv([], MachineRow))
        except OutputError:
            folder.remove()
            raise
        return folder

    @classmethod
    def make(cls, output: Path, name: str) -> RunFolder:
        """Make `output/name` with nothing in it; raises OutputError as `create` does."""
        path = output / name
        made = [folder for folder in (output, *output.parents) if not folder.exists()]
        folder = cls(path, made)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            _remove_empty(made)
            raise _output_error(path, error) from None
        try:
            folder._check_room()
        except OutputError:
            folder.remove()
            raise
        return folder

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows to a table and flush them to the disk: all of them, or none.

        Raises OutputError if they cannot be written.
        """
        file = self.path / table
        content = _utf8(to_csv(rows))
        try:
            with file.open("ab", buffering=0) as target:
                before = target.seek(0, os.SEEK_END)
                try:
                    _write_whole(target, content)
                except OSError:
                    target.truncate(before)
                    raise
        except OSError as error:
            raise _output_error(file, error) from None

    def write(self, name: str, text: str) -> None:
        """Write a file whole; raise OutputError if it cannot be."""
        file = self.path / name
        try:
            with file.open("wb", buffering=0) as target:
                _write_whole(target, _utf8(text))
        except OSError as error:
            raise _output_error(file, error) from None

    def log(self, line: str) -> None:
        """Add a line with the time to the run's log; raise OutputError if it cannot be."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            with (self.path / LOG).open("ab") as target:
                target.write(_utf8(f"{now} {line.rstrip()}\n"))
        except OSError as error:
            raise _output_error(self.path / LOG, error) from None

    def remove(self) -> None:
        """Delete the folder, and those above that were made for it: the run never began."""
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(self._made)

    def _check_room(self) -> None:
        probe = self.path / "room"
        try:
            with probe.open("wb", buffering=0) as target:
                _write_whole(target, bytes(_ROOM_BYTES))
            probe.unlink()
        except OSError as error:
            raise _output_error(self.path, error) from None


def _utf8(text: str) -> bytes:
    # What the system gives that is no UTF-8 (a tag, a variable) is shown, as `\\udcff`.
    return text.encode("utf-8", errors="backslashreplace")


def _write_whole(target: io.FileIO | io.RawIOBase, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        written = target.write(rest)
        rest = rest[written or 0 :]
    os.fsync(target.fileno())


def _remove_empty(folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):  # never made, or another run is in it by now
        for folder in folders:
            folder.rmdir()


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}; "
        "choose another folder with --output DIR"
    )
