"""Whether a training learnt anything, from its losses and its accuracy on the test images."""

from __future__ import annotations

import math
from collections.abc import Mapping

_CHANCE = 0.001
"""How rarely guessing is as often right as what is not called guessing."""

_LARGEST_CLASS = 1.135
"""The test images of the largest class, as a multiple of the classes' mean: MNIST's digit 1.

A network that takes every image for the same class is right as often as that class is.
"""


def broken_loss(metrics: Mapping[str, object]) -> str:
    """Return which loss of a repeat's metrics is no finite number, and what it is; or nothing."""
    losses = [name for name in metrics if name.endswith("train_loss") and name != "train_loss"]
    for name in (*losses, "validation_loss", "test_loss"):
        loss = metrics.get(name)
        if isinstance(loss, float) and not math.isfinite(loss):
            moment = name.removesuffix("_train_loss").removesuffix("_loss").replace("_", " ")
            return f"the loss became {'NaN' if math.isnan(loss) else 'infinite'} in {moment}"
    return ""


def not_learnt(metrics: Mapping[str, object], classes: int) -> str:
    """Return in a few words why a repeat did not learn, by its metrics; empty if it did."""
    broken = broken_loss(metrics)
    if broken:
        return broken
    accuracy, samples = metrics.get("test_accuracy"), metrics.get("test_samples")
    if not isinstance(accuracy, float) or not isinstance(samples, int):
        return ""
    if not is_guessing(accuracy, samples, classes):
        return ""
    return (
        f"a test accuracy of {accuracy:.1%} on {samples:,} images is no better than guessing "
        f"among {classes} classes"
    )


def is_guessing(accuracy: float, test_samples: int, classes: int) -> bool:
    """Return whether one who guesses among the classes may be right as often as this.

    By the binomial distribution: of many images a few hundredths more than chance are learnt,
    of ten images three right are not.
    """
    from scipy.stats import binom

    right = round(accuracy * test_samples)
    return float(binom.sf(right - 1, test_samples, _LARGEST_CLASS / classes)) > _CHANCE
