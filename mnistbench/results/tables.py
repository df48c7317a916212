"""What lies in a run's folder: every file's name, and every table's rows, known here alone."""

from __future__ import annotations

import csv
import re
import types
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mnistbench.errors import InputError
from mnistbench.results.cells import restored
from mnistbench.results.inference import InferenceRow
from mnistbench.results.rows import (
    ClassRow,
    GuessRow,
    HistoryRow,
    MachineRow,
    MetricRow,
    PartRow,
    PointRow,
    PredictionRow,
    RateRow,
    Row,
    SelfcheckRow,
    SettingRow,
    SweepRow,
    TimingRow,
)

# Tables.
TIMINGS = "timings.csv"
METRICS = "metrics.csv"
MACHINE = "machine.csv"
CALIBRATION = "calibration.csv"
PEAK = "peak.csv"
HISTORY = "history.csv"
PREDICTIONS = "predictions.csv"
CLASSES = "classes.csv"
GUESSES = "guesses.csv"
SELFCHECK = "selfcheck.csv"
PARTS = "explain.csv"
SETTINGS = "settings.csv"
POINTS = "points.csv"
FINDINGS = "sweep.csv"
INFERENCE = "inference.csv"

TABLES: Mapping[str, type[Row]] = {
    TIMINGS: TimingRow,
    METRICS: MetricRow,
    MACHINE: MachineRow,
    CALIBRATION: RateRow,
    PEAK: RateRow,
    HISTORY: HistoryRow,
    PREDICTIONS: PredictionRow,
    CLASSES: ClassRow,
    GUESSES: GuessRow,
    SELFCHECK: SelfcheckRow,
    PARTS: PartRow,
    SETTINGS: SettingRow,
    POINTS: PointRow,
    FINDINGS: SweepRow,
    INFERENCE: InferenceRow,
}
"""Each table and what a row of it is; a new one is an entry here."""

# Everything else.
CONFIG = "config.yaml"
CONFIGS = "configs"
"""Of a merged folder: the config of each run, named by the run's id."""
SWEEP_PLAN = "sweep.yaml"
STUDY = "study.db"
"""Of a search: Optuna's own record of its trials."""
LAUNCHED = "launched.json"
"""What of a sweep was given to a scheduler."""
ATTEMPTS = "attempts"
"""Points measured elsewhere and not collected yet, a folder each."""
LEFT_OUT = "left-out"
"""Attempts that others were kept instead of."""
CLOUDMESH = "cloudmesh.log"
LOG = "log.txt"
MODEL = "model.keras"
SUMMARY = "summary.txt"
CURVES = "curves.png"
ARCHITECTURE = "architecture.png"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"
EVALUATIONS = "evaluations"
INFERENCES = "inference"
CONFUSION = "confusion.csv"
"""As wide as there are classes, so no table of rows."""
CONFUSION_PICTURE = "confusion.png"
PREDICTIONS_PICTURE = "predictions.png"
PARTS_PICTURE = "explain.png"

PARQUET = ".parquet"
"""How the name of a merged folder's table may end, and not in .csv."""
SCHEMA = 1
"""Version of the tables of a run. Whoever changes what a column or a file says adds one; who adds
a column or a file does not."""
SCHEMA_FACT = "files_schema"
"""The attribute in machine.csv that says it; before there was one, it was 1."""


def check_schema(version: str, source: object) -> None:
    """Raise InputError for tables of a version that this mnistbench does not know yet."""
    if re.fullmatch(r"[0-9]+", version) and int(version[:9]) > SCHEMA:
        raise InputError(
            f"was written by a newer mnistbench: its {SCHEMA_FACT} is {version[:9]}, known here is "
            f"{SCHEMA}",
            source=source,
            hint="update mnistbench",
        )


RowType = TypeVar("RowType")


def table_in(folder: Path, table: str) -> Path | None:
    """Return where a table of a folder is, as CSV or as Parquet; None if it is not there."""
    file = folder / table
    return next((path for path in (file, file.with_suffix(PARQUET)) if path.is_file()), None)


def tables_in(folders: Iterable[Path], table: str) -> list[Path]:
    """Return where a table is in each of the folders that has it."""
    return [file for folder in folders if (file := table_in(folder, table))]


def is_of_a_folder(timings: Path) -> bool:
    """Return whether timings lie in the folder of a run or in a merged one, by their name."""
    return timings.name in (TIMINGS, Path(TIMINGS).with_suffix(PARQUET).name)


def is_merged(folder: Path) -> bool:
    """Return whether a folder is what `merge` writes, and not that of one run."""
    return (folder / CONFIGS).is_dir()


def config_file(folder: Path, run_id: str) -> Path:
    """Return where the config of a run is, in its own folder or in a merged one."""
    own = folder / CONFIG
    name = urllib.parse.quote(run_id, safe="")  # somebody else's ids are no names of files
    return own if own.is_file() else folder / CONFIGS / f"{name}.yaml"


def run_of_config(file: Path) -> str:
    """Return the id of the run whose config a file of a merged folder is."""
    return urllib.parse.unquote(file.stem)


def read_table(folder: Path, table: str, kind: type[RowType]) -> list[RowType]:
    """Return the rows of a run's table, `kind` being its type of row; empty if it is not there.

    Raises InputError, naming the file and the line, for one that cannot be read or is damaged.
    """
    assert TABLES[table] is kind
    file = folder / table
    types_of = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    try:
        with file.open(encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            return [
                kind(**{name: _value(line[name], types_of[name]) for name in names})
                for line in map(_as_wide_as_its_header, reader)
            ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=file) from None
    except (KeyError, ValueError, csv.Error):
        line_number = reader.line_num
        raise InputError(f"is damaged: line {line_number} is no row of it", source=file) from None


def _as_wide_as_its_header(line: dict[Any, Any]) -> dict[Any, Any]:
    if None in line or None in line.values():
        raise ValueError(line)
    return line


def _value(text: str, kind: Any) -> Any:
    """Return a cell as its field has it; an empty one is None where the field admits that."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if text == "" and type(None) in options:
        return None
    if str in options:  # of several types: as it is written
        return restored(text)
    return int(text) if int in options else float(text)
