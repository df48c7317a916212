"""The files that a training leaves in its run folder beside the tables of a benchmark."""

from __future__ import annotations

import csv
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results.rows import HistoryRow

MODEL = "model.keras"
SUMMARY = "summary.txt"
HISTORY = "history.csv"
CURVES = "curves.png"
ARCHITECTURE = "architecture.png"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"
EVALUATIONS = "evaluations"


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the file of the checkpoint after an epoch; its state is beside it as `.json`."""
    return folder / CHECKPOINTS / f"epoch-{epoch:04d}.keras"


def last_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """Return the epoch and the file of the last whole checkpoint, if there is one."""
    found = [
        path
        for path in (folder / CHECKPOINTS).glob("epoch-*.keras")
        if path.with_suffix(".json").is_file() and path.stem.removeprefix("epoch-").isdigit()
    ]
    if not found:
        return None
    last = max(found, key=_epoch_of)
    return _epoch_of(last), last


def _epoch_of(path: Path) -> int:
    return int(path.stem.removeprefix("epoch-"))


def read_history(folder: Path) -> list[HistoryRow]:
    """Return the epochs of a run's history.csv; raise InputError if it is damaged."""
    file = folder / HISTORY
    try:
        with file.open(encoding="utf-8", newline="") as text:
            return [_history_row(row) for row in csv.DictReader(text)]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=file) from None
    except (KeyError, TypeError, ValueError):
        raise InputError("is damaged: a row is not an epoch", source=file) from None


def _history_row(row: dict[str, str]) -> HistoryRow:
    return HistoryRow(
        epoch=int(row["epoch"]),
        loss=float(row["loss"]),
        accuracy=float(row["accuracy"]),
        val_loss=_number(row["val_loss"]),
        val_accuracy=_number(row["val_accuracy"]),
        learning_rate=_number(row["learning_rate"]),
        seconds=float(row["seconds"]),
        samples_per_second=_number(row["samples_per_second"]),
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
