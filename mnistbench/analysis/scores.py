"""How well a model tells the classes apart: NumPy only, from labels and guesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.results.rows import ClassRow

Counts = npt.NDArray[np.int64]


def confusion(labels: npt.NDArray[Any], guesses: npt.NDArray[Any], classes: int) -> Counts:
    """Return how often each label (row) was taken for each class (column)."""
    cells = labels.astype(np.int64) * classes + guesses
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def class_rows(counts: Counts, names: Sequence[str]) -> list[ClassRow]:
    """Return precision, recall and f1 of every class; what has no denominator is unknown."""
    rows = []
    for number, name in enumerate(names):
        right, guessed = int(counts[number, number]), int(counts[:, number].sum())
        support = int(counts[number].sum())
        precision = right / guessed if guessed else None
        recall = right / support if support else None
        f1 = None if None in (precision, recall) else 2 * right / (guessed + support)
        rows.append(ClassRow(name, precision, recall, f1, support))
    return rows


def worst_mistakes(
    labels: npt.NDArray[Any], probabilities: npt.NDArray[Any], count: int
) -> npt.NDArray[np.int64]:
    """Return the indices of the wrong guesses that the model was surest of, surest first."""
    guesses = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    sureness = probabilities[wrong, guesses[wrong]]
    return wrong[np.argsort(-sureness, kind="stable")][:count]
