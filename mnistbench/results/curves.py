"""What each epoch taught, over the repeats of runs: from metrics.csv, and from history.csv."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.results.csv import parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.database import connected
from mnistbench.results.rows import HistoryRow
from mnistbench.results.tables import HISTORY, METRICS, read_table

TRAIN_ACCURACY, TRAIN_LOSS = "train_accuracy", "train_loss"
VALIDATION_ACCURACY, VALIDATION_LOSS = "validation_accuracy", "validation_loss"

_NEEDED = ("run_id", "repeat", "metric", "value", "unit")
_EPOCH = r"epoch_[0-9]+_(train|validation)_(accuracy|loss)"
_VALIDATED = b",epoch_1_validation_loss,"


@dataclass(frozen=True)
class EpochFigure:
    """One figure after one epoch, over the repeats that have it."""

    figure: str
    """`train_accuracy`, `train_loss`, `validation_accuracy` or `validation_loss`."""
    epoch: int
    """From 1."""
    n: int
    """Repeats."""
    median: float
    """An accuracy from 0 to 1, or a loss; as are the next two."""
    low: float
    """The smallest."""
    high: float
    """The largest."""


def load_curves(folders: Sequence[Path]) -> list[EpochFigure]:
    """Return the curves of run folders together, by figure and epoch; empty if there are none.

    Raises InputError, naming the file, for a table that cannot be read.
    """
    files = [folder / METRICS for folder in folders if (folder / METRICS).is_file()]
    with connected() as database:
        database.execute("CREATE TABLE epochs (run VARCHAR, repeat VARCHAR, metric VARCHAR, "
                         "amount DOUBLE)")  # fmt: skip
        with parts(files, _NEEDED, "value") as joined:
            for part in joined:
                load_table(
                    database, part, "epochs",
                    "DISTINCT run_id, repeat, metric, try_cast(value AS DOUBLE)",
                    f"regexp_full_match(metric, '{_EPOCH}') "
                    "AND isfinite(try_cast(value AS DOUBLE))",
                )  # fmt: skip
        older = [row for folder in folders if _is_older(folder) for row in _of_history(folder)]
        if older:
            database.executemany("INSERT INTO epochs VALUES (?, '1', ?, ?)", older)
        rows = database.execute(
            "SELECT regexp_extract(metric, '(train|validation)_[a-z]+') AS figure, "
            "try_cast(regexp_extract(metric, '[0-9]+') AS INTEGER) AS epoch, "
            "count(*), median(amount), min(amount), max(amount) FROM epochs "
            "GROUP BY figure, epoch ORDER BY figure, epoch"
        ).fetchall()
    return [EpochFigure(*row) for row in rows]


def _is_older(folder: Path) -> bool:
    """Return whether a `train`'s metrics.csv is without the validation after each epoch."""
    metrics = folder / METRICS
    if not (folder / HISTORY).is_file():  # first: metrics of many repeats are large
        return False
    return not metrics.is_file() or _VALIDATED not in metrics.read_bytes()


def _of_history(folder: Path) -> Iterator[tuple[str, str, float]]:
    """Give run, metric and value of the validations in the history.csv of a `train`."""
    for row in read_table(folder, HISTORY, HistoryRow):
        for figure, value in (
            (VALIDATION_ACCURACY, row.val_accuracy),
            (VALIDATION_LOSS, row.val_loss),
        ):
            if value is not None and math.isfinite(value):
                yield str(folder), f"epoch_{row.epoch}_{figure}", value
