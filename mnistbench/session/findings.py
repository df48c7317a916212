"""What an evaluation found, as tables and pictures in its folder."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import scores
from mnistbench.config.datasets import DatasetFacts
from mnistbench.results.folder import RunFolder
from mnistbench.results.rows import ClassRow, PredictionRow
from mnistbench.results.tables import (
    CLASSES,
    CONFUSION,
    CONFUSION_PICTURE,
    PREDICTIONS,
    PREDICTIONS_PICTURE,
)


@dataclass(frozen=True)
class Findings:
    """Every image of a set, its label, and what a model took it for."""

    title: str
    """What was tested on what, for the pictures."""
    facts: DatasetFacts
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[Any]
    """float32, (n, classes)."""

    @property
    def guesses(self) -> npt.NDArray[Any]:
        """Return the likeliest class of each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def without_number(self) -> int:
        """Return for how many images the model gives no number: its training diverged."""
        return int((~np.isfinite(self.probabilities).all(axis=1)).sum())

    @property
    def counts(self) -> scores.Counts:
        """Return how often each label was taken for each class."""
        return scores.confusion(self.labels, self.guesses, self.facts.classes)


def write_findings(found: Findings, folder: RunFolder, mistakes: bool) -> list[ClassRow]:
    """Write the tables and the pictures; return the figures of each class."""
    counts, names = found.counts, found.facts.class_names
    classes = scores.class_rows(counts, names)
    folder.write_table(PREDICTIONS, _prediction_rows(found))
    folder.write_table(CLASSES, classes)
    folder.write(CONFUSION, _confusion_csv(counts, names))
    _draw(found, folder, mistakes)
    return classes


def guess_text(facts: DatasetFacts, number: int) -> str:
    """Return a guess as the lessons title it: `guess 7` for a digit, the bare name otherwise."""
    name = facts.class_names[number]
    return f"guess {name}" if name.isdigit() else name


def grid_side(facts: DatasetFacts) -> int:
    """Return the images in a row of the lessons' grids: 4 for digits, 5 for named classes."""
    return 4 if facts.class_names[0].isdigit() else 5


def _prediction_rows(found: Findings) -> list[PredictionRow]:
    rows = zip(found.labels, found.guesses, found.probabilities.max(axis=1), strict=True)
    return [
        PredictionRow(index, int(label), int(guess), _known(float(probability)))
        for index, (label, guess, probability) in enumerate(rows)
    ]


def _known(probability: float) -> float | None:
    return probability if math.isfinite(probability) else None


def _confusion_csv(counts: scores.Counts, names: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["label", *(f"guess_{name}" for name in names)])
    writer.writerows([name, *row] for name, row in zip(names, counts.tolist(), strict=True))
    return text.getvalue()


def _draw(found: Findings, folder: RunFolder, mistakes: bool) -> None:
    from mnistbench.results import pictures

    accuracy = f"{(found.guesses == found.labels).mean():.1%} right"
    names = found.facts.class_names
    figure = pictures.confusion_figure(f"{found.title}, {accuracy}", found.counts, names)
    pictures.save(figure, folder.path / CONFUSION_PICTURE)
    side = grid_side(found.facts)
    if mistakes:
        shown = scores.worst_mistakes(found.labels, found.probabilities, side * side)
        title = f"{found.title}: the worst mistakes"
    else:
        shown = np.arange(min(side * side, len(found.images)))
        title = found.title
    figure = pictures.grid_figure(
        title,
        found.images[shown],
        [_caption(found, int(index), mistakes) for index in shown],
        [bool(found.guesses[index] != found.labels[index]) for index in shown],
        side,
    )
    pictures.save(figure, folder.path / PREDICTIONS_PICTURE)


def _caption(found: Findings, index: int, with_truth: bool) -> str:
    probability = _known(float(found.probabilities[index].max()))
    guess = guess_text(found.facts, int(found.guesses[index]))
    if probability is None:
        guess = "no number"
    if not with_truth:
        return guess
    sure = "" if probability is None else f", {probability:.0%}"
    return f"{guess}{sure}\nis {found.facts.class_names[found.labels[index]]}"
