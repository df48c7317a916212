"""Where two sides did different work: in words, and what the training took an image."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mnistbench.analysis.identity import CONFIG, DATA, Difference, Identity
from mnistbench.analysis.judging import PhaseComparison
from mnistbench.config.datasets import DATASETS
from mnistbench.results.phases import TRAIN

_WORK = re.compile(
    r"training\.(epochs|batch_size|validation)|dataset\.(name|train_samples)|model\..+"
)
"""Fields that change what a training does, and not only how or where."""


@dataclass(frozen=True)
class PerImage:
    """The train phase of both sides by the images trained on, each counted in every epoch."""

    base_seconds: float
    """Typical seconds over images."""
    new_seconds: float
    ratio: float
    """NEW / BASE."""
    low: float | None
    """End of its interval; None where the repeats cannot tell."""
    high: float | None


def of_the_work(differences: Sequence[Difference]) -> list[Difference]:
    """Return those differences that make it other work; empty where both sides did the same."""
    return [d for d in differences if d.part in (CONFIG, DATA) and _WORK.fullmatch(d.field)]


def per_image(base: Identity, new: Identity, phases: Sequence[PhaseComparison]) -> PerImage | None:
    """Return the train phase by the images trained on; None where it or they are not known."""
    images = images_trained_on(base), images_trained_on(new)
    train = next((phase for phase in phases if phase.phase == TRAIN), None)
    if train is None or train.ratio is None or images[0] is None or images[1] is None:
        return None
    if train.base_typical_seconds is None or train.new_typical_seconds is None:
        return None
    factor = images[0] / images[1]
    return PerImage(
        train.base_typical_seconds / images[0],
        train.new_typical_seconds / images[1],
        train.ratio * factor,
        None if train.low is None else train.low * factor,
        None if train.high is None else train.high * factor,
    )


def images_trained_on(identity: Identity) -> int | None:
    """Return how many images a training saw, those of every epoch together.

    None where a config does not tell, or its runs tell different things, or a target may have
    ended it early.
    """
    epochs = _only(identity, CONFIG, "training.epochs")
    target = _only(identity, CONFIG, "training.target_accuracy")
    samples = _only(identity, DATA, "dataset.train_samples")
    name = _only(identity, DATA, "dataset.name")
    if epochs is None or target not in (None, "null") or name not in DATASETS:
        return None
    whole = DATASETS[name].train_count if samples in (None, "null") else int(samples)
    return int(epochs) * _learnt_from(whole, _only(identity, CONFIG, "training.validation"))


def _learnt_from(images: int, validation: str | None) -> int:
    """Return what a validation fraction leaves to train on."""
    try:
        fraction = float(validation or 0)
    except ValueError:  # `none` or `test`: nothing is cut off
        return images
    return math.floor(images * (1 - fraction)) if 0 < fraction < 1 else images


def _only(identity: Identity, part: str, field: str) -> str | None:
    values = identity.parts[part].get(field, ())
    return values[0] if len(values) == 1 else None
